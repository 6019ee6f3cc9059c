#include "operator/certificates/certificates.h"

#include <gtest/gtest.h>

namespace millrace::certificates {
namespace {

constexpr Timestamp now{1'700'000'000'000};
constexpr Duration day = std::chrono::hours(24);

KeyPair authority(const char* name = "main") {
    return *make_authority(name, {now, 3650 * day});
}
Wanted broker() {
    return {"main-0", {"main-0.main-brokers.default.svc"}, true, {now, 365 * day}};
}

TEST(Certificates, what_an_authority_signs_belongs_to_it) {
    const KeyPair root = authority();
    const auto pair = issue(root, broker());
    ASSERT_TRUE(pair) << pair.error().message();
    EXPECT_TRUE(belongs_together(*pair, root.certificate_pem));
}

TEST(Certificates, another_authority_of_the_same_name_is_not_believed) {
    const auto pair = issue(authority(), broker());
    EXPECT_FALSE(belongs_together(*pair, authority().certificate_pem));
}

TEST(Certificates, a_key_that_isnt_the_certificates_is_noticed) {
    const KeyPair root = authority();
    auto one = *issue(root, broker());
    one.key_pem = issue(root, broker())->key_pem;
    EXPECT_FALSE(belongs_together(one, root.certificate_pem));
}

TEST(Certificates, validity_ends_when_it_was_asked_to) {
    const auto pair = issue(authority(), broker());
    EXPECT_EQ(*end_of_validity(pair->certificate_pem), now + 365 * day);
}

TEST(Certificates, what_is_no_certificate_is_an_error) {
    EXPECT_FALSE(end_of_validity("hello"));
    EXPECT_FALSE(issue({"hello", Secret("world")}, broker()));
}

}  // namespace
}  // namespace millrace::certificates
