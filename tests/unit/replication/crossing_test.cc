// Case 13: a reader that crosses a truncation. Its broker went with records that the new leader
// never had; it comes to the new leader with what it knows, as KIP-320 has it, and must hear of
// that before it gets one record of the other history.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

/// The new leader's machine. Its log grows epoch by epoch.
class NewLeader {
public:
    NewLeader() : node_(simulation_.add_node({.name = "n1"})) {
        node_.start([](runtime::Node& node) { return std::make_unique<Machine>(node); });
    }

    void lead_in(LeaderEpoch epoch) {
        PartitionState state;
        state.id = id_;
        state.topic = "orders";
        state.replicas = state.isr = {BrokerId{1}};
        state.leader = BrokerId{1};
        state.leader_epoch = epoch;
        state.partition_epoch = PartitionEpoch{epoch.value};
        on_shard([&](ShardReplicas& shard) { shard.assign(state, {}); });
        simulation_.run_for(100ms);
    }
    void append() {
        record::BatchBuilder builder({});
        builder.append({.timestamp = 1, .key = as_bytes(std::string_view("key")), .value = {}});
        record::Compressor compressor;
        Buffer batch = *builder.finish(compressor);
        std::optional<KafkaError> error;
        on_shard([&](ShardReplicas& shard) {
            Append request;
            request.id = id_;
            request.batch = batch;
            request.done = [&](AppendResult result) { error = result.error; };
            shard.append(std::move(request));
        });
        ASSERT_TRUE(simulation_.run_until([&] { return error.has_value(); }, 10s));
        ASSERT_EQ(*error, KafkaError::none);
    }
    FetchResult fetch(Offset from, LeaderEpoch current, LeaderEpoch last_fetched) {
        FetchResult result;
        on_shard([&](ShardReplicas& shard) {
            FetchPosition position;
            position.id = id_;
            position.from = from;
            position.current_epoch = current;
            position.last_fetched_epoch = last_fetched;
            result = std::move(shard.fetch({position}, Reader{}, 1 << 20).front());
        });
        return result;
    }
    EpochEndAnswer epoch_end(LeaderEpoch current, LeaderEpoch asked) {
        EpochEndAnswer answer;
        on_shard([&](ShardReplicas& shard) { answer = shard.epoch_end(id_, current, asked); });
        return answer;
    }

private:
    template <typename F>
    void on_shard(F task) {
        bool done = false;
        node_.data_shard(0).executor->post([&] {
            task(*static_cast<Machine&>(*node_.program()).shard);
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 10s));
    }

    runtime::sim::Simulation simulation_{{.seed = 3}};
    runtime::sim::SimNode& node_;
    const TopicIdPartition id_{{5, 6}, PartitionIndex{0}};
};

/// Six records of epoch 5 that both had. The old leader wrote four more in it; the new one writes
/// five of its own, in epoch 6.
class Crossing : public testing::Test {
protected:
    static constexpr LeaderEpoch before{5}, now{6}, later{7};
    static constexpr Offset common{6}, read_to{10};

    Crossing() {
        leader_.lead_in(before);
        grow(6);
        leader_.lead_in(now);
        grow(5);
    }
    void grow(int count) {
        for (int i = 0; i < count; ++i) {
            leader_.append();
        }
    }
    NewLeader leader_;
};

TEST_F(Crossing, case_13_with_the_epoch_of_before_is_fenced_and_with_one_to_come_told_so) {
    EXPECT_EQ(leader_.fetch(read_to, before, before).error, KafkaError::fenced_leader_epoch);
    EXPECT_EQ(leader_.fetch(read_to, later, before).error, KafkaError::unknown_leader_epoch);
    EXPECT_EQ(leader_.epoch_end(before, before).error, KafkaError::fenced_leader_epoch);
    EXPECT_EQ(leader_.epoch_end(later, before).error, KafkaError::unknown_leader_epoch);
}

TEST_F(Crossing, case_13_with_the_new_epoch_hears_where_the_histories_part_and_gets_no_record) {
    const FetchResult answer = leader_.fetch(read_to, now, before);
    EXPECT_EQ(answer.error, KafkaError::none);
    ASSERT_TRUE(answer.diverging);
    EXPECT_EQ(answer.diverging->epoch, before);
    EXPECT_EQ(answer.diverging->end, common);
    EXPECT_EQ(answer.slice.length, std::size_t{0});
    const EpochEndAnswer asked = leader_.epoch_end(now, before);
    EXPECT_EQ(asked.epoch, before);
    EXPECT_EQ(asked.end, common) << "the same for a reader that asks before it fetches";
}

TEST_F(Crossing, case_13_up_to_where_the_histories_part_is_no_crossing) {
    const FetchResult answer = leader_.fetch(common, now, before);
    EXPECT_EQ(answer.error, KafkaError::none);
    EXPECT_FALSE(answer.diverging);
    EXPECT_GT(answer.slice.length, std::size_t{0});
}

/// The epoch of each record, by offset.
using History = std::vector<int>;

History any_history(std::mt19937_64& random, int from_epoch, std::size_t epochs) {
    History history;
    int epoch = from_epoch;
    for (std::size_t i = 0; i < epochs; ++i) {
        epoch += 1 + static_cast<int>(random() % 3);
        history.insert(history.end(), 1 + random() % 4, epoch);
    }
    return history;
}

// Whatever was written on both sides, however often the leader changed: from each place in the old
// history a reader gets records only if all that it has read is in the new one.
TEST(CrossingAnyHistory, case_13_gives_no_record_to_who_has_read_what_is_gone) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        std::mt19937_64 random(seed);
        const History old = any_history(random, 0, 1 + random() % 4);
        const std::size_t kept = random() % (old.size() + 1);
        const History own = any_history(random, old.back(), 1 + random() % 3);
        History now(old.begin(), old.begin() + static_cast<std::ptrdiff_t>(kept));
        now.insert(now.end(), own.begin(), own.end());
        NewLeader leader;
        for (std::size_t i = 0; i < now.size(); ++i) {
            if (i == 0 || now[i] != now[i - 1]) {
                leader.lead_in(LeaderEpoch{now[i]});
            }
            leader.append();
        }
        for (std::size_t at = 1; at <= old.size(); ++at) {
            const FetchResult answer =
                leader.fetch(Offset{static_cast<std::int64_t>(at)}, LeaderEpoch{now.back()},
                             LeaderEpoch{old[at - 1]});
            const bool has_read_what_is_gone = at > kept;
            EXPECT_EQ(
                answer.diverging.has_value() || answer.error == KafkaError::offset_out_of_range,
                has_read_what_is_gone)
                << "seed " << seed << " at " << at << " of " << old.size() << ", kept " << kept;
            if (has_read_what_is_gone) {
                EXPECT_EQ(answer.slice.length, std::size_t{0});
            }
            if (answer.diverging) {
                EXPECT_LE(answer.diverging->end.value, static_cast<std::int64_t>(kept));
            }
        }
    }
}

}  // namespace
}  // namespace millrace::replication
