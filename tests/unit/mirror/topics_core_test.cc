// Which mirror topics there shall be, and in which state (mirror.md 10, by name).
#include "mirror/topics_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/option.h"

namespace millrace::mirror {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr Uuid there{7, 7};

struct MirrorTopics : testing::Test {
    MirrorTopics() {
        link.id = "link-1";
        link.version = 3;
        link.cluster_id = "source";
        link.spec.name = "east";
        link.spec.bootstrap_servers = {"east:9092"};
        link.spec.topics_include = {"orders*"};
        source.cluster_id = "source";
    }

    void at_source(const std::string& name, int partitions, Uuid id = there) {
        client::TopicInfo topic;
        topic.name = name;
        topic.id = id;
        for (int i = 0; i < partitions; ++i) {
            topic.partitions.push_back(
                {PartitionIndex{i}, KafkaError::none, BrokerId{1}, LeaderEpoch{0}});
        }
        source.topics[name] = topic;
    }
    void here(const std::string& name, int partitions, config::Entries settings) {
        const Uuid id{1, ++ids};
        image.topics.add(id, name);
        for (int i = 0; i < partitions; ++i) {
            image.topics.set_partition({id, PartitionIndex{i}},
                                       metadata::make_ref<metadata::Partition>());
        }
        for (const auto& [key, value] : settings) {
            image.configs.set({metadata::ConfigResourceType::topic, name}, key, value);
        }
    }
    config::Entries mirror_in(const std::string& state) const {
        return {{std::string(topic_setting::link), link.id},
                {std::string(topic_setting::state), state},
                {std::string(topic_setting::source_topic), there.to_string()}};
    }
    config::Entries mirror_of(const std::string& owner, const std::string& state) const {
        config::Entries settings = mirror_in(state);
        settings[std::string(topic_setting::link)] = owner;
        settings[std::string(topic_setting::chain)] = link.cluster_id;
        return settings;
    }
    void link_exists(const std::string& id) {
        Link other = link;
        other.id = id;
        image.configs.set({metadata::ConfigResourceType::broker, ""},
                          std::string(config::mirror_link_prefix) + id, encode(other));
    }
    TopicPlan plan() const { return plan_topics({link, &source, image, missing, now}); }
    TopicPlan plan_without_source() const { return plan_topics({link, nullptr, image, missing}); }

    Link link;
    client::ClusterInfo source;
    metadata::Image image;
    std::set<std::string> missing;
    Timestamp now;
    std::uint64_t ids = 0;
};

template <typename Action>
TopicAction action(Action one) {
    return one;
}

TEST_F(MirrorTopics, a_topic_of_the_source_gets_a_mirror) {
    at_source("orders", 3);
    at_source("other", 1);
    EXPECT_THAT(plan().actions, ElementsAre(action(CreateMirror{"orders", "orders", there, 3})));
}

TEST_F(MirrorTopics, a_plan_that_was_carried_out_gives_an_empty_one) {
    at_source("orders", 3);
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions, IsEmpty());
    EXPECT_THAT(plan().refused, IsEmpty());
}

TEST_F(MirrorTopics, with_a_prefix_mirrors_are_named_after_the_source) {
    link.spec.naming = Naming::prefix;
    link.spec.alias = "east";
    at_source("orders", 1);
    EXPECT_THAT(plan().actions,
                ElementsAre(action(CreateMirror{"east.orders", "orders", there, 1})));
}

TEST_F(MirrorTopics, a_mirror_of_another_link_does_not_come_once_more_under_a_second_prefix) {
    link.spec.naming = Naming::prefix;
    link.spec.alias = "east";
    link.spec.topics_include = {"*"};
    Link other = link;
    other.id = "link-2";
    other.spec.alias = "dc.north";
    image.configs.set({metadata::ConfigResourceType::broker, ""},
                      std::string(config::mirror_link_prefix) + "north", encode(other));
    at_source("dc.north.orders", 1);
    at_source("dc.south.orders", 1);
    EXPECT_THAT(
        plan().actions,
        ElementsAre(action(CreateMirror{"east.dc.south.orders", "dc.south.orders", there, 1})));
    EXPECT_THAT(plan().left_out, ElementsAre("dc.north.orders"));
    // Unless somebody means just that one.
    link.spec.topics_include = {"dc.north.orders"};
    EXPECT_THAT(
        plan().actions,
        ElementsAre(action(CreateMirror{"east.dc.north.orders", "dc.north.orders", there, 1})));
}

TEST_F(MirrorTopics, with_the_names_of_the_source_mirrors_of_others_are_followed_too) {
    link.spec.topics_include = {"*"};
    Link other = link;
    other.id = "link-2";
    other.spec.naming = Naming::prefix;
    other.spec.alias = "north";
    image.configs.set({metadata::ConfigResourceType::broker, ""},
                      std::string(config::mirror_link_prefix) + "north", encode(other));
    at_source("north.orders", 1);
    EXPECT_THAT(plan().actions,
                ElementsAre(action(CreateMirror{"north.orders", "north.orders", there, 1})));
}

TEST_F(MirrorTopics, partitions_that_were_added_are_added_here) {
    at_source("orders", 5);
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions, ElementsAre(action(GrowMirror{"orders", 5})));
}

TEST_F(MirrorTopics, fewer_partitions_at_the_source_halt) {
    at_source("orders", 2);
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions,
                ElementsAre(action(SetStage{"orders", {Stage::halted, "NameConflict", 3}})));
}

// A topic of data that happens to be called so would be missing after a failover.
TEST_F(MirrorTopics, what_is_not_mirrored_for_its_name_alone_is_told) {
    link.spec.topics_include = {"orders*", "__named", "mm2-*"};
    for (const char* name : {"orders.internal", "__named", "orders.heartbeats", "parcels.internal",
                             "mm2-offsets.east.internal", "orders.checkpoints.internal"}) {
        at_source(name, 1);
    }
    EXPECT_THAT(plan().actions, IsEmpty());
    EXPECT_THAT(plan().missed, ElementsAre("__named", "orders.internal"));
    link.spec.topics_exclude = {"*.internal"};
    EXPECT_THAT(plan().missed, ElementsAre("__named"));
}

TEST_F(MirrorTopics, what_is_left_out_by_now_pauses_and_is_never_promoted_cut_or_removed) {
    at_source("users", 2);
    here("users", 2, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions,
                ElementsAre(TopicAction{SetStage{"users", {Stage::paused, {}, 0}}}));
    EXPECT_EQ(plan_without_source().actions, plan().actions);
    link.spec.state = Desired::promoted;
    EXPECT_EQ(plan().actions, plan_without_source().actions);
    here("users", 2, mirror_in("promoting"));
    EXPECT_THAT(plan().actions,
                ElementsAre(TopicAction{SetStage{"users", {Stage::paused, {}, 0}}}));
    link.spec.state = Desired::mirroring;
    link.spec.truncate_existing = true;
    link.spec.on_source_deleted = Reaction::remove;
    for (const char* state : {"promoted", "paused", "orphaned:1@1"}) {
        here("users", 2, mirror_in(state));
        EXPECT_THAT(plan().actions, IsEmpty()) << state;
    }
}

TEST_F(MirrorTopics, a_local_topic_of_that_name_is_never_taken) {
    at_source("orders", 3);
    here("orders", 3, {});
    EXPECT_THAT(plan().actions, IsEmpty());
    EXPECT_EQ(plan().refused.at("orders"), HaltReason::name_conflict);
}

TEST_F(MirrorTopics, a_topic_made_here_since_the_promotion_stands_in_nobodys_way) {
    at_source("orders", 3);
    here("orders", 3, {});
    link.spec.state = Desired::promoted;
    EXPECT_THAT(plan().actions, IsEmpty());
    EXPECT_FALSE(plan().refused.contains("orders"));
}

TEST(MirrorLineage, a_source_that_began_as_our_mirror_is_known_by_our_ids) {
    const Uuid local{1, 2};
    const std::map<std::string, std::string> settings = {
        {"millrace.mirror.source.cluster.id", "us;others"},
        {"millrace.mirror.source.topic.id", local.to_string()}};
    EXPECT_TRUE(began_here(settings, "us", local));
    EXPECT_FALSE(began_here(settings, "us", Uuid{1, 3})) << "made anew here";
    EXPECT_FALSE(began_here(settings, "others", local)) << "it came through us";
    EXPECT_FALSE(began_here({}, "us", local));
}

TEST_F(MirrorTopics, a_mirror_of_another_link_is_never_taken) {
    at_source("orders", 3);
    link_exists("link-2");
    link.spec.truncate_existing = true;
    here("orders", 3, mirror_of("link-2", "mirroring"));
    EXPECT_THAT(plan().actions, IsEmpty());
    EXPECT_EQ(plan().refused.at("orders"), HaltReason::name_conflict);
}

TEST_F(MirrorTopics, the_mirror_of_a_link_that_is_gone_is_taken_on_where_it_stood) {
    at_source("orders", 3);
    here("orders", 3, mirror_of("link-2", "mirroring"));
    EXPECT_THAT(plan().actions, ElementsAre(action(AdoptTopic{"orders", "orders", there})));
}

TEST_F(MirrorTopics, the_mirror_of_a_link_that_is_gone_is_left_alone_if_it_followed_another_topic) {
    at_source("orders", 3, Uuid{8, 8});
    here("orders", 3, mirror_of("link-2", "mirroring"));
    EXPECT_EQ(plan().refused.at("orders"), HaltReason::name_conflict);
}

TEST_F(MirrorTopics, what_was_promoted_is_taken_on_only_where_the_link_may_truncate) {
    at_source("orders", 3);
    here("orders", 3, mirror_of("link-2", "promoted"));
    EXPECT_EQ(plan().refused.at("orders"), HaltReason::name_conflict);
    link.spec.truncate_existing = true;
    EXPECT_THAT(plan().actions, ElementsAre(action(AdoptTopic{"orders", "orders", there})));
}

TEST_F(MirrorTopics, a_promotion_record_comes_back_from_its_text_also_from_before) {
    const Sealed one{PartitionIndex{3}, LeaderEpoch{4}, Offset{500},
                     LeaderEpoch{1001}, Offset{520},    std::chrono::milliseconds{1500},
                     Timestamp{99}};
    const auto all = sealed_in("0:1:10:1001," + promotion_entry(one));
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all.at(PartitionIndex{0}).end, Offset{10});
    EXPECT_EQ(all.at(PartitionIndex{0}).source_end, no_offset);
    EXPECT_EQ(all.at(PartitionIndex{3}), one);
}

TEST_F(MirrorTopics, a_local_topic_follows_where_the_link_may_truncate) {
    link.spec.truncate_existing = true;
    at_source("orders", 3);
    here("orders", 3, {});
    EXPECT_THAT(plan().actions, ElementsAre(action(AdoptTopic{"orders", "orders", there})));
}

TEST_F(MirrorTopics, a_topic_that_was_made_anew_at_the_source_halts) {
    at_source("orders", 3, Uuid{8, 8});
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions,
                ElementsAre(action(SetStage{"orders", {Stage::halted, "TopicRecreated", 3}})));
}

TEST_F(MirrorTopics, a_topic_that_is_gone_at_the_source_is_orphaned_at_the_second_look) {
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions, IsEmpty());
    missing = {"orders"};
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::orphaned, "", 3}})));
}

TEST_F(MirrorTopics, an_orphan_whose_topic_is_back_goes_on_or_halts_if_it_is_another) {
    here("orders", 3, mirror_in("orphaned:@3"));
    missing = {"orders"};
    EXPECT_THAT(plan().actions, IsEmpty());
    at_source("orders", 3);
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::mirroring, "", 0}})));
    at_source("orders", 3, Uuid{8, 8});
    EXPECT_THAT(plan().actions,
                ElementsAre(action(SetStage{"orders", {Stage::halted, "TopicRecreated", 3}})));
}

TEST_F(MirrorTopics, an_orphan_goes_after_its_grace_where_the_policy_is_to_delete) {
    now = Timestamp{1'000};
    for (int i = 0; i < 4; ++i) {
        at_source(fmt::format("orders{}", i), 1);
        here(fmt::format("orders{}", i), 1, mirror_in("mirroring"));
    }
    here("orders", 3, mirror_in("mirroring"));
    missing = {"orders"};
    EXPECT_THAT(
        plan().actions,
        ElementsAre(action(SetStage{"orders", {Stage::orphaned, "", 3, Timestamp{1'000}}})));
    image.configs.set({metadata::ConfigResourceType::topic, "orders"},
                      std::string(topic_setting::state), "orphaned:1000@3");
    now = now + std::chrono::hours{24};
    EXPECT_THAT(plan().actions, IsEmpty()) << "the policy is to retain";
    link.spec.on_source_deleted = Reaction::remove;
    EXPECT_THAT(plan().actions, ElementsAre(action(RemoveMirror{"orders", Uuid{1, ids}})));
    now = Timestamp{now.milliseconds - 1};
    EXPECT_THAT(plan().actions, IsEmpty()) << "within the grace";
}

TEST_F(MirrorTopics, no_orphan_goes_while_more_than_a_fifth_of_the_link_is_lost) {
    link.spec.on_source_deleted = Reaction::remove;
    now = Timestamp{0} + std::chrono::hours{100};
    for (int i = 0; i < 4; ++i) {
        at_source(fmt::format("orders{}", i), 1);
        here(fmt::format("orders{}", i), 1, mirror_in("mirroring"));
    }
    here("orders", 3, mirror_in("orphaned:1000@3"));
    EXPECT_EQ(plan().actions.size(), 1U) << "one of five";
    source.topics.erase("orders0");  // not noted yet, and lost all the same
    EXPECT_THAT(plan().actions, IsEmpty());
    at_source("orders0", 1);
    here("orders5", 3, mirror_in("orphaned:1000@3"));
    EXPECT_THAT(plan().actions, IsEmpty()) << "two of six";
}

TEST_F(MirrorTopics, an_orphan_of_before_begins_its_grace_when_it_is_seen) {
    link.spec.on_source_deleted = Reaction::remove;
    now = Timestamp{5'000};
    here("orders", 3, mirror_in("orphaned:@3"));
    EXPECT_THAT(
        plan().actions,
        ElementsAre(action(SetStage{"orders", {Stage::orphaned, "", 3, Timestamp{5'000}}})));
}

TEST_F(MirrorTopics, what_was_made_anew_is_archived_step_by_step_and_then_mirrored_from_its_start) {
    link.spec.on_source_recreated = Reaction::archive_and_restart;
    at_source("orders", 2, Uuid{8, 8});
    here("orders", 3, mirror_in("halted:TopicRecreated@3"));
    const Uuid old{1, ids};
    EXPECT_THAT(plan().actions, ElementsAre(action(CreateArchive{"orders.archived.1", "orders"})));
    config::Entries archive = mirror_in("archiving");
    archive[std::string(topic_setting::source_topic)] = old.to_string();
    here("orders.archived.1", 3, archive);
    EXPECT_THAT(plan().actions, ElementsAre(action(FinishArchive{"orders.archived.1", "orders"})));
    image.configs.set({metadata::ConfigResourceType::topic, "orders.archived.1"},
                      std::string(topic_setting::state), "archived");
    EXPECT_THAT(plan().actions, ElementsAre(action(RemoveMirror{"orders", old})));
    image.topics.remove(old);
    EXPECT_THAT(plan().actions,
                ElementsAre(action(CreateMirror{"orders", "orders", Uuid{8, 8}, 2})));
}

TEST_F(MirrorTopics, a_second_archive_gets_another_number) {
    link.spec.on_source_recreated = Reaction::archive_and_restart;
    at_source("orders", 3, Uuid{8, 8});
    here("orders", 3, mirror_in("halted:TopicRecreated@3"));
    here("orders.archived.1", 3, mirror_in("archived"));  // of an earlier one
    EXPECT_THAT(plan().actions, ElementsAre(action(CreateArchive{"orders.archived.2", "orders"})));
}

TEST_F(MirrorTopics, an_archive_that_nobody_wants_any_more_goes_while_its_mirror_is_there) {
    at_source("orders", 3);
    here("orders", 3, mirror_in("mirroring"));
    config::Entries archive = mirror_in("archiving");
    archive[std::string(topic_setting::source_topic)] = Uuid{1, ids}.to_string();
    here("orders.archived.1", 3, archive);
    EXPECT_THAT(plan().actions,
                ElementsAre(action(RemoveMirror{"orders.archived.1", Uuid{1, ids}})));
}

TEST_F(MirrorTopics, an_archive_whose_mirror_is_gone_keeps_what_it_has) {
    config::Entries archive = mirror_in("archiving");
    archive[std::string(topic_setting::source_topic)] = Uuid{9, 9}.to_string();
    here("orders.archived.1", 3, archive);
    EXPECT_THAT(plan().actions,
                ElementsAre(action(SetStage{"orders.archived.1", {Stage::archived, "", 0}})));
}

TEST_F(MirrorTopics, what_halted_tries_again_when_the_link_was_changed) {
    at_source("orders", 3);
    here("orders", 3, mirror_in("halted:DataGap@3"));
    EXPECT_THAT(plan().actions, IsEmpty());
    link.version = 4;
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {}})));
}

TEST_F(MirrorTopics, a_pause_is_noted_also_without_the_source) {
    link.spec.state = Desired::paused;
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan_without_source().actions,
                ElementsAre(action(SetStage{"orders", {Stage::paused, "", 0}})));
}

TEST_F(MirrorTopics, without_the_source_nothing_is_taken_for_deleted) {
    missing = {"orders"};
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan_without_source().actions, IsEmpty());
}

TEST_F(MirrorTopics, a_planned_promotion_drains_first) {
    link.spec.state = Desired::promoted;
    at_source("orders", 3);
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::promoting, "", 0}})));
}

TEST_F(MirrorTopics, a_promotion_under_way_asks_for_the_drain_until_it_is_done) {
    link.spec.state = Desired::promoted;
    at_source("orders", 3);
    here("orders", 3, mirror_in("promoting"));
    EXPECT_THAT(plan().actions, ElementsAre(action(Drain{"orders", "orders"})));
}

TEST_F(MirrorTopics, a_forced_promotion_does_not_wait_for_the_source) {
    link.spec.state = Desired::promoted;
    link.spec.promotion = Promotion::forced;
    here("orders", 3, mirror_in("mirroring"));
    EXPECT_THAT(plan_without_source().actions,
                ElementsAre(action(SetStage{"orders", {Stage::promoted, "", 0}})));
}

// Else nobody could ever make it writable: its link is gone, and its source is dead.
TEST_F(MirrorTopics, a_forced_promotion_takes_on_the_mirrors_of_a_link_that_is_gone) {
    link.spec.state = Desired::promoted;
    here("orders", 3, mirror_of("link-2", "mirroring"));
    EXPECT_THAT(plan_without_source().actions, IsEmpty()) << "planned: the source decides";
    link.spec.promotion = Promotion::forced;
    const auto taken = ElementsAre(action(PromoteOrphan{"orders"}));
    EXPECT_THAT(plan_without_source().actions, taken);
    link.cluster_id.clear();  // made anew after the source has died: it was never seen
    EXPECT_THAT(plan_without_source().actions, taken);
    link.spec.expected_cluster_id = "source";
    EXPECT_THAT(plan_without_source().actions, taken);
    link.spec.expected_cluster_id = "another";
    EXPECT_THAT(plan_without_source().actions, IsEmpty());
    link.spec.expected_cluster_id.clear();
    link.spec.topics_exclude = {"orders"};
    EXPECT_THAT(plan_without_source().actions, IsEmpty());
}

TEST_F(MirrorTopics, a_forced_promotion_takes_nothing_that_is_somebodys_or_nobodys) {
    link.spec.state = Desired::promoted;
    link.spec.promotion = Promotion::forced;
    link_exists("link-2");
    here("orders", 3, mirror_of("link-2", "mirroring"));
    here("orders.local", 3, {});
    here("orders.archived.1", 3, mirror_of("link-3", "archived"));
    EXPECT_THAT(plan_without_source().actions, IsEmpty());
}

TEST_F(MirrorTopics, an_orphan_whose_promotion_did_not_end_is_taken_on_and_a_writable_one_is_not) {
    link.spec.state = Desired::promoted;
    link.spec.promotion = Promotion::forced;
    config::Entries settings = mirror_of("link-2", "promoted");
    settings[std::string(topic_setting::promotion)] = "0:1:10:1001";
    here("orders", 2, settings);
    EXPECT_THAT(plan_without_source().actions, ElementsAre(action(PromoteOrphan{"orders"})));
    settings[std::string(topic_setting::promotion)] = "0:1:10:1001,1:1:10:1001";
    here("orders2", 2, settings);
    EXPECT_THAT(plan_without_source().actions, ElementsAre(action(PromoteOrphan{"orders"})));
}

TEST_F(MirrorTopics, a_planned_promotion_takes_on_the_mirrors_of_a_link_that_is_gone_and_drains) {
    link.spec.state = Desired::promoted;
    at_source("orders", 3);
    here("orders", 3, mirror_of("link-2", "mirroring"));
    EXPECT_THAT(plan().actions, ElementsAre(action(AdoptTopic{"orders", "orders", there})));
}

// What was made at the source a moment before would stay behind there, and take writes.
TEST_F(MirrorTopics, a_planned_promotion_takes_along_what_the_source_has_by_now) {
    link.spec.state = Desired::promoted;
    at_source("orders", 3);
    at_source("orders.fresh", 1);
    here("orders", 3, mirror_in("promoting"));
    EXPECT_THAT(plan().actions,
                ElementsAre(action(Drain{"orders", "orders"}),
                            action(CreateMirror{"orders.fresh", "orders.fresh", there, 1})));
    link.spec.promotion = Promotion::forced;
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::promoted, "", 0}})));
}

TEST_F(MirrorTopics, what_is_made_at_the_source_after_a_promotion_is_its_own) {
    link.spec.state = Desired::promoted;
    at_source("orders", 3);
    at_source("orders.fresh", 1);
    here("orders", 3, mirror_in("promoted"));
    EXPECT_THAT(plan().actions, IsEmpty());
}

TEST_F(MirrorTopics, a_local_topic_is_not_taken_by_a_promotion_and_its_namesake_is_told) {
    link.spec.state = Desired::promoted;
    link.spec.truncate_existing = true;
    at_source("orders", 3);
    at_source("orders2", 1);
    here("orders", 3, mirror_in("promoting"));
    here("orders2", 1, {});
    EXPECT_THAT(plan().actions, ElementsAre(action(Drain{"orders", "orders"})));
    EXPECT_EQ(plan().strangers, (std::map<std::string, std::string>{{"orders2", "orders2"}}));
}

TEST_F(MirrorTopics, a_pause_does_not_take_a_promotion_back) {
    link.spec.state = Desired::paused;
    link.spec.truncate_existing = true;
    at_source("orders", 3);
    here("orders", 3, mirror_in("promoted"));
    EXPECT_THAT(plan().actions, IsEmpty());
}

TEST_F(MirrorTopics, one_topic_alone_is_promoted_by_its_override) {
    link.spec.topic_states["orders"] = Desired::promoted;
    link.spec.promotion = Promotion::forced;
    at_source("orders", 1);
    at_source("orders2", 1);
    here("orders", 1, mirror_in("mirroring"));
    here("orders2", 1, mirror_in("mirroring"));
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::promoted, "", 0}})));
}

TEST_F(MirrorTopics, a_promoted_topic_goes_back_only_where_it_may_be_truncated) {
    at_source("orders", 3);
    here("orders", 3, mirror_in("promoted"));
    EXPECT_THAT(plan().actions, IsEmpty());
    link.spec.truncate_existing = true;
    EXPECT_THAT(plan().actions, ElementsAre(action(Rejoin{"orders", "orders"})));
}

TEST_F(MirrorTopics, a_promoted_topic_does_not_go_back_to_a_source_that_nobody_sees) {
    link.spec.truncate_existing = true;
    here("orders", 3, mirror_in("promoted"));
    EXPECT_THAT(plan_without_source().actions, IsEmpty());
}

// Whatever is wished by now: the source may have taken writes since.
TEST_F(MirrorTopics, a_rejoining_topic_is_held_against_its_source_once_more) {
    at_source("orders", 3);
    here("orders", 3, mirror_in("rejoining"));
    for (const Desired wish : {Desired::mirroring, Desired::promoted, Desired::paused}) {
        link.spec.state = wish;
        EXPECT_THAT(plan().actions, ElementsAre(action(Rejoin{"orders", "orders"})));
        EXPECT_THAT(plan_without_source().actions, IsEmpty());
    }
}

TEST_F(MirrorTopics, a_rejoining_topic_takes_writes_again_without_its_source_if_that_is_dead) {
    here("orders", 3, mirror_in("rejoining"));
    link.spec.state = Desired::promoted;
    link.spec.promotion = Promotion::forced;
    EXPECT_THAT(plan_without_source().actions,
                ElementsAre(action(SetStage{"orders", {Stage::promoted, {}, 0}})));
}

TEST_F(MirrorTopics, what_was_adopted_to_rejoin_is_known_by_its_note) {
    const StageNote note{Stage::rejoining, std::string(adopted), 0};
    EXPECT_EQ(stage_of(to_text(note)), note);
    EXPECT_EQ(to_text({Stage::rejoining, {}, 0}), "rejoining");
}

TEST(MirrorLosses, what_two_switchovers_may_cut_is_kept_and_the_oldest_goes_first) {
    std::string entries = "oldest,older";
    for (int i = 0; i < 99; ++i) {
        entries += ",one";
    }
    EXPECT_EQ(losses_to_drop(entries, 3), "oldest") << "a hundred are kept";
    EXPECT_EQ(losses_to_drop(entries + ",one", 3), "oldest,older");
    EXPECT_EQ(losses_to_drop(entries, 51), "");
    EXPECT_EQ(losses_to_drop("", 3), "");
}

TEST_F(MirrorTopics, settings_follow_the_source_and_then_stand_still) {
    const std::map<std::string, std::string> source_has{{"retention.ms", "5"},
                                                        {"unclean.leader.election.enable", "true"}};
    config::Entries local{{"segment.ms", "9"}, {"min.insync.replicas", "2"}};
    const auto changes = setting_changes(source_has, local);
    EXPECT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes.at("retention.ms"), "5");
    EXPECT_EQ(changes.at("segment.ms"), std::nullopt);
    local = {{"retention.ms", "5"}, {"min.insync.replicas", "2"}};
    EXPECT_THAT(setting_changes(source_has, local), IsEmpty());
}

TEST_F(MirrorTopics, a_stage_comes_back_from_its_text) {
    for (const StageNote& note :
         {StageNote{}, StageNote{Stage::halted, "DataGap", 12}, StageNote{Stage::orphaned, "", 4},
          StageNote{Stage::promoted, "", 0}, StageNote{Stage::orphaned, "", 4, Timestamp{77}},
          StageNote{Stage::archiving, "", 0}, StageNote{Stage::archived, "", 0}}) {
        EXPECT_EQ(stage_of(to_text(note)), note);
    }
}

TEST_F(MirrorTopics, what_is_gone_at_the_source_is_promoted_without_a_fence) {
    link.spec.state = Desired::promoted;
    here("orders", 1, mirror_in("orphaned:1@3"));
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::promoted, {}, 0}})));
}

TEST_F(MirrorTopics, what_was_made_anew_at_the_source_is_promoted_without_a_fence) {
    link.spec.state = Desired::promoted;
    at_source("orders", 1, Uuid{8, 8});
    here("orders", 1, mirror_in("halted:TopicRecreated@3"));
    EXPECT_THAT(plan().actions, ElementsAre(action(SetStage{"orders", {Stage::promoted, {}, 0}})));
}

TEST_F(MirrorTopics, one_look_that_misses_a_topic_does_not_end_its_planned_promotion) {
    link.spec.state = Desired::promoted;
    here("orders", 1, mirror_in("promoting"));
    EXPECT_THAT(plan().actions, ElementsAre(action(Drain{"orders", "orders"})));
}

TEST_F(MirrorTopics, partitions_that_are_added_while_it_drains_are_added_here) {
    link.spec.state = Desired::promoted;
    at_source("orders", 5);
    here("orders", 3, mirror_in("promoting"));
    EXPECT_THAT(plan().actions,
                ElementsAre(action(Drain{"orders", "orders"}), action(GrowMirror{"orders", 5})));
}

TEST(MirrorChain, leads_through_every_cluster_and_never_back) {
    using enum Stage;
    EXPECT_EQ(chain_through("a", "", mirroring, "c"), "a");
    EXPECT_EQ(chain_through("b", "a", mirroring, "c"), "b;a");
    EXPECT_EQ(chain_through("b", "a", mirroring, "a"), std::nullopt);
    EXPECT_EQ(chain_through("b", "z;a", mirroring, "a"), std::nullopt);
}

struct MirrorHold : testing::Test {
    /// Of the source's topic, as it shows them to anybody.
    static std::map<std::string, std::string> there_in(const std::string& state,
                                                       const std::string& chain) {
        return {{std::string(topic_setting::state), state},
                {std::string(topic_setting::chain), chain}};
    }
};

TEST_F(MirrorHold, a_source_that_still_follows_us_is_waited_for_whatever_it_does) {
    for (const char* state : {"mirroring", "paused", "halted:DataGap@2", "orphaned:1@2",
                              "promoting", "rejoining", "rejoining:adopted@0"}) {
        const auto settings = there_in(state, "us");
        EXPECT_EQ(hold_of(&settings, "us"), Hold::source_not_promoted) << state;
    }
    const auto through_another = there_in("mirroring", "between;us");
    EXPECT_EQ(hold_of(&through_another, "us"), Hold::source_not_promoted);
}

TEST_F(MirrorHold, a_source_that_was_promoted_or_never_followed_us_is_followed_at_once) {
    const auto promoted = there_in("promoted", "us");
    EXPECT_EQ(hold_of(&promoted, "us"), Hold::none);
    const auto of_another = there_in("mirroring", "somebody");
    EXPECT_EQ(hold_of(&of_another, "us"), Hold::none);
    const std::map<std::string, std::string> plain{{"retention.ms", "5"}};
    EXPECT_EQ(hold_of(&plain, "us"), Hold::none);
}

TEST_F(MirrorHold, a_source_whose_settings_nobody_sees_is_not_followed) {
    EXPECT_EQ(hold_of(nullptr, "us"), Hold::source_topic_unreadable);
}

// A cluster with two mirrors of one topic, one of them under a prefix: what ends the promotion of
// the one leaves the fence of the other.
TEST_F(MirrorHold, a_fence_is_the_promotions_of_one_mirror) {
    std::map<std::string, std::string> settings{
        {std::string(topic_setting::fenced_by), "west/orders,north/east.orders"}};
    EXPECT_TRUE(is_fenced_by(settings, "west", "orders"));
    EXPECT_FALSE(is_fenced_by(settings, "west", "east.orders"));
    EXPECT_FALSE(is_fenced_by(settings, "north", "orders"));
    settings[std::string(topic_setting::fenced_by)] = "west";  // as it was written before
    EXPECT_TRUE(is_fenced_by(settings, "west", "orders"));
}

TEST(MirrorChain, a_cluster_is_not_taken_for_another_whose_id_it_ends) {
    EXPECT_EQ(chain_through("b", "east", Stage::mirroring, "as"), "b;east");
}

TEST(MirrorChain, what_was_promoted_has_a_history_of_its_own) {
    EXPECT_EQ(chain_through("b", "a", Stage::promoted, "a"), "b");
}

}  // namespace
}  // namespace millrace::mirror
