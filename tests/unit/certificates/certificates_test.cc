#include <gtest/gtest.h>

#include "operator/certificates/authority.h"

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

TEST(Certificates, addresses_are_named_as_addresses) {
    const KeyPair root = authority();
    Wanted wanted = broker();
    wanted.names = {"a.example.org", "127.0.0.7", "::1"};
    EXPECT_TRUE(issue(root, wanted));
}

TEST(Certificates, whoever_cant_sign_is_told_apart) {
    const KeyPair root = authority();
    EXPECT_TRUE(can_sign(root));
    EXPECT_FALSE(can_sign(*issue(root, broker())));
    EXPECT_FALSE(can_sign({root.certificate_pem, authority().key_pem}));
    EXPECT_FALSE(can_sign({"hello", root.key_pem}));
}

TEST(Authority, follows_another_in_three_steps_and_is_read_as_it_was_written) {
    const KeyPair first = authority("first");
    const KeyPair second = authority("second");
    const auto again = [](const Authority& one) { return *read_authority(entries_of(one)); };
    const Authority both = again(introduce(again(Authority::of(first)), second));
    EXPECT_EQ(both.signer.certificate_pem, first.certificate_pem);
    EXPECT_EQ(fingerprints_of(both.trusted_pem).size(), 2U);
    const Authority changed = again(put_in_charge(both));
    EXPECT_EQ(changed.signer.certificate_pem, second.certificate_pem);
    EXPECT_EQ(changed.trusted_pem, both.trusted_pem);
    EXPECT_FALSE(changed.next);
    const Authority alone = again(retire_others(changed));
    EXPECT_EQ(alone.trusted_pem, second.certificate_pem);
}

TEST(Certificates, what_is_no_certificate_is_an_error) {
    EXPECT_FALSE(end_of_validity("hello"));
    EXPECT_FALSE(issue({"hello", Secret("world")}, broker()));
}

}  // namespace
}  // namespace millrace::certificates
