// The end of a log that another cluster's mirror is about to take over from: once it is closed, no
// client's record comes after it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

class Closing : public testing::Test {
protected:
    Closing() : node_(simulation_.add_node({.name = "n1"})) {
        node_.start([](runtime::Node& node) { return std::make_unique<Machine>(node); });
        PartitionState state;
        state.id = id_;
        state.topic = "orders";
        state.replicas = state.isr = {BrokerId{1}};
        state.leader = BrokerId{1};
        state.leader_epoch = LeaderEpoch{4};
        on_shard([&](ShardReplicas& shard) { shard.assign(state, {}); });
        simulation_.run_for(100ms);
    }

    template <typename F>
    void on_shard(F task) {
        bool done = false;
        node_.data_shard(0).executor->post([&] {
            task(*static_cast<Machine&>(*node_.program()).shard);
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 10s));
    }
    void append(ShardReplicas& shard, std::optional<KafkaError>& error) {
        record::BatchBuilder builder({});
        builder.append({.timestamp = 1, .key = as_bytes(std::string_view("key")), .value = {}});
        record::Compressor compressor;
        Buffer batch = *builder.finish(compressor);
        Append request;
        request.id = id_;
        request.batch = batch;
        request.done = [&error](AppendResult result) { error = result.error; };
        shard.append(std::move(request));
    }
    static PartitionSettings fenced(bool mirrored = false) {
        PartitionSettings settings;
        settings.fenced = true;
        settings.mirrored = mirrored;
        return settings;
    }

    runtime::sim::Simulation simulation_{{.seed = 5}};
    runtime::sim::SimNode& node_;
    const TopicIdPartition id_{{5, 6}, PartitionIndex{0}};
};

TEST_F(Closing, an_open_log_is_not_closed) {
    on_shard([&](ShardReplicas& shard) {
        const ClosingEnd end = shard.closing_end(id_, LeaderEpoch{4});
        EXPECT_EQ(end.error, KafkaError::none);
        EXPECT_EQ(end.end, Offset{0});
        EXPECT_FALSE(end.is_closed);
    });
}

// All in one turn of the loop: the record is neither written nor committed when the fence comes.
TEST_F(Closing, what_was_taken_before_the_fence_is_before_the_end_and_nothing_comes_after_it) {
    std::optional<KafkaError> before;
    std::optional<KafkaError> after;
    on_shard([&](ShardReplicas& shard) {
        append(shard, before);
        shard.change_settings(id_, fenced());
        const ClosingEnd end = shard.closing_end(id_, LeaderEpoch{4});
        EXPECT_EQ(end.end, Offset{1});
        EXPECT_EQ(end.last_epoch, LeaderEpoch{4});
        EXPECT_TRUE(end.is_closed);
        append(shard, after);
    });
    ASSERT_TRUE(simulation_.run_until([&] { return before && after; }, 10s));
    EXPECT_EQ(*before, KafkaError::none);
    EXPECT_EQ(*after, KafkaError::not_leader_or_follower);
    on_shard([&](ShardReplicas& shard) {
        EXPECT_EQ(shard.closing_end(id_, LeaderEpoch{4}).end, Offset{1});
    });
}

TEST_F(Closing, a_mirror_goes_on_whatever_its_fence_says) {
    on_shard([&](ShardReplicas& shard) {
        EXPECT_FALSE(shard.closing_end(id_, LeaderEpoch{4}).is_mirror);
        shard.change_settings(id_, fenced(true));
        EXPECT_FALSE(shard.closing_end(id_, LeaderEpoch{4}).is_closed);
        EXPECT_TRUE(shard.closing_end(id_, LeaderEpoch{4}).is_mirror);
    });
}

TEST_F(Closing, a_reader_of_another_epoch_hears_of_it) {
    on_shard([&](ShardReplicas& shard) {
        shard.change_settings(id_, fenced());
        EXPECT_EQ(shard.closing_end(id_, LeaderEpoch{3}).error, KafkaError::fenced_leader_epoch);
        EXPECT_EQ(shard.closing_end(id_, LeaderEpoch{5}).error, KafkaError::unknown_leader_epoch);
    });
}

}  // namespace
}  // namespace millrace::replication
