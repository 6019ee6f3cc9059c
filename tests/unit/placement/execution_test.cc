// Plans carried out in a small simulated cluster, in which moves end at their own pace, brokers go,
// topics are deleted and the executor itself is replaced.
#include "placement/execution.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/placement/clusters.h"

namespace millrace::placement::testing {
namespace {

using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

using Key = std::pair<std::string, std::int32_t>;

/// What the controller would hold.
class Cluster {
public:
    explicit Cluster(const Snapshot& snapshot) : brokers_(snapshot.brokers) {
        for (const TopicState& topic : snapshot.topics) {
            for (const PartitionState& state : topic.partitions) {
                for (const Replica& replica : state.replicas) {
                    partitions_[{topic.name, state.index}].replicas.push_back(replica.broker);
                }
            }
        }
    }
    WorldNow world() const {
        WorldNow world;
        world.partition = [this](const std::string& topic,
                                 std::int32_t index) -> std::optional<PartitionNow> {
            const auto found = partitions_.find({topic, index});
            return found != partitions_.end() ? std::optional(found->second) : std::nullopt;
        };
        world.takes_replicas = [this](BrokerId id) {
            for (const BrokerState& broker : brokers_) {
                if (broker.id == id) {
                    return broker.standing == Standing::active;
                }
            }
            return false;
        };
        for (const auto& [key, partition] : partitions_) {
            if (partition.is_moving()) {
                world.moving.push_back(partition);
            }
        }
        return world;
    }
    void begin(const Move& move) {
        PartitionNow& now = partitions_.at({move.topic, move.partition});
        ASSERT_EQ(now.replicas, move.from);
        for (const BrokerId id : move.to) {
            if (std::find(move.from.begin(), move.from.end(), id) == move.from.end()) {
                now.adding.push_back(id);
            }
        }
        for (const BrokerId id : move.from) {
            if (std::find(move.to.begin(), move.to.end(), id) == move.to.end()) {
                now.removing.push_back(id);
            }
        }
        now.replicas = move.to;
        now.replicas.insert(now.replicas.end(), now.removing.begin(), now.removing.end());
        before_[{move.topic, move.partition}] = move.from;
    }
    void finish(const Key& key) {
        PartitionNow& now = partitions_.at(key);
        now = {now.target(), {}, {}};
    }
    void revert(const Move& move) {
        partitions_.at({move.topic, move.partition}) = {
            before_.at({move.topic, move.partition}), {}, {}};
    }
    std::vector<Key> moving() const {
        std::vector<Key> keys;
        for (const auto& [key, partition] : partitions_) {
            if (partition.is_moving()) {
                keys.push_back(key);
            }
        }
        return keys;
    }
    void forget_topic(const std::string& topic) {
        std::erase_if(partitions_, [&](const auto& one) { return one.first.first == topic; });
    }
    void set_standing(BrokerId id, Standing standing) {
        for (BrokerState& broker : brokers_) {
            if (broker.id == id) {
                broker.standing = standing;
            }
        }
    }
    /// For a new plan, and to look at.
    Snapshot snapshot() const {
        Snapshot snapshot;
        snapshot.brokers = brokers_;
        for (const auto& [key, now] : partitions_) {
            if (snapshot.topics.empty() || snapshot.topics.back().name != key.first) {
                snapshot.topics.push_back({key.first, {}});
            }
            std::vector<int> ids;
            for (const BrokerId id : now.target()) {
                ids.push_back(id.value);
            }
            snapshot.topics.back().partitions.push_back(partition(key.second, ids));
            snapshot.topics.back().partitions.back().is_moving = now.is_moving();
        }
        return snapshot;
    }
    const std::map<Key, PartitionNow>& partitions() const { return partitions_; }

private:
    std::vector<BrokerState> brokers_;
    std::map<Key, PartitionNow> partitions_;
    std::map<Key, std::vector<BrokerId>> before_;
};

Snapshot grown() {
    Snapshot snapshot = brokers(3, 3);
    fill_evenly(snapshot, 2, 30, 2);
    const Snapshot six = brokers(6, 3);
    snapshot.brokers = six.brokers;
    return snapshot;
}

void start_all(Execution& execution, Cluster& cluster) {
    for (const Move* move : execution.next(cluster.world())) {
        cluster.begin(*move);
        execution.started(*move);
    }
}

TEST(Execution, keeps_as_many_moves_under_way_as_brokers_have_places) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    start_all(execution, cluster);
    const std::size_t under_way = cluster.moving().size();
    EXPECT_GE(under_way, 9U);
    std::map<BrokerId, int> in;
    for (const PartitionNow& now : cluster.world().moving) {
        for (const BrokerId id : now.adding) {
            EXPECT_LE(++in[id], 4);
        }
    }
    EXPECT_THAT(execution.next(cluster.world()), IsEmpty());
    cluster.finish(cluster.moving().front());
    EXPECT_THAT(execution.next(cluster.world()), Not(IsEmpty()));
}

TEST(Execution, with_a_narrower_window_starts_nothing_where_as_much_is_under_way) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    start_all(execution, cluster);
    execution.set_max_moves_per_broker(1);
    EXPECT_THAT(execution.next(cluster.world()), IsEmpty());
    std::size_t started = 0;
    while (!cluster.moving().empty()) {
        cluster.finish(cluster.moving().front());
        std::map<BrokerId, int> in;
        for (const PartitionNow& now : cluster.world().moving) {
            for (const BrokerId id : now.adding) {
                ++in[id];
            }
        }
        for (const Move* move : execution.next(cluster.world())) {
            for (const BrokerId id : move->to) {
                const bool arrives =
                    std::find(move->from.begin(), move->from.end(), id) == move->from.end();
                EXPECT_FALSE(arrives && in[id] > 0) << id.value;
            }
            ++started;
        }
    }
    EXPECT_GT(started, 0U) << "the rest of the plan goes on, one by one";
}

TEST(Execution, counts_moves_of_others_against_the_places) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 1);
    WorldNow world = cluster.world();
    world.moving.push_back({{BrokerId{1}}, {BrokerId{4}}, {}});
    for (const Move* move : execution.next(world)) {
        EXPECT_THAT(move->to, Not(::testing::Contains(BrokerId{4})));
    }
}

TEST(Execution, drops_what_a_deleted_topic_or_a_lost_broker_leaves_without_sense) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 1);
    cluster.forget_topic("topic-0");
    cluster.set_standing(BrokerId{5}, Standing::lost);
    while (!execution.is_over()) {
        start_all(execution, cluster);
        for (const Key& key : cluster.moving()) {
            cluster.finish(key);
        }
    }
    for (std::size_t i = 0; i < execution.moves().size(); ++i) {
        const Move& move = execution.moves()[i];
        const bool to_lost =
            std::find(move.to.begin(), move.to.end(), BrokerId{5}) != move.to.end();
        const bool senseless = move.topic == "topic-0" || (to_lost && move.arrivals() > 0);
        EXPECT_EQ(execution.outcome(i).state, senseless ? MoveState::dropped : MoveState::done);
        EXPECT_EQ(execution.outcome(i).why.empty(), !senseless);
    }
}

TEST(Execution, waits_for_a_broker_that_is_awaited) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    cluster.set_standing(BrokerId{5}, Standing::lost);
    const auto awaited = [&] {
        WorldNow world = cluster.world();
        world.is_awaited = [](BrokerId id) { return id == BrokerId{5}; };
        return world;
    };
    const auto all_that_starts = [&] {
        for (auto due = execution.next(awaited()); !due.empty(); due = execution.next(awaited())) {
            for (const Move* move : due) {
                cluster.begin(*move);
                execution.started(*move);
            }
            for (const Key& key : cluster.moving()) {
                cluster.finish(key);
            }
        }
    };
    all_that_starts();
    EXPECT_GT(execution.count(MoveState::waiting), 0U);
    EXPECT_EQ(execution.count(MoveState::dropped), 0U);
    for (std::size_t i = 0; i < execution.moves().size(); ++i) {
        if (execution.outcome(i).state == MoveState::waiting) {
            EXPECT_EQ(execution.outcome(i).why, "broker 5 is down");
            EXPECT_TRUE(execution.outcome(i).is_held_up);
        }
    }
    cluster.set_standing(BrokerId{5}, Standing::active);
    all_that_starts();
    EXPECT_EQ(execution.count(MoveState::done), execution.moves().size());
}

// More of them than one step looks at.
TEST(Execution, does_not_wait_with_all_for_a_broker_that_many_moves_go_to) {
    std::vector<Move> moves;
    for (int i = 0; i < 5'000; ++i) {
        moves.push_back({.topic = "t", .partition = i, .from = {BrokerId{1}}, .to = {BrokerId{5}}});
    }
    moves.push_back({.topic = "t", .partition = 5'000, .from = {BrokerId{1}}, .to = {BrokerId{2}}});
    Execution execution(std::move(moves), 4);
    WorldNow world;
    world.partition = [](const std::string&, std::int32_t) {
        return std::optional(PartitionNow{{BrokerId{1}}, {}, {}});
    };
    world.takes_replicas = [](BrokerId id) { return id != BrokerId{5}; };
    world.is_awaited = [](BrokerId) { return true; };
    std::vector<const Move*> due;
    for (int step = 0; step < 4 && due.empty(); ++step) {
        due = execution.next(world);
    }
    ASSERT_THAT(due, SizeIs(1));
    EXPECT_EQ(due.front()->partition, 5'000);
}

TEST(Execution, leaves_a_partition_alone_that_somebody_else_moves_elsewhere) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    Move other = execution.moves().front();
    other.to = {other.from.back(), other.from.front()};
    other.to.front() = BrokerId{6};
    cluster.begin(other);
    for (const Move* move : execution.next(cluster.world())) {
        EXPECT_NE(move, &execution.moves().front());
    }
    cluster.finish({other.topic, other.partition});
    execution.next(cluster.world());
    EXPECT_EQ(execution.outcome(0).state, MoveState::dropped);
}

TEST(Execution, gives_up_what_is_on_its_way_to_a_lost_broker) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    start_all(execution, cluster);
    const std::size_t under_way = execution.in_flight().size();
    const auto back = execution.give_up([](BrokerId id) { return id == BrokerId{5}; });
    ASSERT_THAT(back, Not(IsEmpty()));
    for (const Move* move : back) {
        EXPECT_THAT(move->to, ::testing::Contains(BrokerId{5}));
        EXPECT_THAT(move->from, Not(::testing::Contains(BrokerId{5})));
    }
    EXPECT_EQ(execution.in_flight().size(), under_way - back.size());
    EXPECT_EQ(execution.count(MoveState::dropped), back.size());
    EXPECT_THAT(execution.give_up([](BrokerId) { return false; }), IsEmpty());
}

TEST(Execution, waiting_for_a_place_is_no_hindrance_but_another_mans_move_is) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 1);
    const auto& moves = execution.moves();
    const auto theirs = std::find_if(moves.rbegin(), moves.rend(),
                                     [](const Move& move) { return move.arrivals() > 0; });
    cluster.begin(*theirs);
    start_all(execution, cluster);
    std::size_t held_up = 0;
    std::size_t queued = 0;
    for (std::size_t i = 0; i < execution.moves().size(); ++i) {
        const MoveOutcome& outcome = execution.outcome(i);
        held_up += outcome.is_held_up ? 1U : 0U;
        queued += outcome.state == MoveState::waiting && !outcome.is_held_up ? 1U : 0U;
    }
    EXPECT_EQ(held_up, 1U);
    EXPECT_GT(queued, 1U);
}

TEST(Execution, takes_back_only_what_is_under_way_when_cancelled) {
    const Snapshot snapshot = grown();
    Cluster cluster(snapshot);
    Execution execution(plan(snapshot, {}, {}).moves, 4);
    start_all(execution, cluster);
    cluster.finish(cluster.moving().front());
    const std::size_t under_way = cluster.moving().size();
    const auto back = execution.cancel(cluster.world());
    EXPECT_THAT(back, SizeIs(under_way));
    for (const Move* move : back) {
        cluster.revert(*move);
    }
    EXPECT_TRUE(execution.is_over());
    EXPECT_THAT(cluster.moving(), IsEmpty());
    EXPECT_GE(execution.count(MoveState::done), 1U);
    EXPECT_EQ(execution.count(MoveState::reverted), under_way);
    for (const auto& [key, now] : cluster.partitions()) {
        EXPECT_EQ(now.replicas.size(), 2U);
    }
}

/// Nothing may ever be worse than at the start: distinct brokers, enough of them, racks apart.
void check(const Cluster& cluster, std::size_t factor) {
    const Snapshot snapshot = cluster.snapshot();
    const View view(snapshot);
    for (const TopicState& topic : snapshot.topics) {
        for (const PartitionState& state : topic.partitions) {
            ASSERT_TRUE(view.is_distinct(state));
            ASSERT_EQ(state.replicas.size(), factor);
            ASSERT_EQ(view.rack_excess(state), 0U);
        }
    }
    for (const auto& [key, now] : cluster.partitions()) {
        ASSERT_GE(now.replicas.size() - now.adding.size(), factor);
    }
}

// Brokers come and go, the executor is replaced at any moment and plans anew from what it finds: at
// every step the hard constraints hold, and in the end nothing is left on who was drained.
TEST(Execution, holds_the_constraints_at_every_step_over_losses_and_changes_of_the_executor) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SeededRandom random(seed);
        Snapshot snapshot = brokers(9, 3);
        fill_evenly(snapshot, 3, 30, 3);
        Cluster cluster(snapshot);
        Desired desired;
        const auto anew = [&] { return Execution(plan(cluster.snapshot(), desired, {}).moves, 2); };
        cluster.set_standing(BrokerId{1}, Standing::draining);
        Execution execution = anew();
        for (int step = 0; step < 3'000; ++step) {
            if (step == 50) {
                cluster.set_standing(BrokerId{5}, Standing::lost);
            }
            if (random.one_in(40) || (execution.is_over() && cluster.moving().empty())) {
                execution = anew();
                if (execution.moves().empty() && cluster.moving().empty() && step > 50) {
                    break;
                }
            }
            start_all(execution, cluster);
            for (const Key& key : cluster.moving()) {
                if (random.one_in(3)) {
                    cluster.finish(key);
                }
            }
            check(cluster, 3);
            ASSERT_FALSE(HasFatalFailure());
        }
        const View view(cluster.snapshot());
        EXPECT_EQ(view.counts.at(BrokerId{1}), 0);
        EXPECT_EQ(view.counts.at(BrokerId{5}), 0);
        EXPECT_THAT(cluster.moving(), IsEmpty());
    }
}

}  // namespace
}  // namespace millrace::placement::testing
