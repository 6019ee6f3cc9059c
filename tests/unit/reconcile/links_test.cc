// MirrorLinks as declared, against simulated brokers.
#include <gmock/gmock.h>

#include "operator/certificates/authority.h"
#include "operator/kube/base64.h"
#include "operator/reconcile/link_reconciler.h"
#include "operator/render/names.h"
#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::HasSubstr;

namespace v1 = millrace::admin::v1;

constexpr const char* source = "kafka-1:9092";

class Links : public testing::Test {
protected:
    Links() {
        world.apply_cluster(three_brokers);
        world.settle();
        world.kube->brokers().add_source(source, "east-id", {{"orders", 100}, {"other", 5}});
        new_reconciler();
    }

    /// Another process: nothing is remembered but what Kubernetes and brokers have.
    void new_reconciler() {
        Parts parts;
        parts.api = world.kube;
        parts.cache = [this](const kube::Kind& kind) -> kube::ObjectCache& {
            return world.kube->cache(kind);
        };
        parts.brokers = directory;
        parts.clock = &world.clock;
        parts.may_write = [this] { return leads; };
        directory->reach("default/main", {{0, "127.0.0.1:9095", ""}}, {});
        for (const kube::Kind& kind : {clusters, mirror_links}) {
            (void)world.kube->cache(kind);  // Filled from now on.
        }
        reconciler = std::make_unique<LinkReconciler>(parts);
    }

    void apply(const std::string& more = "", const std::string& name = "east-to-west") {
        Json object = Json(Json::Object{});
        object["metadata"]["name"] = name;
        object["metadata"]["namespace"] = "default";
        object["spec"] = *Json::parse(
            R"({"clusterRef": {"name": "main"}, "source": {"bootstrapServers": ["kafka-1:9092"]},
                "topics": {"include": ["orders*"]})" +
            more + "}");
        world.kube->put(mirror_links, std::move(object));
    }

    Result<std::optional<Duration>> round() {
        world.kube->bring_caches_up_to_date();
        auto outcome = reconciler->reconcile({"default", "east-to-west"});
        world.clock.advance(1s);
        world.kube->step();
        return outcome;
    }
    void rounds(int count) {
        for (int i = 0; i < count; ++i) {
            const auto outcome = round();
            ASSERT_TRUE(outcome) << outcome.error().message();
        }
    }

    Json link() const {
        return world.kube->find(mirror_links, {"default", "east-to-west"}).value_or(Json{});
    }
    std::string condition(std::string_view type) const { return World::condition(link(), type); }
    bool is_known_to_brokers() {
        v1::GetLinkRequest request;
        request.set_name("east-to-west");
        return world.kube->brokers().GetLink(request).has_value();
    }
    v1::LinkSpec in_brokers() {
        v1::GetLinkRequest request;
        request.set_name("east-to-west");
        return world.kube->brokers().GetLink(request)->link();
    }
    void put_secret(const std::string& password) {
        Json secret = Json(Json::Object{});
        secret["metadata"]["name"] = "login";
        secret["metadata"]["namespace"] = "default";
        secret["data"]["username"] = "dXNlcg==";
        secret["data"]["password"] = password;
        world.kube->put(kube::secrets, std::move(secret));
    }

    World world;
    std::shared_ptr<brokers::Directory> directory = world.kube->directory();
    bool leads = true;
    std::unique_ptr<LinkReconciler> reconciler;
};

// `kubectl describe` had events whose REASON was None.
TEST(LinkPlan, what_is_over_is_told_with_a_reason) {
    planner::LinkWorld world;
    world.destination = std::make_shared<const api::Cluster>();
    world.found.emplace().exists = true;
    world.link.status.conditions = {
        {.type = "DataGap", .status = "True", .reason = "RecordsMissing"},
        {.type = "Diverged", .status = "True", .reason = "RecordsCut"}};
    std::vector<std::string> reasons;
    for (const planner::LinkEvent& event : planner::plan_link(world).events) {
        reasons.push_back(event.reason);
    }
    EXPECT_THAT(reasons, testing::IsSupersetOf({"DataGapOver", "DivergedOver"}));
    EXPECT_THAT(reasons, testing::Not(testing::Contains("None")));
}

TEST_F(Links, is_made_in_the_brokers_and_tells_how_it_goes) {
    apply();
    rounds(10);
    EXPECT_EQ(in_brokers().source().bootstrap_servers(0), source);
    EXPECT_EQ(condition("Ready"), "True");
    EXPECT_EQ(link()["status"]["state"].text(), "Active");
    EXPECT_EQ(link()["status"]["summary"]["topics"].text(), "1/1");
    EXPECT_EQ(link()["status"]["summary"]["source"].text(), source);
    EXPECT_EQ(link()["status"]["observedGeneration"].integer(),
              link()["metadata"]["generation"].integer());
}

TEST_F(Links, a_settled_link_is_written_by_nobody) {
    apply();
    rounds(10);
    const int before = world.kube->writes();
    rounds(20);
    EXPECT_EQ(world.kube->writes(), before);
}

TEST_F(Links, records_under_way_are_no_reason_to_write) {
    apply();
    rounds(10);
    const int before = world.kube->writes();
    for (int i = 0; i < 10; ++i) {
        world.kube->brokers().produce_at_source(source, "orders", 50);
        rounds(1);
    }
    EXPECT_EQ(world.kube->writes(), before);
}

TEST_F(Links, what_somebody_changed_in_the_brokers_is_set_back) {
    apply();
    rounds(10);
    v1::ApplyLinkRequest request;
    *request.mutable_link() = in_brokers();
    request.mutable_link()->set_state(v1::LINK_DESIRED_PAUSED);
    ASSERT_TRUE(world.kube->brokers().ApplyLink(request));
    rounds(5);
    EXPECT_EQ(in_brokers().state(), v1::LINK_DESIRED_MIRRORING);
}

TEST_F(Links, one_edit_promotes) {
    apply();
    rounds(10);
    apply(R"(, "state": "Promoted")");
    rounds(10);
    EXPECT_EQ(link()["status"]["state"].text(), "Promoted");
    EXPECT_EQ(condition("Ready"), "True");
    EXPECT_EQ(in_brokers().promotion(), v1::LINK_PROMOTION_PLANNED);
}

TEST_F(Links, one_topic_may_differ) {
    world.kube->brokers().produce_at_source(source, "orders.eu", 5);
    apply(R"(, "topics": {"include": ["orders*"],
               "overrides": [{"name": "orders.eu", "state": "Promoted"}]})");
    rounds(10);
    EXPECT_EQ(in_brokers().topic_states().at("orders.eu"), v1::LINK_DESIRED_PROMOTED);
    EXPECT_EQ(in_brokers().state(), v1::LINK_DESIRED_MIRRORING);
}

TEST_F(Links, an_old_view_never_takes_a_promotion_back) {
    apply(R"(, "onExistingData": "Truncate")");
    rounds(10);
    world.kube->freeze(mirror_links);  // This operator doesn't hear of the edit ...
    apply(R"(, "state": "Promoted", "onExistingData": "Truncate")");
    v1::ApplyLinkRequest request;  // ... which another one has carried out.
    *request.mutable_link() = in_brokers();
    request.mutable_link()->set_state(v1::LINK_DESIRED_PROMOTED);
    ASSERT_TRUE(world.kube->brokers().ApplyLink(request));
    rounds(5);
    EXPECT_EQ(in_brokers().state(), v1::LINK_DESIRED_PROMOTED);
    world.kube->thaw();
    rounds(5);
    EXPECT_EQ(in_brokers().state(), v1::LINK_DESIRED_PROMOTED);
}

TEST_F(Links, who_does_not_lead_changes_nothing) {
    apply();
    leads = false;
    world.kube->bring_caches_up_to_date();
    EXPECT_FALSE(reconciler->reconcile({"default", "east-to-west"}));
    EXPECT_FALSE(is_known_to_brokers());
}

TEST_F(Links, an_unreachable_source_is_told_and_forgotten_when_it_is_back) {
    apply();
    rounds(10);
    world.kube->brokers().set_source_reachable(source, false);
    rounds(3);
    EXPECT_EQ(condition("SourceReachable"), "False");
    EXPECT_EQ(condition("Ready"), "False");
    world.kube->brokers().set_source_reachable(source, true);
    rounds(5);
    EXPECT_EQ(condition("SourceReachable"), "True");
    EXPECT_EQ(condition("Ready"), "True");
}

TEST_F(Links, brokers_that_do_not_answer_change_nothing_about_what_was_said) {
    apply();
    rounds(10);
    directory->forget("default/main");
    rounds(2);
    EXPECT_EQ(condition("Ready"), "False");
    EXPECT_EQ(link()["status"]["summary"]["topics"].text(), "1/1");
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("can't be asked"));
}

// Not after the half minute that a source is given to come back.
TEST_F(Links, a_source_that_was_never_reached_is_told_with_its_reason_at_once) {
    apply();
    rounds(10);
    v1::LinkState said;
    said.set_phase(v1::LINK_PHASE_CONNECTING);
    said.set_reason("Unauthorized");
    said.set_message("east:9092 does not offer SASL mechanism PLAIN");
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(link()["status"]["message"].text(), said.message());
}

TEST_F(Links, topics_without_room_are_told_until_there_is_some) {
    apply();
    rounds(10);
    EXPECT_EQ(condition("EnoughRoom"), "True");
    v1::LinkState said;
    said.set_message("no room for orders.large: 12.00 GB are needed");
    said.set_topics_total(1);
    said.mutable_room()->set_needed_bytes(12'000'000'000);
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(condition("EnoughRoom"), "False");
    EXPECT_EQ(condition("Ready"), "False");
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("12.00 GB are needed"));
    world.kube->brokers().say_of_link("east-to-west", {});
    rounds(3);
    EXPECT_EQ(condition("EnoughRoom"), "True");
    EXPECT_EQ(condition("Ready"), "True");
}

TEST_F(Links, a_promoted_topic_that_waits_for_its_source_says_what_for) {
    apply();
    rounds(10);
    v1::LinkState said;
    said.set_message("orders stays promoted: the source still copies it from here");
    said.set_topics_total(1);
    auto& held = *said.add_worst_topics();
    held.set_topic("orders.held");
    held.set_state(v1::MIRROR_TOPIC_STATE_RESTORING_SETUP);
    held.set_reason("SourceNotPromoted");
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(condition("Ready"), "False");
    EXPECT_THAT(link().dump(), HasSubstr("SourceNotPromoted"));
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("stays promoted"));
}

TEST_F(Links, a_link_of_no_cluster_says_so) {
    world.kube->take_away(clusters, {"default", "main"});
    world.settle();
    apply();
    rounds(2);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("there is no Cluster main"));
}

TEST_F(Links, a_source_that_is_a_cluster_needs_to_be_there) {
    apply();
    rounds(5);
    apply(R"(, "source": {"clusterRef": {"name": "east"}})");
    rounds(3);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("there is no Cluster east"));
    EXPECT_EQ(in_brokers().source().bootstrap_servers(0), source) << "a half wish was applied";
}

TEST_F(Links, a_disaster_that_took_source_and_secret_with_it_does_not_hold_a_promotion_back) {
    put_secret("c2VjcmV0");
    apply(R"(, "source": {"bootstrapServers": ["kafka-1:9092"], "auth": {"secretName": "login"}})");
    rounds(10);
    world.kube->take_away(kube::secrets, {"default", "login"});
    world.kube->brokers().set_source_reachable(source, false);
    apply(R"(, "source": {"bootstrapServers": ["kafka-1:9092"], "auth": {"secretName": "login"}},
             "state": "Promoted", "promotion": "Forced")");
    rounds(10);
    EXPECT_EQ(link()["status"]["state"].text(), "Promoted");
    EXPECT_EQ(condition("Ready"), "True");
    EXPECT_EQ(condition("CredentialsValid"), "False");
    const int writes = world.kube->writes();
    rounds(5);
    EXPECT_EQ(world.kube->writes(), writes);
}

TEST_F(Links, nor_does_it_hold_the_promotion_of_one_topic_back) {
    world.kube->brokers().produce_at_source(source, "orders.eu", 5);
    put_secret("c2VjcmV0");
    const std::string wish =
        R"(, "source": {"bootstrapServers": ["kafka-1:9092"], "auth": {"secretName": "login"}},
             "promotion": "Forced", "topics": {"include": ["orders*"])";
    apply(wish + "}");
    rounds(10);
    world.kube->take_away(kube::secrets, {"default", "login"});
    apply(wish + R"(, "overrides": [{"name": "orders.eu", "state": "Promoted"}]})");
    rounds(10);
    EXPECT_EQ(in_brokers().topic_states().at("orders.eu"), v1::LINK_DESIRED_PROMOTED);
    EXPECT_EQ(condition("Ready"), "False");
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("there is no Secret login"));
    const int writes = world.kube->writes();
    rounds(5);
    EXPECT_EQ(world.kube->writes(), writes);
}

// The same with TLS: the failover waited for a Secret that nobody needed any more.
TEST_F(Links, a_failover_needs_no_certificate_of_the_source_either) {
    const std::string source_with_tls =
        R"(, "source": {"bootstrapServers": ["kafka-1:9092"], "tls": {"caSecret": "trust"}})";
    Json secret = Json(Json::Object{});
    secret["metadata"]["name"] = "trust";
    secret["metadata"]["namespace"] = "default";
    secret["data"]["ca.crt"] = "Y2E=";
    world.kube->put(kube::secrets, std::move(secret));
    apply(source_with_tls);
    rounds(10);
    ASSERT_EQ(in_brokers().source().tls().ca_pem(), "ca");
    world.kube->take_away(kube::secrets, {"default", "trust"});
    world.kube->brokers().set_source_reachable(source, false);
    apply(source_with_tls + R"(, "state": "Promoted", "promotion": "Forced")");
    rounds(10);
    EXPECT_EQ(link()["status"]["state"].text(), "Promoted");
    EXPECT_EQ(in_brokers().source().tls().ca_pem(), "ca");
    EXPECT_EQ(condition("CredentialsValid"), "False");
    const int writes = world.kube->writes();
    rounds(5);
    EXPECT_EQ(world.kube->writes(), writes);
}

TEST_F(Links, a_secret_is_used_and_a_rotated_one_too) {
    apply(R"(, "source": {"bootstrapServers": ["kafka-1:9092"], "auth": {"secretName": "login"}})");
    rounds(2);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("there is no Secret login"));
    put_secret("c2VjcmV0");
    rounds(5);
    EXPECT_EQ(in_brokers().source().sasl().username(), "user");
    const std::string before = in_brokers().source().credentials_version();
    put_secret("b3RoZXI=");
    rounds(3);
    EXPECT_NE(in_brokers().source().credentials_version(), before);
    const int writes = world.kube->writes();
    rounds(5);
    EXPECT_EQ(world.kube->writes(), writes);
}

TEST_F(Links, the_object_goes_and_the_link_with_it) {
    apply();
    rounds(10);
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(3);
    EXPECT_FALSE(is_known_to_brokers());
    EXPECT_TRUE(link().is_null());
}

TEST_F(Links, an_object_that_is_to_promote_when_it_goes_waits_for_that) {
    apply(R"(, "onDelete": "Promote")");
    rounds(10);
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(1);
    EXPECT_TRUE(is_known_to_brokers());
    rounds(15);
    EXPECT_FALSE(is_known_to_brokers());
    EXPECT_TRUE(link().is_null());
}

// Its author would wait for ever for an object that nobody looks after.
TEST_F(Links, one_that_can_not_be_read_any_more_goes_when_it_is_deleted) {
    apply();
    rounds(10);
    apply(R"(, "groups": {"interval": "1000000h"})");
    rounds(3);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("1000000h"));
    EXPECT_TRUE(is_known_to_brokers());
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(5);
    EXPECT_TRUE(link().is_null());
    EXPECT_FALSE(is_known_to_brokers());
}

TEST_F(Links, one_that_can_not_be_read_is_not_promoted_by_guesswork_and_goes_once_it_is_mended) {
    apply(R"(, "onDelete": "Promote")");
    rounds(10);
    apply(R"(, "onDelete": "Promote", "groups": {"interval": "1000000h"})");
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(5);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("onDelete: KeepReadOnly"));
    EXPECT_TRUE(is_known_to_brokers());
    Json object = link();
    object["spec"]["groups"]["interval"] = "1s";
    world.kube->put(mirror_links, std::move(object));
    rounds(15);
    EXPECT_TRUE(link().is_null());
    EXPECT_FALSE(is_known_to_brokers());
}

// Whoever waits for the promotion of one topic, or of all but one, is not told of another's state.
TEST_F(Links, with_overrides_each_topic_counts_in_the_state_that_is_wished_for_it) {
    apply(R"(, "state": "Promoted", "topics": {"include": ["orders*"],
               "overrides": [{"name": "orders.eu", "state": "Paused"}]})");
    rounds(10);
    v1::LinkState said;
    said.set_topics_total(2);
    (*said.mutable_topics_by_state())["paused"] = 1;
    said.set_topics_as_wished(1);
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(condition("Ready"), "False");
    said.set_topics_as_wished(2);
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(condition("Ready"), "True");
}

TEST_F(Links, what_is_worth_knowing_of_a_link_that_is_well_is_told) {
    apply();
    rounds(10);
    v1::LinkState said;
    said.set_message("topics.overrides: order is no topic of this link");
    world.kube->brokers().say_of_link("east-to-west", said);
    rounds(3);
    EXPECT_EQ(condition("Ready"), "True");
    EXPECT_EQ(link()["status"]["message"].text(), said.message());
}

TEST_F(Links, one_that_is_promoted_to_go_says_what_it_waits_for) {
    apply(R"(, "onDelete": "Promote")");
    rounds(10);
    world.kube->brokers().set_source_reachable(source, false);
    rounds(3);
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(3);
    EXPECT_THAT(link()["status"]["message"].text(),
                HasSubstr("promotion: Forced takes what is here"))
        << link().dump();
}

TEST_F(Links, a_deleted_cluster_holds_no_link_back) {
    apply();
    rounds(5);
    world.kube->take_away(clusters, {"default", "main"});
    world.settle();
    world.kube->take_away(mirror_links, {"default", "east-to-west"});
    rounds(3);
    EXPECT_TRUE(link().is_null());
}

TEST_F(Links, killed_after_any_write_the_next_one_goes_on) {
    for (int k = 1; k <= 6; ++k) {
        apply();
        world.kube->die_after(k);
        for (int i = 0; i < 15; ++i) {
            (void)round();
            if (world.kube->is_dead()) {
                world.kube->revive();
                world.kube->drop_caches();
                new_reconciler();
            }
        }
        world.kube->revive();
        EXPECT_EQ(condition("Ready"), "True") << "killed after write " << k;
        world.kube->take_away(mirror_links, {"default", "east-to-west"});
        rounds(5);
        EXPECT_FALSE(is_known_to_brokers()) << "killed after write " << k;
    }
}

// --- A source that is a Cluster with TLS ---

constexpr Duration year = std::chrono::hours(24 * 365);

class SecureSource : public Links {
protected:
    explicit SecureSource(const std::string& auth = "TLS") {
        (void)world.kube->cache(kube::secrets);  // Filled from now on.
        Json cluster = Json(Json::Object{});
        cluster["metadata"]["name"] = "east";
        cluster["metadata"]["namespace"] = "default";
        cluster["spec"] = *Json::parse(fmt::format(
            R"({{"replicas": 1, "storage": {{"size": "1Gi"}}, "tls": {{}},
                "listeners": [{{"name": "tls", "port": 9094, "tls": true, "auth": "{}"}}]}})",
            auth));
        cluster["status"] = *Json::parse(
            R"({"listeners": [{"name": "tls", "bootstrap": "kafka-1:9092"}],
                "clusterId": "east-id"})");
        world.kube->put(clusters, std::move(cluster));
    }

    void put_authority(const certificates::Authority& authority) {
        const auto& pem = authority.signer.certificate_pem;
        Json secret = Json(Json::Object{});
        secret["metadata"]["name"] = "east-ca";
        secret["metadata"]["namespace"] = "default";
        for (const auto& [name, value] : certificates::entries_of(authority)) {
            secret["data"][name] = kube::to_base64(value);
        }
        world.kube->put(kube::secrets, std::move(secret));
        const auto note = [&](const char* name, const std::string& value) {
            world.kube->annotate(kube::secrets, {"default", "east-ca"}, name, value);
        };
        note("millrace.dev/serial", render::content_hash(pem));
        note("millrace.dev/not-after",
             std::to_string(certificates::end_of_validity(pem)->milliseconds));
    }
    certificates::KeyPair make_signer(const std::string& name) {
        return *certificates::make_authority(name, {world.clock.wall(), 10 * year});
    }
    void follow_east() { apply(R"(, "source": {"clusterRef": {"name": "east"}})"); }
    Json own_secret() const {
        return world.kube->find(kube::secrets, {"default", "east-to-west-link-certificate"})
            .value_or(Json{});
    }
};

TEST_F(SecureSource, is_followed_with_a_certificate_of_its_own_authority) {
    const auto authority = certificates::Authority::of(make_signer("one"));
    put_authority(authority);
    follow_east();
    rounds(5);
    const v1::LinkTls tls = in_brokers().source().tls();
    EXPECT_TRUE(tls.enabled());
    EXPECT_EQ(tls.ca_pem(), authority.trusted_pem);
    EXPECT_EQ(kube::to_base64(tls.certificate_pem()), own_secret()["data"]["tls.crt"].text());
    EXPECT_TRUE(certificates::belongs_together(
        {tls.certificate_pem(), Secret(*kube::from_base64(own_secret()["data"]["tls.key"].text()))},
        authority.trusted_pem));
    EXPECT_EQ(own_secret()["metadata"]["ownerReferences"].items().front()["kind"].text(),
              "MirrorLink");
    EXPECT_EQ(condition("Ready"), "True");
}

TEST_F(SecureSource, a_settled_link_gets_no_second_certificate) {
    put_authority(certificates::Authority::of(make_signer("one")));
    follow_east();
    rounds(10);
    const int before = world.kube->writes();
    rounds(20);
    EXPECT_EQ(world.kube->writes(), before);
}

TEST_F(SecureSource, another_authority_in_charge_signs_anew_and_both_are_believed) {
    auto authority = certificates::Authority::of(make_signer("one"));
    put_authority(authority);
    follow_east();
    rounds(5);
    const std::string first = in_brokers().source().tls().certificate_pem();
    authority = certificates::introduce(std::move(authority), make_signer("two"));
    put_authority(authority);
    rounds(2);
    EXPECT_EQ(in_brokers().source().tls().ca_pem(), authority.trusted_pem);
    EXPECT_EQ(in_brokers().source().tls().certificate_pem(), first) << "the old one still signs";
    authority = certificates::put_in_charge(std::move(authority));
    put_authority(authority);
    rounds(2);
    EXPECT_NE(in_brokers().source().tls().certificate_pem(), first);
}

TEST_F(SecureSource, a_certificate_is_renewed_before_its_end) {
    put_authority(certificates::Authority::of(make_signer("one")));
    follow_east();
    rounds(5);
    const std::string first = in_brokers().source().tls().certificate_pem();
    world.clock.advance(std::chrono::hours(24 * 334));
    rounds(2);
    EXPECT_EQ(in_brokers().source().tls().certificate_pem(), first);
    world.clock.advance(std::chrono::hours(24 * 2));
    rounds(2);
    EXPECT_NE(in_brokers().source().tls().certificate_pem(), first);
}

TEST_F(SecureSource, without_its_authority_the_link_says_what_it_waits_for) {
    follow_east();
    rounds(3);
    EXPECT_THAT(link()["status"]["message"].text(), HasSubstr("has no authority yet"));
    EXPECT_FALSE(is_known_to_brokers());
}

class OpenSecureSource : public SecureSource {
protected:
    OpenSecureSource() : SecureSource("None") {}
};

TEST_F(OpenSecureSource, that_asks_for_no_certificate_is_shown_none) {
    const auto authority = certificates::Authority::of(make_signer("one"));
    put_authority(authority);
    follow_east();
    rounds(5);
    EXPECT_EQ(in_brokers().source().tls().ca_pem(), authority.trusted_pem);
    EXPECT_EQ(in_brokers().source().tls().certificate_pem(), "");
    EXPECT_TRUE(own_secret().is_null());
}

}  // namespace
}  // namespace millrace::reconcile
