// MirrorLinks as declared, against simulated brokers.
#include <gmock/gmock.h>

#include "operator/reconcile/link_reconciler.h"
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

}  // namespace
}  // namespace millrace::reconcile
