// A plan's name and intent as text, and the planner's view of an image.
#include "app/internal/plan_intent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/internal/placement_snapshot.h"
#include "app/internal/plan_computer.h"
#include "metadata/standing.h"

namespace millrace::app {
namespace {

using ::testing::ElementsAre;

admin::PlanWish wish() {
    admin::PlanWish wish;
    wish.mode = placement::Mode::drain;
    wish.drain = {BrokerId{4}, BrokerId{5}};
    wish.lost = {BrokerId{9}};
    wish.replication_factors = {{"a.b_c-d", 2}, {"orders", 3}};
    wish.exclude_topics = {"__*", "tmp-?"};
    wish.empty_cordoned_disks = true;
    wish.limits.max_moves_per_broker = 7;
    wish.limits.max_bytes = 1'000'000'000'000;
    return wish;
}

TEST(PlanIntent, a_wish_can_be_read_back_from_the_plans_name) {
    const auto read = wish_in(plan_name("fingerprint", wish()));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(wish_text(*read), wish_text(wish()));
    EXPECT_EQ(read->mode, placement::Mode::drain);
    EXPECT_THAT(read->drain, ElementsAre(BrokerId{4}, BrokerId{5}));
    EXPECT_THAT(read->lost, ElementsAre(BrokerId{9}));
    EXPECT_EQ(read->replication_factors, wish().replication_factors);
    EXPECT_THAT(read->exclude_topics, ElementsAre("__*", "tmp-?"));
    EXPECT_TRUE(read->empty_cordoned_disks);
    EXPECT_EQ(read->limits.max_moves_per_broker, 7);
    EXPECT_EQ(read->limits.max_bytes, 1'000'000'000'000);
}

TEST(PlanIntent, the_name_depends_on_the_snapshot_and_on_the_wish) {
    admin::PlanWish other = wish();
    other.drain.pop_back();
    EXPECT_EQ(plan_name("f", wish()), plan_name("f", wish()));
    EXPECT_NE(plan_name("f", wish()), plan_name("g", wish()));
    EXPECT_NE(plan_name("f", wish()), plan_name("f", other));
}

TEST(PlanIntent, what_is_no_name_is_refused) {
    EXPECT_FALSE(wish_in("").has_value());
    EXPECT_FALSE(wish_in("0123456789abcdef").has_value());
    EXPECT_FALSE(wish_in("0123456789abcdef/mode=99").has_value());
    EXPECT_FALSE(wish_in("0123456789abcdef/mode=1,factors=orders").has_value());
}

TEST(PlanIntent, an_intent_survives_as_text) {
    PlanIntent intent;
    intent.name = plan_name("f", wish());
    intent.state = admin::PlanState::paused;
    intent.moves = 60;
    intent.bytes = 5'000'000'000;
    intent.lower_bound = 59;
    intent.started_ms = 1'700'000'000'000;
    const auto read = parse_intent(intent_text(intent));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(intent_text(*read), intent_text(intent));
    EXPECT_EQ(read->name, intent.name);
    EXPECT_EQ(read->state, admin::PlanState::paused);
    EXPECT_FALSE(read->is_over());
    EXPECT_FALSE(parse_intent("state=2;moves=1").has_value());
}

TEST(PlanNote, survives_as_text_with_what_blocks) {
    PlanNote note;
    note.id = id_of(plan_name("f", wish()));
    note.done = 3;
    note.in_flight = 2;
    note.failed = 1;
    note.dropped = 4;
    note.bytes_done = 7'000;
    note.bytes_per_second = 500;
    note.blocked = {{{"a.b", PartitionIndex{3}}, "broker 4 takes no replica; it's full: 9/9"},
                    {{"c", PartitionIndex{0}}, "the topic is deleted"}};
    const auto read = parse_note(note_text(note));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(*read, note);
    EXPECT_EQ(note.id.find('/'), std::string::npos);
    EXPECT_FALSE(parse_note("id=1;done=3").has_value());
}

TEST(PlanNote, the_time_that_is_left_follows_from_bytes_and_rate) {
    PlanIntent intent;
    intent.moves = 10;
    intent.bytes = 10'000;
    PlanNote note;
    note.done = 4;
    note.bytes_done = 4'000;
    EXPECT_EQ(progress_of(intent, note).eta_seconds, -1);
    note.bytes_per_second = 500;
    EXPECT_EQ(progress_of(intent, note).eta_seconds, 12);
    EXPECT_EQ(progress_of(intent, note).moves_done, 4);
    intent.state = admin::PlanState::done;
    EXPECT_EQ(progress_of(intent, note).moves_done, 10);
    EXPECT_EQ(progress_of(intent, note).bytes_done, 10'000);
}

metadata::Image image_of(int brokers) {
    metadata::Image image;
    for (int id = 1; id <= brokers; ++id) {
        auto broker = metadata::make_ref<metadata::Broker>();
        broker->id = BrokerId{id};
        broker->fenced = false;
        image.cluster.brokers.set(BrokerId{id}, std::move(broker));
    }
    return image;
}

TEST(PlanWish, more_replicas_than_brokers_are_refused_with_the_numbers) {
    metadata::Image image = image_of(4);
    image.topics.add(Uuid{1, 1}, "orders");
    admin::PlanWish wish;
    wish.replication_factors = {{"orders", 3}};
    EXPECT_TRUE(check_wish(image, wish));
    wish.drain = {BrokerId{4}, BrokerId{3}};
    const auto refused = check_wish(image, wish);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().message(),
              "topic orders can't have 3 replicas: 2 brokers take replicas, 2 leave, 0 are down or "
              "cordoned");
}

TEST(PlanWish, what_does_not_exist_is_refused_by_name) {
    const metadata::Image image = image_of(1);
    admin::PlanWish wish;
    wish.replication_factors = {{"orders", 1}};
    EXPECT_EQ(check_wish(image, wish).error().message(), "there is no topic orders");
    wish = {};
    wish.lost = {BrokerId{9}};
    EXPECT_EQ(check_wish(image, wish).error().message(), "broker 9 is not registered");
}

TEST(PlanWish, a_drain_that_can_not_end_is_not_begun) {
    ComputedPlan computed;
    computed.wish.mode = placement::Mode::drain;
    EXPECT_TRUE(check_begin(computed));
    computed.plan.unmet.push_back({"rack", "two in a rack", "orders", 0, 1});
    EXPECT_TRUE(check_begin(computed));
    computed.plan.unmet.push_back({"drain", "orders-0 can't leave broker 3", "orders", 0, 4});
    EXPECT_EQ(check_begin(computed).error().message(),
              "4 partitions can't leave: orders-0 can't leave broker 3");
}

TEST(PlanIntent, globs_know_stars_and_question_marks) {
    EXPECT_TRUE(matches("*", ""));
    EXPECT_TRUE(matches("__*", "__consumer_offsets"));
    EXPECT_TRUE(matches("*a*b", "xxaxxbab"));
    EXPECT_TRUE(matches("tmp-?", "tmp-1"));
    EXPECT_FALSE(matches("tmp-?", "tmp-12"));
    EXPECT_FALSE(matches("orders", "orders2"));
}

TEST(PlacementSnapshot, counts_a_moving_partition_where_it_goes_and_knows_who_gets_nothing) {
    metadata::Image image;
    for (int id = 1; id <= 4; ++id) {
        auto broker = metadata::make_ref<metadata::Broker>();
        broker->id = BrokerId{id};
        broker->fenced = id == 4;
        image.cluster.brokers.set(BrokerId{id}, std::move(broker));
    }
    image.configs.set(metadata::broker_settings(BrokerId{3}),
                      std::string(metadata::setting::cordoned), "true");
    const Uuid topic{1, 1};
    image.topics.add(topic, "orders");
    auto partition = metadata::make_ref<metadata::Partition>();
    const auto list = [](std::vector<BrokerId> ids) { return metadata::BrokerList(ids); };
    partition->replicas = list({BrokerId{2}, BrokerId{1}});
    partition->adding = list({BrokerId{2}});
    partition->removing = list({BrokerId{1}});
    partition->isr = list({BrokerId{1}});
    image.topics.set_partition({topic, PartitionIndex{0}}, std::move(partition));
    ReplicaSizes sizes;
    sizes[BrokerId{1}].push_back({"/data", 1000, 400, false, {{"orders", {{0, 77}}}}});
    const placement::Snapshot snapshot = snapshot_of(image, sizes, {BrokerId{1}}, {});
    ASSERT_EQ(snapshot.brokers.size(), 4U);
    EXPECT_EQ(snapshot.brokers[0].standing, placement::Standing::draining);
    EXPECT_EQ(snapshot.brokers[0].disks.at(0).used, 600);
    EXPECT_EQ(snapshot.brokers[1].standing, placement::Standing::active);
    EXPECT_EQ(snapshot.brokers[2].standing, placement::Standing::cordoned);
    EXPECT_EQ(snapshot.brokers[3].standing, placement::Standing::cordoned);
    const placement::PartitionState& state = snapshot.topics.at(0).partitions.at(0);
    EXPECT_TRUE(state.is_moving);
    EXPECT_EQ(state.bytes, 77);
    ASSERT_EQ(state.replicas.size(), 1U);
    EXPECT_EQ(state.replicas[0].broker, BrokerId{2});
}

}  // namespace
}  // namespace millrace::app
