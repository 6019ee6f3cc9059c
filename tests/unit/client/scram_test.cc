// SCRAM as a client: RFC 7677's example, and servers that lie.
#include "client/scram.h"

#include <gtest/gtest.h>

namespace millrace::client {
namespace {

constexpr const char* server_first =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

ScramClient of_rfc() {
    auto client =
        ScramClient::make("SCRAM-SHA-256", "user", Secret("pencil"), "rOprNGfwEbeRWgbNEkqO");
    EXPECT_TRUE(client);
    return *std::move(client);
}

TEST(Scram, proves_the_password_as_in_the_rfc) {
    ScramClient client = of_rfc();
    EXPECT_EQ(client.first_message(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const auto last = client.final_message(server_first);
    ASSERT_TRUE(last);
    EXPECT_EQ(*last,
              "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
              "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    EXPECT_TRUE(client.check_server("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
}

TEST(Scram, refuses_a_server_that_does_not_know_the_password) {
    ScramClient client = of_rfc();
    ASSERT_TRUE(client.final_message(server_first));
    EXPECT_FALSE(client.check_server("v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    EXPECT_FALSE(client.check_server("e=invalid-proof"));
    EXPECT_FALSE(client.check_server(""));
}

TEST(Scram, refuses_anothers_nonce_and_too_few_or_too_many_iterations) {
    for (const char* first :
         {"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
          "r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
          "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
          "r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999", ""}) {
        EXPECT_FALSE(of_rfc().final_message(first)) << first;
    }
}

TEST(Scram, escapes_what_means_something_in_a_name) {
    const auto client = ScramClient::make("SCRAM-SHA-512", "a,b=c", Secret("x"), "n");
    ASSERT_TRUE(client);
    EXPECT_EQ(client->first_message(), "n,,n=a=2Cb=3Dc,r=n");
}

}  // namespace
}  // namespace millrace::client
