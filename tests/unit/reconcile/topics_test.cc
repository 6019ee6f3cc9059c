// Topics as declared, against simulated brokers.
#include <algorithm>
#include <gmock/gmock.h>
#include <iterator>

#include "tests/unit/reconcile/fixture.h"

namespace millrace::reconcile {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

namespace v1 = millrace::admin::v1;

class Topics : public testing::Test {
protected:
    Topics() {
        world.apply_cluster(three_brokers);
        world.settle();
    }
    v1::TopicDescription described(const std::string& name) {
        v1::DescribeTopicsRequest request;
        request.add_topics()->set_name(name);
        return world.kube->brokers().DescribeTopics(request)->topics(0);
    }
    bool exists(const std::string& name) { return described(name).error().kafka_error() == 0; }
    void set(const std::string& topic, const std::string& key, const std::string& value) {
        v1::AlterConfigsRequest request;
        auto& one = *request.add_resources();
        one.mutable_resource()->set_type(v1::CONFIG_RESOURCE_TYPE_TOPIC);
        one.mutable_resource()->set_name(topic);
        auto& alteration = *one.add_alterations();
        alteration.set_key(key);
        alteration.set_op(v1::ConfigAlteration::OP_SET);
        alteration.set_value(value);
        ASSERT_TRUE(world.kube->brokers().AlterConfigs(request));
    }
    World world;
};

TEST_F(Topics, is_made_as_declared) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 6, "replicas": 3,
                                    "minInSyncReplicas": 2, "config": {"retention.ms": "1000"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True");
    EXPECT_EQ(described("orders").partitions_size(), 6);
    EXPECT_EQ(described("orders").configs().at("retention.ms"), "1000");
    EXPECT_EQ(described("orders").configs().at("min.insync.replicas"), "2");
}

TEST_F(Topics, one_that_does_not_say_outlives_a_disk) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 2})");
    world.apply_topic("pairs",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 2})");
    world.apply_topic("loose", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                   "config": {"min.insync.replicas": "1"}})");
    world.settle();
    EXPECT_EQ(described("orders").partitions(0).replicas_size(), 3);
    EXPECT_EQ(described("orders").configs().at("min.insync.replicas"), "2");
    EXPECT_EQ(described("pairs").partitions(0).replicas_size(), 2);
    EXPECT_EQ(described("pairs").configs().count("min.insync.replicas"), 0U)
        << "or nobody could restart while a producer waits";
    EXPECT_EQ(described("loose").configs().at("min.insync.replicas"), "1");
}

TEST_F(Topics, of_a_cluster_that_says_how_many_must_be_in_sync_leave_it_at_that) {
    world.apply_cluster(
        R"({"replicas": 3, "storage": {"size": "1Gi"}, "config": {"min.insync.replicas": "1"}})");
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    EXPECT_EQ(described("orders").configs().count("min.insync.replicas"), 0U);
}

TEST_F(Topics, a_changed_setting_is_set_back) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                    "config": {"retention.ms": "1000"}})");
    world.settle();
    set("orders", "retention.ms", "5");
    set("orders", "cleanup.policy", "compact");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("retention.ms"), "1000");
    EXPECT_EQ(described("orders").configs().count("cleanup.policy"), 0U);
}

// A planned switchover fences the source's topic: set back as drift, both sides took records.
TEST_F(Topics, a_fence_is_no_drift) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                    "config": {"retention.ms": "1000"}})");
    world.settle();
    set("orders", "millrace.fenced", "true");
    set("orders", "millrace.fenced.by", "west");
    set("orders", "retention.ms", "5");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("millrace.fenced"), "true");
    EXPECT_EQ(described("orders").configs().at("millrace.fenced.by"), "west");
    EXPECT_EQ(described("orders").configs().at("retention.ms"), "1000");
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True");
}

TEST_F(Topics, what_a_tool_throttles_while_it_moves_replicas_is_no_drift) {
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    world.settle();
    set("orders", "leader.replication.throttled.replicas", "0:1");
    set("orders", "follower.replication.throttled.replicas", "0:2");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("leader.replication.throttled.replicas"), "0:1");
    EXPECT_EQ(described("orders").configs().at("follower.replication.throttled.replicas"), "0:2");
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "True");
}

// With deletionPolicy: Delete it would have taken every group's offsets with it.
TEST_F(Topics, the_brokers_own_topics_are_nobodys) {
    world.kube->brokers().add_topic("__consumer_offsets", 5, 3, 1);
    set("__consumer_offsets", "cleanup.policy", "compact");
    world.apply_topic("offsets", R"({"clusterRef": {"name": "main"}, "name": "__consumer_offsets",
                                     "deletionPolicy": "Delete", "config": {"segment.bytes": 2000}})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("offsets"), "Ready"), "False");
    EXPECT_THAT(world.topic("offsets")["status"]["message"].text(), HasSubstr("for themselves"));
    EXPECT_TRUE(world.topic("offsets")["metadata"]["finalizers"].empty());
    EXPECT_EQ(described("__consumer_offsets").configs().count("segment.bytes"), 0U);
    // An earlier operator's finalizer is on it.
    ASSERT_TRUE(
        world.kube->merge(topics, {"default", "offsets"},
                          *Json::parse(R"({"metadata": {"finalizers": ["millrace.dev/topic"]}})")));
    ASSERT_TRUE(world.kube->remove(topics, {"default", "offsets"}, {}));
    world.settle();
    EXPECT_FALSE(world.kube->get(topics, {"default", "offsets"}));
    EXPECT_TRUE(exists("__consumer_offsets"));
}

TEST_F(Topics, what_cannot_be_read_says_so_and_holds_up_nobody) {
    world.apply_topic("broken", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                    "deletionPolicy": "Delete",
                                    "config": {"cleanup.policy": ["compact", "delete"]}})");
    world.apply_topic("fine",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("fine"), "Ready"), "True");
    EXPECT_EQ(World::condition(world.topic("broken"), "Ready"), "False");
    EXPECT_THAT(world.topic("broken")["status"]["message"].text(),
                HasSubstr("spec.config[cleanup.policy]: [\"compact\",\"delete\"] is no text"));
    EXPECT_FALSE(exists("broken"));
    ASSERT_TRUE(world.kube->remove(topics, {"default", "broken"}, {}));
    world.settle();
    EXPECT_FALSE(world.kube->get(topics, {"default", "broken"}));
}

TEST_F(Topics, nobody_asks_for_more_in_sync_replicas_than_there_are) {
    world.apply_topic("three",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    world.settle();
    world.apply_topic("three", R"({"clusterRef": {"name": "main"}, "partitions": 1,
                                   "config": {"min.insync.replicas": "4"}})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("three"), "Ready"), "False");
    EXPECT_THAT(world.topic("three")["status"]["message"].text(),
                HasSubstr("4 is more than the topic's 3 replicas"));
    EXPECT_EQ(described("three").configs().at("min.insync.replicas"), "2");
}

TEST_F(Topics, a_mirror_is_the_links_affair_until_it_is_promoted) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 2, "replicas": 3,
                                    "config": {"retention.ms": "1000"}})");
    world.settle();
    set("orders", "millrace.mirror.link", "some");
    set("orders", "millrace.mirror.state", "mirroring");
    set("orders", "retention.ms", "5");
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 4, "replicas": 3,
                                    "config": {"retention.ms": "1000"}})");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("retention.ms"), "5");
    EXPECT_EQ(described("orders").partitions_size(), 2);
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True");
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "True");
    set("orders", "millrace.mirror.state", "promoted");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("retention.ms"), "1000");
    EXPECT_EQ(described("orders").configs().at("millrace.mirror.link"), "some");
    EXPECT_EQ(described("orders").partitions_size(), 4);
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True");
}

TEST_F(Topics, grows_and_never_shrinks) {
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 2, "replicas": 3})");
    world.settle();
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 5, "replicas": 3})");
    world.settle();
    EXPECT_EQ(described("orders").partitions_size(), 5);
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 3, "replicas": 3})");
    world.settle();
    EXPECT_EQ(described("orders").partitions_size(), 5);
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "False");
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(),
                HasSubstr("can't be taken away"));
}

TEST_F(Topics, the_older_of_two_objects_owns_the_topic_and_the_other_says_who) {
    world.apply_topic(
        "first",
        R"({"clusterRef": {"name": "main"}, "name": "orders", "partitions": 1, "replicas": 3})");
    world.apply_topic(
        "second",
        R"({"clusterRef": {"name": "main"}, "name": "orders", "partitions": 1, "replicas": 3})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("first"), "Owned"), "True");
    EXPECT_EQ(World::condition(world.topic("second"), "Owned"), "False");
    EXPECT_THAT(world.topic("second")["status"]["message"].text(), HasSubstr("default/first"));
    world.kube->take_away(topics, {"default", "first"});
    world.settle();
    EXPECT_EQ(World::condition(world.topic("second"), "Ready"), "True");
}

TEST_F(Topics, stays_when_its_object_goes_unless_the_policy_says_delete) {
    world.apply_topic("kept",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    world.apply_topic(
        "gone",
        R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3, "deletionPolicy": "Delete"})");
    world.settle();
    world.kube->take_away(topics, {"default", "kept"});
    world.kube->take_away(topics, {"default", "gone"});
    world.settle();
    EXPECT_TRUE(exists("kept"));
    EXPECT_FALSE(exists("gone"));
    EXPECT_FALSE(world.kube->find(topics, {"default", "gone"}));
}

// Whoever may make Topics in any namespace could take the names of a Cluster's by being there
// first.
TEST_F(Topics, who_is_not_allowed_to_name_the_cluster_owns_nothing_of_it) {
    const std::string spec = R"({"clusterRef": {"name": "main", "namespace": "default"},
                                 "partitions": 1, "replicas": 3, "deletionPolicy": "Delete"})";
    world.apply_topic("orders", spec, "elsewhere");
    world.settle();
    EXPECT_THAT(world.topic("orders", "elsewhere")["status"]["message"].text(),
                HasSubstr("doesn't name namespace elsewhere"));
    EXPECT_FALSE(exists("orders"));
    world.clock.advance(60s);
    world.kube->set_now(world.clock.wall());
    world.apply_topic("orders", spec);
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True")
        << world.topic("orders")["status"].dump();
}

TEST_F(Topics, who_is_allowed_no_more_deletes_nothing) {
    world.apply_cluster(R"({"replicas": 3, "storage": {"size": "1Gi"},
                            "topics": {"allowedNamespaces": ["elsewhere"]}})");
    world.apply_topic("orders", R"({"clusterRef": {"name": "main", "namespace": "default"},
                                    "partitions": 1, "replicas": 3, "deletionPolicy": "Delete"})",
                      "elsewhere");
    world.settle();
    ASSERT_EQ(World::condition(world.topic("orders", "elsewhere"), "Ready"), "True");
    world.apply_cluster(three_brokers);
    world.settle();
    world.kube->take_away(topics, {"elsewhere", "orders"});
    world.settle();
    EXPECT_TRUE(world.topic("orders", "elsewhere").is_null());
    EXPECT_TRUE(exists("orders"));
}

TEST_F(Topics, a_deleted_cluster_holds_no_topic_object_back) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "deletionPolicy": "Delete"})");
    world.settle();
    world.kube->take_away(clusters, {"default", "main"});
    world.kube->take_away(topics, {"default", "orders"});
    world.settle();
    EXPECT_FALSE(world.kube->find(topics, {"default", "orders"}));
}

TEST_F(Topics, an_existing_topic_is_adopted_or_left_as_the_policy_says) {
    world.kube->brokers().add_topic("old", 4, 3, 1);
    world.kube->brokers().add_topic("older", 4, 3, 1);
    world.apply_topic("old", R"({"clusterRef": {"name": "main"}})");
    world.apply_topic("older", R"({"clusterRef": {"name": "main"}, "adoption": "CreateOnly"})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("old"), "Ready"), "True");
    EXPECT_EQ(world.topic("old")["status"]["partitions"].integer(), 4);
    EXPECT_EQ(World::condition(world.topic("older"), "Ready"), "False");
}

// Somebody's compacted topic became one of seven days the moment that a Topic named it.
TEST_F(Topics, what_is_adopted_keeps_the_settings_that_the_spec_does_not_name) {
    world.kube->brokers().add_topic("old", 4, 3, 1);
    set("old", "cleanup.policy", "compact");
    set("old", "retention.ms", "-1");
    set("old", "min.insync.replicas", "3");
    set("old", "segment.bytes", "2000000");
    world.apply_topic(
        "old", R"({"clusterRef": {"name": "main"}, "config": {"segment.bytes": "1048576"}})");
    world.settle();
    const auto configs = described("old").configs();
    EXPECT_EQ(configs.at("cleanup.policy"), "compact");
    EXPECT_EQ(configs.at("retention.ms"), "-1");
    EXPECT_EQ(configs.at("min.insync.replicas"), "3");
    EXPECT_EQ(configs.at("segment.bytes"), "1048576") << "the spec names it";
    EXPECT_EQ(described("old").partitions_size(), 4);
    EXPECT_EQ(described("old").partitions(0).replicas_size(), 3);
    EXPECT_EQ(world.topic("old")["status"]["adoptedConfig"].dump(),
              R"({"cleanup.policy":"compact","min.insync.replicas":"3","retention.ms":"-1"})");
    EXPECT_EQ(World::condition(world.topic("old"), "Synced"), "True");
    EXPECT_THAT(world.events.all,
                Contains(AllOf(HasSubstr("Normal TopicAdopted old: "),
                               HasSubstr("cleanup.policy=compact"), HasSubstr("retention.ms=-1"))));
    EXPECT_THAT(world.events.all, Contains(AllOf(HasSubstr("Normal SettingsReplaced old: "),
                                                 HasSubstr("segment.bytes 2000000 -> 1048576"))));
    set("old", "cleanup.policy", "delete");
    world.new_operator();
    world.settle();
    EXPECT_EQ(described("old").configs().at("cleanup.policy"), "compact") << "it is no less ours";
}

TEST_F(Topics, an_adopted_setting_ends_once_the_spec_has_named_it) {
    world.kube->brokers().add_topic("old", 1, 3, 1);
    set("old", "retention.ms", "-1");
    set("old", "cleanup.policy", "compact");
    world.apply_topic("old", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    world.apply_topic("old",
                      R"({"clusterRef": {"name": "main"}, "config": {"retention.ms": "5000"}})");
    world.settle();
    EXPECT_EQ(described("old").configs().at("retention.ms"), "5000");
    world.apply_topic("old", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    EXPECT_EQ(described("old").configs().count("retention.ms"), 0U);
    EXPECT_EQ(described("old").configs().at("cleanup.policy"), "compact");
    EXPECT_EQ(world.topic("old")["status"]["adoptedConfig"].dump(),
              R"({"cleanup.policy":"compact"})");
}

TEST_F(Topics, what_the_operator_made_itself_has_nothing_adopted) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1})");
    world.settle();
    EXPECT_TRUE(world.topic("orders")["status"]["adoptedConfig"].empty());
    EXPECT_THAT(world.events.all, Not(Contains(HasSubstr("TopicAdopted"))));
}

// The standby's Topic says little; the source's topic was compacted.
TEST_F(Topics, a_mirror_that_is_promoted_keeps_what_it_had_from_its_source) {
    world.kube->brokers().add_topic("orders", 2, 3, 1);
    set("orders", "millrace.mirror.link", "some");
    set("orders", "millrace.mirror.state", "mirroring");
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    set("orders", "cleanup.policy", "compact");
    set("orders", "millrace.mirror.state", "promoted");
    world.settle();
    EXPECT_EQ(described("orders").configs().at("cleanup.policy"), "compact");
    EXPECT_EQ(described("orders").configs().at("millrace.mirror.link"), "some");
}

TEST_F(Topics, one_that_somebody_else_deleted_is_told_and_made_as_it_was) {
    world.kube->brokers().add_topic("old", 4, 2, 1);
    set("old", "cleanup.policy", "compact");
    world.apply_topic("old", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    const std::string told_before = world.topic("old")["status"]["topicId"].text();
    v1::DeleteTopicsRequest request;
    request.add_topics()->set_name("old");
    ASSERT_TRUE(world.kube->brokers().DeleteTopics(request));
    ASSERT_FALSE(exists("old"));
    world.settle();
    EXPECT_EQ(described("old").partitions_size(), 4);
    EXPECT_EQ(described("old").partitions(0).replicas_size(), 2);
    EXPECT_EQ(described("old").configs().at("cleanup.policy"), "compact");
    const std::string told_after = world.topic("old")["status"]["topicId"].text();
    EXPECT_NE(told_before, told_after);
    EXPECT_THAT(world.events.all, Contains(AllOf(HasSubstr("Warning TopicDeleted old: "),
                                                 HasSubstr("made anew, empty"),
                                                 HasSubstr(told_before + " -> " + told_after))));
}

// Real brokers hear of a new topic a moment after it was made: it looked like somebody else's.
TEST(TopicPlan, what_was_made_and_is_not_seen_yet_is_ours) {
    planner::TopicWorld world;
    world.cluster = std::make_shared<const api::Cluster>();
    world.found.emplace();
    world.topics.resize(2);
    for (api::Topic& topic : world.topics) {
        topic.spec.cluster_ref.name = "main";
    }
    world.topics[0].metadata.name = "fresh";
    world.topics[1].metadata.name = "again";
    world.topics[1].status.topic_id = "A";
    world.created = {{"fresh", "F"}, {"again", "B"}};
    const planner::TopicPlan plan = planner::plan_topics(world);
    EXPECT_TRUE(plan.create.empty());
    EXPECT_TRUE(plan.waits);
    EXPECT_EQ(plan.statuses.at({"", "fresh"}).topic_id, "F");
    EXPECT_EQ(plan.statuses.at({"", "again"}).topic_id, "B");
    ASSERT_EQ(plan.news.size(), 1U);
    EXPECT_THAT(plan.news[0].message, HasSubstr("made anew, empty: id A -> B"));
}

TEST_F(Topics, one_that_is_gone_while_its_object_is_paused_says_so) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1})");
    world.settle();
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "paused": true})");
    v1::DeleteTopicsRequest request;
    request.add_topics()->set_name("orders");
    ASSERT_TRUE(world.kube->brokers().DeleteTopics(request));
    world.settle();
    EXPECT_FALSE(exists("orders"));
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(),
                HasSubstr("somebody else deleted it"));
    EXPECT_EQ(std::count_if(
                  world.events.all.begin(), world.events.all.end(),
                  [](const auto& one) { return one.find("TopicDeleted") != std::string::npos; }),
              1);
}

TEST_F(Topics, settings_that_others_change_are_told_and_not_every_second) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                    "config": {"retention.ms": "1000"}})");
    world.settle();
    EXPECT_THAT(world.events.all, Not(Contains(HasSubstr("Settings"))));
    for (int i = 0; i < 20; ++i) {
        set("orders", "retention.ms", std::to_string(5 + i));
        set("orders", "cleanup.policy", "compact");
        ASSERT_TRUE(world.round());
    }
    std::vector<std::string> told;
    std::copy_if(world.events.all.begin(), world.events.all.end(), std::back_inserter(told),
                 [](const auto& one) { return one.find("Settings") != std::string::npos; });
    ASSERT_EQ(told.size(), 1U);
    EXPECT_THAT(told[0], AllOf(HasSubstr("Normal SettingsPutBack orders: "),
                               HasSubstr("retention.ms 5 -> 1000"),
                               HasSubstr("cleanup.policy compact -> its default")));
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3,
                                    "config": {"retention.ms": "2000"}})");
    world.clock.advance(100s);
    world.settle();
    EXPECT_THAT(world.events.all, Not(Contains(HasSubstr("1000 -> 2000"))))
        << "an edit is no drift";
}

// Producers got a policy violation and every screen was green.
TEST_F(Topics, who_takes_no_writes_says_why) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 1})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Writable"), "True");
    set("orders", "millrace.fenced", "true");
    set("orders", "millrace.fenced.by", "abc/orders,xyz/west.orders");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "True");
    EXPECT_EQ(World::condition(world.topic("orders"), "Writable"), "False");
    EXPECT_THAT(
        world.topic("orders")["status"]["message"].text(),
        AllOf(HasSubstr("takes no writes: fenced"), HasSubstr("in cluster abc, xyz/west.orders:")));
    set("orders", "millrace.fenced", "false");
    set("orders", "millrace.mirror.link", "from-west");
    set("orders", "millrace.mirror.state", "mirroring");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Writable"), "False");
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(),
                HasSubstr("mirror of link from-west (mirroring)"));
}

TEST_F(Topics, more_replicas_than_brokers_are_refused_with_the_numbers) {
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    world.settle();
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 5})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Ready"), "False");
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "False");
    EXPECT_EQ(world.topic("orders")["status"]["message"].text(),
              "it has 3 replicas, 5 are wanted: the cluster has 3 brokers; lower spec.replicas to "
              "3 or add brokers");
}

TEST_F(Topics, who_does_not_say_partitions_any_more_keeps_them) {
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 5})");
    world.settle();
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    EXPECT_EQ(described("orders").partitions_size(), 5);
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "True");
}

TEST_F(Topics, all_wrong_settings_are_named_at_once) {
    world.kube->brokers().fail_next("CreateTopics", Code::invalid, "retention.ms", 1000);
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"},
                                    "config": {"retention.ms": "7d", "cleanup.policy": "shred",
                                               "segment.bytes": "2000000"}})");
    world.settle();
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(),
                AllOf(HasSubstr("2 settings are wrong"), HasSubstr("retention.ms"),
                      HasSubstr("cleanup.policy"), Not(HasSubstr("segment.bytes"))));
}

TEST_F(Topics, who_is_paused_says_so_and_what_differs) {
    world.apply_topic("orders",
                      R"({"clusterRef": {"name": "main"}, "partitions": 2, "replicas": 3})");
    world.settle();
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 2, "replicas": 3,
                                    "paused": true})");
    world.settle();
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(), HasSubstr("spec.paused is set"));
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}, "partitions": 4, "replicas": 3,
                                    "paused": true})");
    world.settle();
    EXPECT_EQ(World::condition(world.topic("orders"), "Synced"), "False");
    EXPECT_EQ(world.topic("orders")["status"]["message"].text(),
              "it has 2 partitions, 4 are wanted, and spec.paused is set");
    EXPECT_EQ(described("orders").partitions_size(), 2);
}

TEST_F(Topics, a_deletion_that_waits_says_for_what) {
    for (const char* name : {"held", "refused"}) {
        world.apply_topic(name, R"({"clusterRef": {"name": "main"}, "partitions": 1,
                                    "deletionPolicy": "Delete"})");
    }
    world.settle();
    world.apply_topic("held", R"({"clusterRef": {"name": "main"}, "partitions": 1,
                                  "deletionPolicy": "Delete", "paused": true})");
    world.settle();
    world.kube->brokers().fail_next("DeleteTopics", Code::permission, "not you", 1000);
    world.kube->take_away(topics, {"default", "held"});
    world.kube->take_away(topics, {"default", "refused"});
    world.settle();
    EXPECT_TRUE(exists("held"));
    EXPECT_THAT(world.topic("held")["status"]["message"].text(),
                AllOf(HasSubstr("spec.paused is set"), HasSubstr("deletionPolicy to Retain")));
    EXPECT_THAT(world.topic("refused")["status"]["message"].text(),
                AllOf(HasSubstr("not you"), HasSubstr("deletionPolicy: Delete")));
    EXPECT_EQ(World::condition(world.topic("refused"), "Ready"), "False");
}

TEST_F(Topics, a_topic_for_no_cluster_says_so) {
    world.apply_topic("lost", R"({"clusterRef": {"name": "main"}})");
    world.kube->take_away(clusters, {"default", "main"});
    world.settle();
    EXPECT_THAT(world.topic("lost")["status"]["message"].text(),
                HasSubstr("there is no Cluster default/main"));
}

TEST_F(Topics, what_brokers_refuse_is_told_as_they_say_it) {
    world.kube->brokers().fail_next("CreateTopics", Code::invalid, "no such compression", 1000);
    world.apply_topic("orders", R"({"clusterRef": {"name": "main"}})");
    world.settle();
    EXPECT_THAT(world.topic("orders")["status"]["message"].text(),
                HasSubstr("no such compression"));
}

TEST_F(Topics, a_thousand_are_a_few_calls) {
    for (int i = 0; i < 1000; ++i) {
        world.apply_topic(fmt::format("t{:04}", i),
                          R"({"clusterRef": {"name": "main"}, "partitions": 1, "replicas": 3})");
    }
    const auto before = world.kube->brokers().journal().size();
    world.settle();
    EXPECT_LE(world.kube->brokers().journal().size() - before, 1000U);
    EXPECT_EQ(World::condition(world.topic("t0999"), "Ready"), "True");
    const int writes = world.kube->writes();
    ASSERT_TRUE(world.round());
    EXPECT_EQ(world.kube->writes(), writes);
}

}  // namespace
}  // namespace millrace::reconcile
