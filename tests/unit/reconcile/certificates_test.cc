// One authority follows another while brokers run: everybody believes both before the next one
// signs, and the old one is dropped only when nobody shows its certificates any more.
#include <gmock/gmock.h>

#include "operator/certificates/authority.h"
#include "operator/kube/base64.h"
#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::HasSubstr;

const char* const with_tls = R"({"replicas": 3, "storage": {"size": "1Gi"}, "tls": {}})";
const char* const with_own =
    R"({"replicas": 3, "storage": {"size": "1Gi"}, "tls": {"ca": "Secret", "secretName": "ours"}})";
constexpr Duration day = std::chrono::hours(24);

class Certificates : public testing::Test {
protected:
    Json secret(const std::string& name) const {
        return world.kube->find(kube::secrets, {"default", name}).value_or(Json{});
    }
    static std::string note(const Json& object, const std::string& name) {
        return object["metadata"]["annotations"]["millrace.dev/" + name].text();
    }
    static std::string entry(const Json& object, const std::string& name) {
        return *kube::from_base64(object["data"][name].text());
    }
    std::size_t trusted() const {
        return certificates::fingerprints_of(entry(secret("main-ca"), "ca.crt")).size();
    }
    void ask(const std::string& value) {
        world.kube->annotate(clusters, {"default", "main"}, "millrace.dev/renew-authority", value);
    }
    std::string message_of(const std::string& type) const {
        const Json cluster = world.cluster();
        for (const Json& one : cluster["status"]["conditions"].items()) {
            if (one["type"].text() == type) {
                return one["reason"].text() + ": " + one["message"].text();
            }
        }
        return "";
    }
    /// A person's own authority.
    certificates::KeyPair put_own() {
        auto made =
            *certificates::make_authority("ours", {{1'700'000'000'000}, std::chrono::hours(9000)});
        Json object = Json(Json::Object{});
        object["metadata"]["name"] = "ours";
        object["metadata"]["namespace"] = "default";
        object["data"]["tls.crt"] = kube::to_base64(made.certificate_pem);
        object["data"]["tls.key"] = kube::to_base64(made.key_pem.reveal());
        world.kube->put(kube::secrets, std::move(object));
        return made;
    }
    /// Everybody's certificate is of the authority that is in charge, and nobody else is trusted.
    void expect_one_authority() const {
        const std::string serial = note(secret("main-ca"), "serial");
        EXPECT_EQ(trusted(), 1U);
        for (const char* name : {"main-0-tls", "main-1-tls", "main-2-tls", "main-operator-tls"}) {
            EXPECT_EQ(note(secret(name), "issuer"), serial) << name;
            EXPECT_EQ(entry(secret(name), "ca.crt"), entry(secret("main-ca"), "ca.crt")) << name;
            EXPECT_TRUE(certificates::belongs_together(
                {entry(secret(name), "tls.crt"), Secret(entry(secret(name), "tls.key"))},
                entry(secret("main-ca"), "ca.crt")))
                << name;
        }
        const auto map = world.kube->find(kube::config_maps, {"default", "main-ca"});
        ASSERT_TRUE(map);
        EXPECT_EQ((*map)["data"]["ca.crt"].text(), entry(secret("main-ca"), "ca.crt"));
    }

    World world;
};

TEST_F(Certificates, are_there_before_brokers_start_and_name_their_addresses) {
    world.apply_cluster(with_tls);
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(message_of("CertificatesValid"), "Issued: ");
    expect_one_authority();
    const Json pod = *world.kube->find(kube::pods, {"default", "main-0"});
    EXPECT_THAT(note(secret("main-0-tls"), "names"), HasSubstr(pod["status"]["podIP"].text()));
    EXPECT_THAT(note(secret("main-0-tls"), "names"), HasSubstr("main-0.main-brokers.default.svc"));
}

TEST_F(Certificates, of_a_listener_for_clients_name_the_services_that_lead_there) {
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "listeners": [
            {"name": "tls", "port": 9092, "tls": true},
            {"name": "outside", "port": 9094, "tls": true, "type": "LoadBalancer",
             "advertised": {"host": "b-{id}.example.org"}}]})");
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    const std::string names = note(secret("main-1-tls"), "names");
    EXPECT_THAT(names, HasSubstr("main-bootstrap.default.svc"));
    EXPECT_THAT(names, HasSubstr("b-1.example.org"));
    const Json service = *world.kube->find(kube::services, {"default", "main-bootstrap"});
    EXPECT_THAT(names, HasSubstr(service["spec"]["clusterIP"].text()));
}

// Kubelets take up Secrets when they come to it, and at once when the pod has changed.
TEST_F(Certificates, an_authority_follows_another_without_waiting_for_slow_nodes) {
    world.apply_cluster(with_tls);
    world.settle();
    const auto pods = world.pod_uids();
    world.kube->take_up_after = 1'000;
    ask("2026-11-22");
    for (int i = 0; i < 40; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    expect_one_authority();
    EXPECT_EQ(message_of("CertificatesValid"), "Issued: ") << world.journal_tail();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
    EXPECT_EQ(world.pod_uids(), pods);
}

TEST_F(Certificates, an_authority_follows_another_and_nobody_is_refused_or_restarted) {
    world.apply_cluster(with_tls);
    world.settle();
    const auto pods = world.pod_uids();
    const std::string old = note(secret("main-ca"), "serial");
    world.kube->forget_journal();
    ask("2026-11-22");
    world.settle();
    EXPECT_NE(note(secret("main-ca"), "serial"), old) << world.journal_tail();
    expect_one_authority();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
    EXPECT_EQ(world.pod_uids(), pods);
    EXPECT_EQ(message_of("CertificatesValid"), "Issued: ");
}

TEST_F(Certificates, a_node_that_is_slow_to_take_them_up_is_waited_for_and_named) {
    world.apply_cluster(with_tls);
    world.settle();
    world.kube->take_up_after = -12;  // Nor can it be hurried.
    ask("now");
    for (int i = 0; i < 8; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(trusted(), 2U);
    EXPECT_THAT(message_of("CertificatesValid"),
                HasSubstr("Renewing: a new authority takes over: broker 0 has yet to trust it"));
    for (int i = 0; i < 40; ++i) {  // It waits without a write: nothing settles while it does.
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    expect_one_authority();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
}

TEST_F(Certificates, preparing_stops_where_both_are_trusted_until_a_person_goes_on) {
    world.apply_cluster(with_tls);
    world.settle();
    const std::string old = note(secret("main-ca"), "serial");
    ask("prepare");
    world.settle();
    EXPECT_EQ(trusted(), 2U);
    EXPECT_EQ(note(secret("main-ca"), "serial"), old);
    EXPECT_THAT(message_of("CertificatesValid"), HasSubstr("doesn't sign yet"));
    ask("go on");
    world.settle();
    EXPECT_NE(note(secret("main-ca"), "serial"), old);
    expect_one_authority();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
}

TEST_F(Certificates, an_authority_is_replaced_before_its_end_without_being_asked) {
    world.apply_cluster(with_tls);
    world.settle();
    const std::string old = note(secret("main-ca"), "serial");
    world.clock.advance(3650 * day - 80 * day);
    world.settle();
    EXPECT_EQ(trusted(), 2U) << "clients have time to take up the next one";
    EXPECT_EQ(note(secret("main-ca"), "serial"), old);
    world.clock.advance(40 * day);
    world.settle();
    EXPECT_NE(note(secret("main-ca"), "serial"), old);
    expect_one_authority();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
}

TEST_F(Certificates, are_replaced_before_their_end) {
    world.apply_cluster(with_tls);
    world.settle();
    const std::string first = note(secret("main-1-tls"), "serial");
    world.clock.advance(340 * day);
    world.settle();
    EXPECT_NE(note(secret("main-1-tls"), "serial"), first);
    expect_one_authority();
}

TEST_F(Certificates, of_a_persons_own_authority_follow_its_secret) {
    world.apply_cluster(with_own);
    for (int i = 0; i < 3; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_THAT(message_of("CertificatesValid"), HasSubstr("there is no Secret ours"));
    const auto first = put_own();
    world.settle();
    EXPECT_EQ(World::condition(world.cluster(), "Ready"), "True") << world.journal_tail();
    EXPECT_EQ(entry(secret("main-ca"), "ca.crt"), first.certificate_pem);
    const auto second = put_own();
    world.settle();
    EXPECT_EQ(entry(secret("main-ca"), "ca.crt"), second.certificate_pem);
    expect_one_authority();
    EXPECT_EQ(world.kube->refused_handshakes(), 0) << world.journal_tail();
}

TEST_F(Certificates, a_secret_that_cant_sign_is_told_and_changes_nothing) {
    world.apply_cluster(with_own);
    put_own();
    world.settle();
    const std::string old = note(secret("main-ca"), "serial");
    Json object = secret("ours");
    object["data"]["tls.key"] = kube::to_base64(
        certificates::make_authority("other", {{1'700'000'000'000}, day})->key_pem.reveal());
    object["data"]["tls.crt"] = kube::to_base64(
        certificates::make_authority("third", {{1'700'000'000'000}, day})->certificate_pem);
    world.kube->put(kube::secrets, std::move(object));
    for (int i = 0; i < 3; ++i) {
        const auto outcome = world.round();
        EXPECT_FALSE(outcome);
        world.kube->step();
    }
    EXPECT_THAT(world.cluster()["status"]["message"].text(),
                HasSubstr("the key is not that of the authority's certificate"));
    EXPECT_EQ(note(secret("main-ca"), "serial"), old);
}

TEST_F(Certificates, killed_after_any_write_of_a_change_the_next_operator_finishes_it) {
    world.apply_cluster(with_tls);
    world.settle();
    const int before = world.kube->writes();
    ask("now");
    world.settle();
    const int writes = world.kube->writes() - before;
    ASSERT_GT(writes, 10);
    for (int death = 1; death <= writes; ++death) {
        World other;
        other.apply_cluster(with_tls);
        other.settle();
        const auto pods = other.pod_uids();
        other.kube->annotate(clusters, {"default", "main"}, "millrace.dev/renew-authority", "now");
        other.kube->die_after(death);
        other.settle();
        const Json authority =
            other.kube->find(kube::secrets, {"default", "main-ca"}).value_or(Json{});
        EXPECT_EQ(note(authority, "renewed-for"), "now") << "killed after write " << death;
        EXPECT_EQ(certificates::fingerprints_of(entry(authority, "ca.crt")).size(), 1U)
            << "killed after write " << death;
        EXPECT_EQ(other.kube->refused_handshakes(), 0) << "killed after write " << death << "\n"
                                                       << other.journal_tail();
        EXPECT_EQ(other.pod_uids(), pods) << "killed after write " << death;
    }
}

TEST_F(Certificates, a_settled_cluster_is_not_written_to) {
    world.apply_cluster(with_tls);
    world.settle();
    const int before = world.kube->writes();
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(world.round());
        world.kube->step();
    }
    EXPECT_EQ(world.kube->writes(), before);
}

}  // namespace
}  // namespace millrace::reconcile
