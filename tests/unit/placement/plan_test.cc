// The planner on clusters made by hand: what each mode does, and what it says when it can't.
#include "placement/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/placement/clusters.h"

namespace millrace::placement::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

TEST(Plan, of_an_even_cluster_is_empty) {
    Snapshot snapshot = brokers(6, 3);
    fill_evenly(snapshot, 4, 30, 3);
    const Plan found = plan(snapshot, in_mode(Mode::full), {});
    EXPECT_THAT(found.moves, IsEmpty());
    EXPECT_THAT(found.unmet, IsEmpty());
    EXPECT_EQ(found.lower_bound, 0);
}

TEST(Plan, fills_a_new_broker_with_exactly_the_fewest_copies) {
    Snapshot snapshot = brokers(3, 0);
    fill_evenly(snapshot, 3, 40, 2);  // 80 each
    snapshot.brokers.push_back(brokers(1, 0, 4).brokers.front());
    const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
    EXPECT_EQ(found.lower_bound, 60);
    EXPECT_EQ(found.replica_moves, 60);
    const View now(after(snapshot, found));
    for (const auto& [id, count] : now.counts) {
        EXPECT_EQ(count, 60) << "broker " << id.value;
    }
    for (const Forecast& broker : found.brokers) {
        EXPECT_NEAR(static_cast<double>(broker.leaders_after), 30, 1);
    }
}

// Three partitions on three racks, then two brokers a rack: one too many here, one too few there.
TEST(Plan, a_new_broker_gets_a_replica_though_there_are_only_few) {
    Snapshot snapshot = brokers(3, 3);
    fill_evenly(snapshot, 1, 3, 3);
    for (BrokerState more : brokers(3, 3, 4).brokers) {
        snapshot.brokers.push_back(std::move(more));
    }
    const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
    EXPECT_EQ(found.replica_moves, 3);
    for (const auto& [id, count] : View(after(snapshot, found)).counts) {
        EXPECT_GE(count, 1) << "broker " << id.value;
    }
    EXPECT_THAT(plan(after(snapshot, found), in_mode(Mode::scale_out), {}).moves, IsEmpty());
}

TEST(Plan, moves_only_within_the_rack_that_grew_when_every_rack_has_a_replica_of_all) {
    Snapshot snapshot = brokers(3, 3);
    fill_evenly(snapshot, 2, 60, 3);  // 120 each, one rack each
    BrokerState fourth = brokers(1, 0, 4).brokers.front();
    fourth.rack = "rack-0";
    snapshot.brokers.push_back(fourth);
    const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
    EXPECT_EQ(found.lower_bound, 60);
    EXPECT_EQ(found.replica_moves, 60);
    const View now(after(snapshot, found));
    EXPECT_THAT(now.counts, ElementsAre(std::pair(BrokerId{1}, 60), std::pair(BrokerId{2}, 120),
                                        std::pair(BrokerId{3}, 120), std::pair(BrokerId{4}, 60)));
}

// Even counts would have it give most of them away, beside others in racks that have some.
TEST(Plan, the_only_broker_of_a_rack_keeps_its_part_of_what_has_more_replicas_than_racks) {
    Snapshot snapshot = brokers(8, 2);
    BrokerState lone = brokers(1, 0, 9).brokers.front();
    lone.rack = "rack-2";
    snapshot.brokers.push_back(lone);
    std::vector<std::vector<int>> lists;
    for (int p = 0; p < 40; ++p) {
        lists.push_back({1 + p % 4 * 2, 2 + p % 4 * 2, 9, 1 + (p + 1) % 4 * 2});
    }
    snapshot.topics.push_back(topic("orders", lists));
    const Snapshot now = after(snapshot, plan(snapshot, in_mode(Mode::scale_out), {}));
    EXPECT_EQ(View(now).counts.at(BrokerId{9}), 40);
}

TEST(Plan, empties_a_draining_broker_and_touches_nothing_else) {
    Snapshot snapshot = brokers(6, 3);
    fill_evenly(snapshot, 4, 30, 3);
    snapshot.brokers[5].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    EXPECT_EQ(found.replica_moves, 60);
    EXPECT_EQ(found.lower_bound, 60);
    const View now(after(snapshot, found));
    EXPECT_EQ(now.counts.at(BrokerId{6}), 0);
    // Its rack's other broker must take it all: the racks leave no choice.
    EXPECT_EQ(now.counts.at(BrokerId{3}), 120);
}

TEST(Plan, says_why_a_broker_cannot_be_emptied) {
    Snapshot snapshot = brokers(3, 0);
    fill_evenly(snapshot, 1, 6, 3);
    snapshot.brokers[2].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    EXPECT_THAT(found.moves, IsEmpty());
    ASSERT_THAT(found.unmet, SizeIs(1));
    EXPECT_EQ(found.unmet[0].constraint, "drain");
    EXPECT_EQ(found.unmet[0].count, 6);
    EXPECT_THAT(found.unmet[0].reason,
                HasSubstr("topic-0-0 can't leave broker 3: it has 3 replicas, and 2 brokers are "
                          "left to take them"));
}

TEST(Plan, says_how_much_room_is_lacking_where_a_broker_cannot_be_emptied) {
    Snapshot snapshot = brokers(3, 0);
    const std::int64_t gib = std::int64_t{1} << 30;
    snapshot.topics.push_back(topic("t", {{3, 1}}, 20 * gib));
    for (BrokerState& broker : snapshot.brokers) {
        broker.disks.push_back({Uuid{}, 100 * gib, 90 * gib, false});
    }
    snapshot.brokers[2].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    EXPECT_THAT(found.moves, IsEmpty());
    ASSERT_THAT(found.unmet, SizeIs(1));
    EXPECT_EQ(found.unmet[0].reason,
              "t-0 can't leave broker 3: of 2 brokers that are left, 1 have one of it, 1 lack room "
              "for its 20.0 GiB (broker 2 has most, 5.0 GiB of 100.0 GiB)");
}

TEST(Plan, says_when_emptying_a_rack_doubles_replicas_in_another) {
    Snapshot snapshot = brokers(6, 3);
    fill_evenly(snapshot, 1, 6, 3);
    snapshot.brokers[2].standing = Standing::draining;
    EXPECT_THAT(plan(snapshot, in_mode(Mode::drain), {}).unmet, IsEmpty())
        << "its rack has another";
    snapshot.brokers[5].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    ASSERT_THAT(found.unmet, SizeIs(1));
    EXPECT_EQ(found.unmet[0].constraint, "rack");
    EXPECT_EQ(found.unmet[0].count, 6);
    EXPECT_THAT(found.unmet[0].reason, HasSubstr("2 racks are left for its 3 replicas"));
}

TEST(Plan, a_partition_without_a_leader_keeps_a_broker_from_being_emptied_and_moves_nowhere) {
    Snapshot snapshot = brokers(4, 0);
    snapshot.topics.push_back(topic("t", {{1}, {1, 2}}));
    snapshot.topics[0].partitions[0].leader = no_broker;
    snapshot.brokers[0].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    ASSERT_THAT(found.moves, SizeIs(1));
    EXPECT_EQ(found.moves[0].partition, 1);
    ASSERT_THAT(found.unmet, SizeIs(1));
    EXPECT_EQ(found.unmet[0].constraint, "drain");
    EXPECT_EQ(found.unmet[0].reason, "t-0 has no leader: nobody can copy its replicas now");
}

TEST(Plan, makes_lost_replicas_anew_before_anything_else) {
    Snapshot snapshot = brokers(4, 0);
    fill_evenly(snapshot, 1, 40, 2);
    snapshot.brokers[0].standing = Standing::lost;
    snapshot.brokers[1].standing = Standing::draining;
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    ASSERT_THAT(found.moves, Not(IsEmpty()));
    EXPECT_EQ(found.moves.front().reason, Reason::lost);
    EXPECT_EQ(View(after(snapshot, found)).counts.at(BrokerId{1}), 0);
}

TEST(Plan, takes_two_replicas_of_one_rack_apart) {
    Snapshot snapshot = brokers(6, 3);  // 1,4 | 2,5 | 3,6
    snapshot.topics.push_back(topic("t", {{1, 4, 2}}));
    const Plan found = plan(snapshot, in_mode(Mode::repair), {});
    ASSERT_THAT(found.moves, SizeIs(1));
    EXPECT_EQ(found.moves[0].reason, Reason::rack);
    const Snapshot now = after(snapshot, found);
    EXPECT_EQ(View(now).rack_excess(now.topics[0].partitions[0]), 0U);
    EXPECT_EQ(found.moves[0].arrivals(), 1);
}

TEST(Plan, doubles_up_when_a_rack_is_gone_and_says_so) {
    Snapshot snapshot = brokers(6, 3);
    fill_evenly(snapshot, 1, 6, 3);
    for (const std::size_t i : {2U, 5U}) {
        snapshot.brokers[i].standing = Standing::lost;
    }
    const Plan found = plan(snapshot, in_mode(Mode::repair), {});
    const Snapshot now = after(snapshot, found);
    const View view(now);
    for (const PartitionState& state : now.topics[0].partitions) {
        EXPECT_EQ(state.replicas.size(), 3U);
        EXPECT_EQ(view.on_leaving(state), 0U);
    }
    // And apart again when the rack is back.
    Snapshot back = now;
    for (BrokerState& broker : back.brokers) {
        broker.standing = Standing::active;
    }
    const Snapshot healed = after(back, plan(back, in_mode(Mode::repair), {}));
    for (const PartitionState& state : healed.topics[0].partitions) {
        EXPECT_EQ(View(healed).rack_excess(state), 0U);
    }
}

TEST(Plan, keeps_the_copies_when_the_racks_that_are_left_take_nothing) {
    Snapshot snapshot = brokers(4, 2);  // 1,3 | 2,4
    snapshot.topics.push_back(topic("t", {{1, 2}}));
    snapshot.brokers[1].standing = Standing::lost;
    snapshot.brokers[3].standing = Standing::cordoned;
    const Plan found = plan(snapshot, in_mode(Mode::repair), {});
    ASSERT_THAT(found.moves, SizeIs(1));
    EXPECT_THAT(found.moves[0].to, ElementsAre(BrokerId{1}, BrokerId{3}));
    EXPECT_THAT(found.unmet, Contains(Field(&Unmet::constraint, "rack")));
}

TEST(Plan, leaves_a_partition_alone_whose_every_copy_is_lost_and_says_so) {
    Snapshot snapshot = brokers(4, 0);
    snapshot.topics.push_back(topic("t", {{1}, {2, 1}}));
    snapshot.brokers[0].standing = Standing::lost;
    const Plan found = plan(snapshot, in_mode(Mode::repair), {});
    ASSERT_THAT(found.moves, SizeIs(1));
    EXPECT_EQ(found.moves[0].partition, 1);
    EXPECT_EQ(found.lower_bound, 1);
    EXPECT_THAT(found.unmet, Contains(Field(&Unmet::reason, HasSubstr("t-0 had all of its 1"))));
}

TEST(Plan, changes_a_replication_factor_up_and_down) {
    Snapshot snapshot = brokers(4, 0);
    fill_evenly(snapshot, 1, 8, 2);
    Desired desired = in_mode(Mode::repair);
    desired.replication_factors = {{"topic-0", 3}};
    const Plan up = plan(snapshot, desired, {});
    EXPECT_EQ(up.replica_moves, 8);
    EXPECT_EQ(up.lower_bound, 8);
    const Snapshot three = after(snapshot, up);
    desired.replication_factors = {{"topic-0", 1}};
    const Plan down = plan(three, desired, {});
    EXPECT_EQ(down.replica_moves, 0);
    const Snapshot one = after(three, down);
    for (const PartitionState& state : one.topics[0].partitions) {
        EXPECT_EQ(state.replicas.size(), 1U);
    }
    desired.replication_factors = {{"topic-0", 5}};
    const Plan more_than_there_are = plan(snapshot, desired, {});
    EXPECT_THAT(more_than_there_are.unmet,
                Contains(Field(&Unmet::reason, HasSubstr("has 4 of 5 replicas"))));
}

TEST(Plan, of_leaders_moves_no_data) {
    Snapshot snapshot = brokers(3, 0);
    std::vector<std::vector<int>> lists(30, {1, 2, 3});
    snapshot.topics.push_back(topic("t", lists));
    const Plan found = plan(snapshot, in_mode(Mode::leaders_only), {});
    EXPECT_EQ(found.replica_moves, 0);
    EXPECT_EQ(found.move_bytes, 0);
    EXPECT_EQ(found.leader_changes, 20);
    for (const Forecast& broker : found.brokers) {
        EXPECT_EQ(broker.leaders_after, 10);
    }
}

TEST(Plan, of_leaders_hands_on_through_others_where_no_direct_way_is) {
    Snapshot snapshot = brokers(3, 0);
    // 1 leads four and shares them only with 2; 3 shares only with 2.
    snapshot.topics.push_back(
        topic("t", {{1, 2}, {1, 2}, {1, 2}, {1, 2}, {2, 3}, {2, 3}, {2, 1}, {2, 1}, {2, 3}}));
    const Plan found = plan(snapshot, in_mode(Mode::leaders_only), {});
    for (const Forecast& broker : found.brokers) {
        EXPECT_EQ(broker.leaders_after, 3) << "broker " << broker.id.value;
    }
}

TEST(Plan, lets_nobody_lead_who_is_in_maintenance) {
    Snapshot snapshot = brokers(3, 0);
    fill_evenly(snapshot, 1, 9, 3);
    snapshot.brokers[0].standing = Standing::maintenance;
    const Plan found = plan(snapshot, in_mode(Mode::leaders_only), {});
    EXPECT_EQ(found.replica_moves, 0);
    EXPECT_EQ(found.brokers[0].leaders_after, 0);
}

TEST(Plan, relieves_a_full_disk_with_few_large_replicas) {
    Snapshot snapshot = brokers(3, 0);
    for (BrokerState& broker : snapshot.brokers) {
        broker.disks.push_back(
            {Uuid{1, static_cast<std::uint64_t>(broker.id.value)}, 1000, 100, false});
    }
    snapshot.brokers[0].disks[0].used = 900;
    TopicState state = topic("t", {{1}, {1}, {1}, {1}});
    state.partitions[0].bytes = 300;
    state.partitions[1].bytes = 200;
    state.partitions[2].bytes = 200;
    state.partitions[3].bytes = 200;
    snapshot.topics.push_back(state);
    Desired desired = in_mode(Mode::relieve);
    desired.relieve.push_back({BrokerId{1}, std::nullopt, 50});
    const Plan found = plan(snapshot, desired, {});
    EXPECT_EQ(found.replica_moves, 2);
    EXPECT_EQ(found.move_bytes, 500);
    EXPECT_THAT(found.unmet, IsEmpty());
}

TEST(Plan, puts_nothing_on_a_disk_that_could_not_hold_it) {
    Snapshot snapshot = brokers(3, 0);
    snapshot.topics.push_back(topic("t", {{1, 2}}, 500));
    snapshot.brokers[0].standing = Standing::draining;
    snapshot.brokers[2].disks.push_back({Uuid{1, 3}, 1000, 600, false});
    const Plan found = plan(snapshot, in_mode(Mode::drain), {});
    EXPECT_THAT(found.moves, IsEmpty());
    EXPECT_THAT(found.unmet,
                Contains(Field(&Unmet::reason, HasSubstr("1 lack room for its 500 bytes"))));
}

TEST(Plan, takes_a_topic_that_piles_up_on_one_broker_apart_in_full_mode_only) {
    Snapshot snapshot = brokers(2, 0);
    snapshot.topics.push_back(topic("a", {{1}, {1}, {1}, {1}}));
    snapshot.topics.push_back(topic("b", {{2}, {2}, {2}, {2}}));
    EXPECT_EQ(plan(snapshot, in_mode(Mode::scale_out), {}).replica_moves, 0);
    const Plan found = plan(snapshot, in_mode(Mode::full), {});
    EXPECT_EQ(found.replica_moves, 2);
    const Snapshot now = after(snapshot, found);
    int of_a = 0;
    for (const PartitionState& state : now.topics[0].partitions) {
        of_a += state.replicas[0].broker == BrokerId{1} ? 1 : 0;
    }
    EXPECT_EQ(of_a, 3);  // one more than its share is not worth two copies
}

TEST(Plan, evens_bytes_by_exchanges_where_counts_are_right) {
    Snapshot snapshot = brokers(2, 0);
    snapshot.topics.push_back(topic("a", {{1}, {2}, {1}, {2}}, 10));
    snapshot.topics.push_back(topic("b", {{1}, {2}, {1}, {2}}, 10));
    for (TopicState& one : snapshot.topics) {
        one.partitions[0].bytes = one.partitions[2].bytes = 1000;
    }
    const Plan found = plan(snapshot, in_mode(Mode::full), {});
    EXPECT_NEAR(static_cast<double>(found.brokers[0].bytes_after),
                static_cast<double>(found.brokers[1].bytes_after), 150);
    EXPECT_EQ(found.brokers[0].replicas_after, found.brokers[1].replicas_after);
}

Disk disk(const std::string& path, std::int64_t capacity, std::int64_t used = 0) {
    Disk made;
    made.path = path;
    made.capacity = capacity;
    made.used = used;
    return made;
}

TEST(Plan, a_new_disk_gets_its_share_of_what_its_broker_has_and_no_replica_leaves_the_broker) {
    Snapshot snapshot = brokers(3, 0);
    fill_evenly(snapshot, 2, 24, 3, std::int64_t{64} << 20);
    for (TopicState& topic : snapshot.topics) {
        for (PartitionState& state : topic.partitions) {
            for (Replica& replica : state.replicas) {
                replica.disk = 0;
            }
        }
    }
    const std::int64_t size = std::int64_t{100} << 30;
    for (BrokerState& broker : snapshot.brokers) {
        broker.disks = {disk("/0", size), disk("/1", size)};
    }
    const Plan found = plan(snapshot, in_mode(Mode::scale_out), {});
    EXPECT_THAT(found.moves, IsEmpty());
    std::map<std::pair<int, std::string>, int> arrived;
    for (const DiskMove& move : found.disk_moves) {
        EXPECT_EQ(move.from, "/0");
        EXPECT_EQ(move.to, "/1");
        ++arrived[{move.broker.value, move.topic}];
        auto& replicas = snapshot.topics[move.topic == "topic-0" ? 0 : 1]
                             .partitions[static_cast<std::size_t>(move.partition)]
                             .replicas;
        std::find_if(replicas.begin(), replicas.end(), [&](const Replica& one) {
            return one.broker == move.broker;
        })->disk = 1;
    }
    for (int broker = 1; broker <= 3; ++broker) {
        for (const char* topic : {"topic-0", "topic-1"}) {
            EXPECT_NEAR((arrived[{broker, topic}]), 12, 2) << "broker " << broker << " " << topic;
        }
    }
    EXPECT_THAT(plan(snapshot, in_mode(Mode::scale_out), {}).disk_moves, IsEmpty());
}

TEST(Plan, fills_disks_by_their_capacity_and_never_beyond_it) {
    Snapshot snapshot = brokers(1, 0);
    const std::int64_t gib = std::int64_t{1} << 30;
    snapshot.topics.push_back(
        topic("t", std::vector<std::vector<int>>(40, std::vector<int>{1}), gib));
    for (PartitionState& state : snapshot.topics[0].partitions) {
        state.replicas[0].disk = 0;
    }
    snapshot.brokers[0].disks = {disk("/big", 300 * gib), disk("/small", 100 * gib)};
    EXPECT_NEAR(static_cast<double>(plan(snapshot, in_mode(Mode::scale_out), {}).disk_moves.size()),
                10, 1);
    snapshot.brokers[0].disks[1].used = 92 * gib;  // Others use it too: 3 of its 95 GiB are left.
    EXPECT_THAT(plan(snapshot, in_mode(Mode::scale_out), {}).disk_moves, SizeIs(3));
    snapshot.brokers[0].disks[1].cordoned = true;
    EXPECT_THAT(plan(snapshot, in_mode(Mode::scale_out), {}).disk_moves, IsEmpty());
}

Snapshot on_three_disks(std::int64_t bytes_each) {
    Snapshot snapshot = brokers(1, 0);
    const std::int64_t gib = std::int64_t{1} << 30;
    snapshot.topics.push_back(
        topic("t", std::vector<std::vector<int>>(30, std::vector<int>{1}), bytes_each));
    for (PartitionState& state : snapshot.topics[0].partitions) {
        state.replicas[0].disk = static_cast<std::int16_t>(state.index % 3);
    }
    snapshot.brokers[0].disks = {disk("/0", 100 * gib), disk("/1", 100 * gib),
                                 disk("/2", 100 * gib)};
    for (Disk& one : snapshot.brokers[0].disks) {
        one.used = 10 * bytes_each;
    }
    return snapshot;
}

TEST(Plan, empties_cordoned_disks_where_that_is_asked_for) {
    Snapshot snapshot = on_three_disks(std::int64_t{1} << 30);
    snapshot.brokers[0].disks[1].cordoned = true;
    Desired desired = in_mode(Mode::scale_out);
    EXPECT_THAT(plan(snapshot, desired, {}).disk_moves, IsEmpty());
    desired.empty_cordoned_disks = true;
    std::map<std::string, int> arrived;
    for (const DiskMove& move : plan(snapshot, desired, {}).disk_moves) {
        EXPECT_EQ(move.from, "/1");
        ++arrived[move.to];
    }
    EXPECT_THAT(arrived, ElementsAre(Pair("/0", 5), Pair("/2", 5)));
}

TEST(Plan, says_what_a_cordoned_disk_keeps_for_want_of_room) {
    Snapshot snapshot = on_three_disks(std::int64_t{7} << 30);
    snapshot.brokers[0].disks[1].cordoned = true;
    Desired desired = in_mode(Mode::scale_out);
    desired.empty_cordoned_disks = true;  // 25 of 100 GiB are left on two: three replicas each.
    const Plan found = plan(snapshot, desired, {});
    EXPECT_THAT(found.disk_moves, SizeIs(6));
    ASSERT_THAT(found.unmet, SizeIs(1));
    EXPECT_EQ(found.unmet[0].constraint, "disk");
    EXPECT_EQ(found.unmet[0].count, 4);
    EXPECT_THAT(found.unmet[0].reason, HasSubstr("fit on no other directory"));
}

TEST(Plan, gives_brokers_their_share_by_weight) {
    Snapshot snapshot = brokers(2, 0);
    fill_evenly(snapshot, 1, 40, 1);
    BrokerState big = brokers(1, 0, 3).brokers.front();
    big.weight = 2;
    snapshot.brokers.push_back(big);
    const View now(after(snapshot, plan(snapshot, in_mode(Mode::scale_out), {})));
    EXPECT_EQ(now.counts.at(BrokerId{3}), 20);
}

TEST(Plan, gives_waves_that_respect_the_cap_of_each_broker) {
    Snapshot snapshot = brokers(3, 0);
    fill_evenly(snapshot, 3, 40, 2);
    snapshot.brokers.push_back(brokers(1, 0, 4).brokers.front());
    Limits limits;
    limits.max_moves_per_broker = 5;
    const Plan found = plan(snapshot, in_mode(Mode::scale_out), limits);
    std::map<std::pair<int, BrokerId>, int> in;
    for (const Move& move : found.moves) {
        for (const BrokerId id : move.to) {
            if (std::find(move.from.begin(), move.from.end(), id) == move.from.end()) {
                EXPECT_LE((++in[{move.wave, id}]), 5);
            }
        }
    }
    EXPECT_EQ(found.waves, 12);
}

}  // namespace
}  // namespace millrace::placement::testing
