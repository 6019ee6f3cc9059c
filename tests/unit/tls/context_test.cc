#include "tls/context.h"

#include <gtest/gtest.h>

#include "tests/unit/tls/certificates.h"
#include "tests/unit/tls/fakes.h"

namespace millrace::tls {
namespace {

std::string problem(const Settings& settings, StringDisk disk = {}) {
    const auto made = Context::open(settings, disk);
    return made ? "none" : made.error().message();
}

bool names(const std::string& problem, std::initializer_list<std::string_view> words) {
    return std::all_of(words.begin(), words.end(), [&](std::string_view word) {
        return problem.find(word) != std::string::npos;
    });
}

Settings in_a_file(const std::string& type) {
    Settings settings;
    settings.key_store.type = type;
    settings.key_store.location = "/keys";
    return settings;
}

TEST(Context, tells_what_its_certificate_says) {
    StringDisk disk;
    const auto made = Context::open(settings_of("server"), disk);
    ASSERT_TRUE(made);
    const CertificateFacts facts = (*made)->facts();
    EXPECT_EQ(facts.subject, "CN=localhost");
    EXPECT_EQ(facts.addresses, (std::vector<std::string>{"DNS:localhost", "IP:127.0.0.1"}));
    EXPECT_GT(facts.not_after, facts.not_before);
    EXPECT_FALSE(facts.serial.empty());
}

TEST(Context, reads_a_pem_file_with_key_and_chain) {
    StringDisk disk;
    disk.files["/keys"] = vector_file("server.key") + vector_file("server.pem");
    EXPECT_EQ(problem(in_a_file("PEM"), disk), "none");
}

TEST(Context, reads_an_encrypted_key_with_its_password_only) {
    const SelfSigned own("/CN=x", -1, 10);
    StringDisk disk;
    disk.files["/keys"] = own.key_pem("sesame") + own.certificate_pem();
    Settings settings = in_a_file("PEM");
    EXPECT_TRUE(names(problem(settings, disk),
                      {"ssl.keystore.location=/keys", "encrypted", "give ssl.key.password"}));
    settings.key_password = Secret("wrong");
    EXPECT_TRUE(names(problem(settings, disk), {"is ssl.key.password the right one?"}));
    settings.key_password = Secret("sesame");
    EXPECT_EQ(problem(settings, disk), "none");
}

// Java calls a store of its own making JKS by default, and has written PKCS12 since version 9.
TEST(Context, reads_pkcs12_under_either_name) {
    StringDisk disk;
    disk.files["/keys"] = SelfSigned("/CN=x", -1, 10).pkcs12("sesame");
    for (const char* type : {"PKCS12", "JKS"}) {
        Settings settings = in_a_file(type);
        settings.key_store.password = Secret("sesame");
        settings.trust_store = settings.key_store;
        EXPECT_EQ(problem(settings, disk), "none") << type;
        settings.key_store.password = Secret("wrong");
        EXPECT_TRUE(names(problem(settings, disk),
                          {"ssl.keystore.location=/keys", "not ssl.keystore.password"}));
    }
}

TEST(Context, refuses_javas_own_format_with_the_way_out) {
    StringDisk disk;
    disk.files["/keys"] = "\xFE\xED\xFE\xED....";
    EXPECT_TRUE(names(problem(in_a_file("JKS"), disk),
                      {"ssl.keystore.location=/keys", "keytool -importkeystore"}));
}

TEST(Context, names_the_setting_that_is_wrong_and_what_to_do) {
    StringDisk disk;
    disk.files["/keys"] = vector_file("server.pem");
    disk.files["/pair"] = vector_file("client.key") + vector_file("server.pem");
    disk.files["/empty"] = "";
    Settings settings = in_a_file("PEM");
    EXPECT_TRUE(names(problem(settings, disk), {"/keys", "there is no private key in it"}));
    settings.key_store.location = "/pair";
    EXPECT_TRUE(names(problem(settings, disk), {"belongs to another certificate"}));
    settings.key_store.location = "/empty";
    EXPECT_TRUE(names(problem(settings, disk), {"it is not PEM"}));
    settings.key_store.location = "/none";
    EXPECT_TRUE(names(problem(settings, disk), {"/none", "name a file"}));
    settings = in_a_file("JKS");
    EXPECT_TRUE(names(problem(settings, disk), {"set ssl.keystore.type=PEM"}));
    settings = in_a_file("BCFKS");
    EXPECT_TRUE(names(problem(settings, disk), {"ssl.keystore.type=BCFKS", "PEM, PKCS12, JKS"}));
    settings = settings_of("server");
    settings.prefix = "listener.name.x.";
    settings.key_store.type = "JKS";
    EXPECT_TRUE(names(problem(settings), {"listener.name.x.ssl.keystore.type=PEM"}));
    settings = settings_of("server");
    settings.protocols = {"TLSv1.1"};
    EXPECT_TRUE(names(problem(settings), {"ssl.enabled.protocols=TLSv1.1", "TLSv1.2 and TLSv1.3"}));
    settings = settings_of("server");
    settings.cipher_suites = {"TLS_NONSENSE"};
    EXPECT_TRUE(names(problem(settings), {"ssl.cipher.suites=TLS_NONSENSE"}));
    settings.cipher_suites = {"TLS_AES_256_GCM_SHA384"};
    settings.protocols = {"TLSv1.2"};
    EXPECT_TRUE(names(problem(settings), {"none of them is for a version"}));
    settings = settings_of("server");
    settings.principal_rules = "RULE:[/x/";
    EXPECT_TRUE(names(problem(settings), {"ssl.principal.mapping.rules=RULE:[/x/"}));
}

TEST(Context, takes_suites_by_their_registered_names) {
    Settings settings = settings_of("server");
    settings.cipher_suites = {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"};
    EXPECT_EQ(problem(settings), "none");
}

TEST(Context, reloads_when_a_file_has_changed_and_not_otherwise) {
    StringDisk disk;
    const SelfSigned first("/CN=x", -1, 10);
    const SelfSigned second("/CN=x", -1, 20);
    disk.files["/keys"] = first.key_pem() + first.certificate_pem();
    auto made = Context::open(in_a_file("PEM"), disk);
    ASSERT_TRUE(made);
    const Timestamp before = (*made)->facts().not_after;
    EXPECT_FALSE((*made)->reload(in_a_file("PEM"), disk).value());
    disk.files["/keys"] = second.key_pem() + second.certificate_pem();
    EXPECT_TRUE((*made)->reload(in_a_file("PEM"), disk).value());
    EXPECT_GT((*made)->facts().not_after, before);
}

TEST(Context, keeps_the_old_certificate_when_the_new_can_not_be_used) {
    StringDisk disk;
    const SelfSigned first("/CN=x", -1, 10);
    disk.files["/keys"] = first.key_pem() + first.certificate_pem();
    auto made = Context::open(in_a_file("PEM"), disk);
    ASSERT_TRUE(made);
    disk.files["/keys"] = "half of a fi";
    EXPECT_FALSE((*made)->reload(in_a_file("PEM"), disk));
    EXPECT_EQ((*made)->facts().subject, "CN=x");
}

TEST(Context, takes_another_name_or_fewer_addresses_only_where_that_is_allowed) {
    StringDisk disk;
    auto made = Context::open(settings_of("server"), disk);
    ASSERT_TRUE(made);
    const SelfSigned renamed("/CN=other", -1, 10);
    Settings next = settings_of("server");
    next.key_store.certificates = Secret(renamed.certificate_pem());
    next.key_store.key = Secret(renamed.key_pem());
    EXPECT_FALSE((*made)->judge(next, disk));
    auto refused = (*made)->reload(next, disk);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(names(refused.error().message(), {"CN=other", "ssl.allow.dn.changes=true"}));
    next.allow_name_change = true;
    refused = (*made)->reload(next, disk);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(names(refused.error().message(), {"DNS:localhost", "ssl.allow.san.changes=true"}));
    next.allow_address_loss = true;
    EXPECT_TRUE((*made)->judge(next, disk));
    EXPECT_EQ((*made)->facts().subject, "CN=localhost");
    EXPECT_TRUE((*made)->reload(next, disk).value());
}

}  // namespace
}  // namespace millrace::tls
