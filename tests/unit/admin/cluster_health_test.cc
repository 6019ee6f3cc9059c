#include "admin/cluster_health.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "metadata/standing.h"

namespace millrace::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// An image made by hand.
class World {
public:
    World& broker(int id, const std::string& rack = "", bool fenced = false,
                  std::int64_t epoch = 5) {
        auto made = metadata::make_ref<metadata::Broker>();
        made->id = BrokerId{id};
        made->epoch = BrokerEpoch{epoch};
        made->fenced = fenced;
        if (!rack.empty()) {
            made->rack = rack;
        }
        image_.cluster.brokers.set(BrokerId{id}, std::move(made));
        return *this;
    }
    World& voter(int id) {
        voters_.emplace_back(id);
        return *this;
    }
    World& silent(int id) {
        silent_->insert(BrokerId{id});
        return *this;
    }
    World& without_leader() {
        silent_.reset();
        return *this;
    }
    World& setting(int broker, std::string_view name, const std::string& value) {
        image_.configs.set(metadata::broker_settings(BrokerId{broker}), std::string{name}, value);
        return *this;
    }
    World& partition(const std::string& topic, int index, std::vector<int> replicas,
                     std::vector<int> isr, int leader, std::vector<int> adding = {}) {
        const Uuid id{1, std::hash<std::string>{}(topic) | 1};
        if (image_.topics.find(id) == nullptr) {
            image_.topics.add(id, topic);
        }
        auto made = metadata::make_ref<metadata::Partition>();
        made->replicas = list(replicas);
        made->isr = list(isr);
        made->adding = list(adding);
        made->leader = BrokerId{leader};
        image_.topics.set_partition({id, PartitionIndex{index}}, std::move(made));
        return *this;
    }
    RestartVerdict ask(std::vector<int> ids, int min_isr = 1, bool with_those_down = false) const {
        RestartQuestion question;
        for (const int id : ids) {
            question.brokers.emplace_back(id);
        }
        question.with_those_down = with_those_down;
        return restart_verdict(image_, question, voters_, silent_,
                               [&](const std::string&) { return min_isr; });
    }
    Health health(int min_isr = 1) const {
        return health_of(image_, BrokerId{1}, [&](const std::string&) { return min_isr; });
    }
    RestartProgress progress(int id, std::int64_t before) const {
        return *restart_progress(image_, BrokerId{id}, BrokerEpoch{before});
    }
    const metadata::Image& image() const { return image_; }

private:
    static metadata::BrokerList list(const std::vector<int>& ids) {
        std::vector<BrokerId> made;
        for (const int id : ids) {
            made.emplace_back(id);
        }
        return metadata::BrokerList(made);
    }
    metadata::Image image_;
    std::vector<BrokerId> voters_;
    std::optional<std::set<BrokerId>> silent_{std::in_place};
};

World three() {
    World world;
    return world.broker(1, "a").broker(2, "b").broker(3, "c");
}

TEST(RestartVerdict, allows_a_stop_that_leaves_every_partition_enough_in_sync) {
    World world = three();
    world.partition("orders", 0, {1, 2, 3}, {1, 2, 3}, 1);
    EXPECT_TRUE(world.ask({1}, 2).allowed);
    EXPECT_TRUE(world.ask({1, 2}, 1).allowed);
}

TEST(RestartVerdict, names_the_partition_that_would_fall_below_its_minimum) {
    World world = three();
    world.partition("orders", 0, {1, 2, 3}, {1, 2}, 1).partition("orders", 1, {2, 3}, {2, 3}, 2);
    const RestartVerdict verdict = world.ask({1}, 2);
    EXPECT_FALSE(verdict.allowed);
    ASSERT_EQ(verdict.blockers.size(), 1u);
    EXPECT_EQ(verdict.blockers[0].reason, RestartBlocker::Reason::under_min_isr);
    EXPECT_EQ(verdict.blockers[0].message, "orders-0 would have 1 in sync, it needs 2");
}

TEST(RestartVerdict, says_when_a_partition_would_be_offline) {
    World world = three();
    world.partition("lonely", 0, {2}, {2}, 2);
    EXPECT_TRUE(world.ask({1, 3}).allowed);
    EXPECT_EQ(world.ask({2}).blockers.at(0).reason, RestartBlocker::Reason::offline);
}

TEST(RestartVerdict, does_not_hold_a_broker_responsible_for_partitions_it_has_no_part_in) {
    World world = three();
    world.partition("sick", 0, {2, 3}, {2}, 2);
    EXPECT_TRUE(world.ask({1}, 2).allowed);
    EXPECT_TRUE(world.ask({3}, 2).allowed) << "3 is not in sync: nothing is lost with it";
}

TEST(RestartVerdict, counts_brokers_that_are_down_when_asked_to) {
    World world;
    world.broker(1).broker(2).broker(3, "", true);
    world.partition("orders", 0, {1, 2, 3}, {1, 2, 3}, 1);
    EXPECT_TRUE(world.ask({2}, 1, true).allowed);
    EXPECT_FALSE(world.ask({2}, 2, true).allowed);
    EXPECT_FALSE(world.ask({2}, 2, false).allowed) << "a fenced broker serves nobody in any case";
}

TEST(RestartVerdict, does_not_nail_brokers_down_for_a_minimum_that_can_not_be_met) {
    World world = three();
    world.partition("orders", 0, {1, 2}, {1, 2}, 1);
    EXPECT_FALSE(world.ask({1}, 3).allowed);
    world.partition("orders", 0, {1, 2}, {2}, 2);
    EXPECT_TRUE(world.ask({1}, 3).allowed);
}

TEST(RestartVerdict, keeps_a_majority_of_voters) {
    World world = three();
    world.voter(1).voter(2).voter(3);
    EXPECT_TRUE(world.ask({1}).allowed);
    EXPECT_EQ(world.ask({1, 2}).blockers.at(0).reason, RestartBlocker::Reason::quorum);
    World alone;
    EXPECT_TRUE(alone.broker(1).voter(1).ask({1}).allowed);
}

// Controllers that are no brokers are in no metadata that could say that they are down.
TEST(RestartVerdict, counts_voters_that_nobody_hears_as_gone) {
    World world = three();
    world.voter(11).voter(12).voter(13).silent(13);
    EXPECT_TRUE(world.ask({13}).allowed);
    EXPECT_TRUE(world.ask({1}).allowed);
    const RestartVerdict verdict = world.ask({12});
    ASSERT_EQ(verdict.blockers.size(), 1u);
    EXPECT_EQ(verdict.blockers[0].message,
              "without 12 the quorum of 3 has no majority; 13 is down");
}

TEST(RestartVerdict, keeps_brokers_running_while_nobody_leads_the_quorum) {
    World world = three();
    world.voter(1).voter(12).voter(13).without_leader();
    const RestartVerdict verdict = world.ask({2});
    ASSERT_EQ(verdict.blockers.size(), 1u);
    EXPECT_THAT(verdict.blockers[0].message, HasSubstr("the quorum has no leader"));
    EXPECT_TRUE(world.ask({1}).allowed) << "it may be what keeps the quorum from electing one";
    EXPECT_TRUE(world.ask({13}).allowed);
}

TEST(SilentVoters, are_those_that_fell_behind_the_freshest) {
    QuorumHealth quorum;
    const auto voter = [&](int id, std::int64_t last_fetch_ms) {
        Voter& one = quorum.voters.emplace_back();
        one.id = BrokerId{id};
        one.last_fetch_ms = last_fetch_ms;
    };
    voter(1, 60'000);  // the leader's clock is a minute behind ours
    voter(2, 60'400);
    voter(3, 63'000);
    voter(4, -1);
    EXPECT_THAT(silent_voters(quorum), ElementsAre(BrokerId{3}, BrokerId{4}));
}

TEST(RestartVerdict, does_not_know_strangers) {
    EXPECT_EQ(three().ask({9}).blockers.at(0).reason, RestartBlocker::Reason::unknown_broker);
}

TEST(Health, shows_brokers_that_are_cordoned_and_that_give_leaders_away) {
    World world = three();
    world.setting(1, metadata::setting::cordoned, "true");
    world.setting(2, metadata::setting::drained_epoch, "5");
    world.setting(3, metadata::setting::drained_epoch, "4");  // of an earlier start
    const Health health = world.health();
    EXPECT_TRUE(health.brokers.at(0).cordoned);
    EXPECT_FALSE(health.brokers.at(1).cordoned);
    EXPECT_EQ(health.brokers.at(0).state, BrokerState::running);
    EXPECT_EQ(health.brokers.at(1).state, BrokerState::draining);
    EXPECT_EQ(health.brokers.at(2).state, BrokerState::running);
}

TEST(LeadersLeft, names_those_that_nobody_else_may_lead) {
    World world = three();
    world.partition("a", 0, {1, 2}, {1, 2}, 1);
    world.partition("b", 0, {1, 2}, {1}, 1);
    world.partition("c", 0, {1, 3}, {1, 3}, 1);
    world.partition("d", 0, {2, 1}, {2, 1}, 2);
    world.setting(3, metadata::setting::drained_epoch, "5");
    const DrainResult left = leaders_left(world.image(), BrokerId{1});
    EXPECT_EQ(left.leaders_left, 3);
    ASSERT_EQ(left.stuck.size(), 2U);
    std::set<std::string> stuck{left.stuck[0].topic, left.stuck[1].topic};
    EXPECT_EQ(stuck, (std::set<std::string>{"b", "c"}));
}

TEST(Health, counts_what_is_wrong_and_shows_the_worst_first) {
    World world;
    world.broker(1, "a").broker(2, "b").broker(3, "c", true);
    world.partition("a", 0, {1, 2}, {1}, 1);
    world.partition("b", 0, {1, 3}, {3}, -1);
    world.partition("c", 0, {1, 2}, {1, 2}, 1);
    const Health health = world.health(2);
    EXPECT_EQ(health.partitions.total, 3);
    EXPECT_EQ(health.partitions.offline, 1);
    EXPECT_EQ(health.partitions.under_min_isr, 2);
    EXPECT_EQ(health.partitions.under_replicated, 2);
    ASSERT_EQ(health.partitions.worst.size(), 2u);
    EXPECT_EQ(health.partitions.worst[0].partition.topic, "b");
    EXPECT_EQ(health.brokers[2].state, BrokerState::fenced);
    EXPECT_EQ(health.brokers[0].leaders, 2);
    EXPECT_EQ(health.brokers[0].lagging_replicas, 1);
    EXPECT_THAT(health.brokers[1].waiting_for, HasSubstr("1 replicas"));
}

TEST(Health, does_not_call_a_partition_sick_for_a_replica_that_is_being_added) {
    World world = three();
    world.partition("orders", 0, {1, 2, 3}, {1, 2}, 1, {3});
    const Health health = world.health();
    EXPECT_EQ(health.partitions.under_replicated, 0);
    EXPECT_EQ(health.partitions.reassigning, 1);
    EXPECT_EQ(health.brokers[2].in_moves, 1);
    EXPECT_EQ(health.brokers[2].lagging_replicas, 0);
}

TEST(Health, sees_replicas_crowded_into_a_rack_only_where_there_is_room_elsewhere) {
    World world;
    world.broker(1, "a").broker(2, "a").broker(3, "b");
    world.partition("crowded", 0, {1, 2}, {1, 2}, 1);
    world.partition("forced", 0, {1, 2, 3}, {1, 2, 3}, 1);
    EXPECT_EQ(world.health().partitions.rack_violations, 1);
    World more_than_racks;
    more_than_racks.broker(1, "a").broker(2, "a").broker(3, "b").broker(4, "b").broker(5, "c");
    more_than_racks.partition("x", 0, {1, 2, 3, 4}, {1, 2, 3, 4}, 1);
    more_than_racks.partition("x", 1, {1, 2, 3, 5}, {1, 2, 3, 5}, 1);
    EXPECT_EQ(more_than_racks.health().partitions.rack_violations, 1);
    World without_racks;
    without_racks.broker(1).broker(2).partition("x", 0, {1, 2}, {1, 2}, 1);
    EXPECT_EQ(without_racks.health().partitions.rack_violations, 0);
}

TEST(RestartProgress, goes_from_the_restart_over_recovery_to_being_caught_up) {
    World world;
    world.broker(1, "", true, 5).broker(2);
    world.partition("orders", 0, {1, 2}, {2}, 2);
    EXPECT_EQ(world.progress(1, 5).waiting_for, "the restart");
    EXPECT_EQ(world.progress(1, 4).waiting_for, "the broker's heartbeat");
    world.broker(1, "", false, 9);
    EXPECT_EQ(world.progress(1, 5).waiting_for, "1 replicas to be in sync");
    EXPECT_EQ(world.progress(1, 5).in_sync_percent, 0);
    EXPECT_FALSE(world.progress(1, 5).caught_up);
    world.partition("orders", 0, {1, 2}, {1, 2}, 1);
    EXPECT_TRUE(world.progress(1, 5).caught_up);
    EXPECT_EQ(world.progress(1, 5).leaders_percent, 100);
    EXPECT_FALSE(restart_progress(world.image(), BrokerId{9}, BrokerEpoch{0}).has_value());
}

}  // namespace
}  // namespace millrace::admin
