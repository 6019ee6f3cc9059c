// How fast copies go: the bucket by itself, and a leader on a simulated machine whose followers
// ask as fast as they are answered.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "replication/housekeeping.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

constexpr Instant begin{1'000'000'000};

/// Spends as a copy does: a piece whenever the bucket is open, and nothing else.
std::int64_t spent_in(RateBucket& bucket, Duration time, Instant& now) {
    std::int64_t bytes = 0;
    for (const Instant end = now + time; now < end;) {
        const Duration closed = bucket.closed_for(now);
        if (closed > Duration{}) {
            now = now + closed;
            continue;
        }
        const std::size_t piece = bucket.piece();
        bucket.spend(piece, now);
        bytes += static_cast<std::int64_t>(piece);
    }
    return bytes;
}

TEST(RateBucket, without_a_rate_is_always_open) {
    RateBucket bucket;
    bucket.spend(1'000'000'000, begin);
    EXPECT_EQ(bucket.closed_for(begin), Duration{});
    EXPECT_FALSE(bucket.is_limited());
}

TEST(RateBucket, gives_the_rate_over_time_and_no_burst_after_a_rest) {
    RateBucket bucket;
    Instant now = begin;
    bucket.set_rate(1'000'000, now);
    EXPECT_NEAR(static_cast<double>(spent_in(bucket, 10s, now)), 10e6, 0.3e6);
    now = now + Duration{3600s};
    EXPECT_NEAR(static_cast<double>(spent_in(bucket, 2s, now)), 2e6, 0.3e6);
}

TEST(RateBucket, with_a_rate_of_zero_stays_closed) {
    RateBucket bucket;
    Instant now = begin;
    bucket.set_rate(0, now);
    EXPECT_EQ(spent_in(bucket, 60s, now), 0);
}

TEST(RateBucket, a_debt_made_at_a_low_rate_does_not_outlive_it) {
    RateBucket bucket;
    bucket.set_rate(10, begin);
    bucket.spend(1'000'000, begin);  // a day's worth
    bucket.set_rate(10'000'000, begin);
    EXPECT_LE(bucket.closed_for(begin), 100ms);
    bucket.set_rate(RateBucket::unlimited, begin);
    EXPECT_EQ(bucket.closed_for(begin), Duration{});
}

/// Broker 1 leads; 2 is in sync, 3 and 4 are not, 4 is being added.
class ThrottledLeader : public testing::Test {
protected:
    static constexpr BrokerId in_sync{2}, behind{3}, added{4};
    static constexpr std::int64_t rate = 200'000;

    ThrottledLeader() : node_(simulation_.add_node({.name = "n1"})) {
        node_.start([](runtime::Node& node) { return std::make_unique<Machine>(node); });
        PartitionState state;
        state.id = id_;
        state.topic = "orders";
        state.replicas = {BrokerId{1}, in_sync, behind, added};
        state.isr = {BrokerId{1}, in_sync};
        state.adding = {added};
        state.leader = BrokerId{1};
        on_shard([&](ShardReplicas& shard) { shard.assign(state, settings(false)); });
        simulation_.run_for(1s);
        for (int i = 0; i < 400; ++i) {
            append(10'000);
        }
    }

    static PartitionSettings settings(bool listed) {
        PartitionSettings settings;
        settings.durability = Durability::replicated;
        settings.throttled_as_leader = listed;
        return settings;
    }
    Machine& machine() { return static_cast<Machine&>(*node_.program()); }
    Instant now() { return node_.data_shard(0).executor->clock().now(); }

    template <typename F>
    void on_shard(F task) {
        bool done = false;
        node_.data_shard(0).executor->post([&] {
            task(*machine().shard);
            done = true;
        });
        ASSERT_TRUE(simulation_.run_until([&] { return done; }, 10s));
    }

    void append(std::size_t size) {
        record::BatchBuilder builder({});
        const std::string value(size, 'v');
        builder.append({.key = as_bytes("key"), .value = as_bytes(value)});
        record::Compressor compressor;
        Buffer batch = *builder.finish(compressor);
        on_shard([&](ShardReplicas& shard) {
            Append request;
            request.id = id_;
            request.batch = batch;
            request.acks = 1;
            request.done = [](AppendResult) {};
            shard.append(std::move(request));
        });
    }

    FetchResult fetch(BrokerId replica, Offset from) {
        FetchResult result;
        on_shard([&](ShardReplicas& shard) {
            FetchPosition position;
            position.id = id_;
            position.from = from;
            Reader reader;
            reader.level = ReadLevel::replica;
            reader.replica = replica;
            result = std::move(shard.fetch({position}, reader, 10 << 20).front());
        });
        EXPECT_EQ(result.error, KafkaError::none);
        return result;
    }

    /// As a fetcher does: asks again at once, or when it may.
    std::size_t copied_in(BrokerId replica, Duration time) {
        std::size_t bytes = 0;
        Offset from{0};
        for (const Instant end = now() + time; now() < end;) {
            const FetchResult result = fetch(replica, from);
            bytes += result.slice.length;
            const auto batches = static_cast<std::int64_t>(result.slice.length / 10'000);
            from = Offset{std::min<std::int64_t>(from.value + batches, 300)};
            simulation_.run_for(std::max(result.throttled_for, Duration{1ms}));
        }
        return bytes;
    }

    runtime::sim::Simulation simulation_{{.seed = 3}};
    runtime::sim::SimNode& node_;
    const TopicIdPartition id_{{5, 6}, PartitionIndex{0}};
};

TEST_F(ThrottledLeader, sends_to_a_listed_replica_at_the_rate) {
    on_shard([&](ShardReplicas& shard) { shard.change_settings(id_, settings(true)); });
    machine().throttles->leader.set_rate(rate, now());
    EXPECT_NEAR(static_cast<double>(copied_in(behind, 10s)), 10.0 * rate, 0.1 * 10 * rate);
}

TEST_F(ThrottledLeader, case_30_never_slows_down_who_is_in_sync) {
    on_shard([&](ShardReplicas& shard) { shard.change_settings(id_, settings(true)); });
    machine().throttles->leader.set_rate(0, now());
    machine().throttles->moves_out.set_rate(0, now());
    EXPECT_GT(copied_in(in_sync, 1s), std::size_t{3'000'000});
    EXPECT_EQ(copied_in(behind, 5s), std::size_t{0});
}

TEST_F(ThrottledLeader, sends_freely_what_no_list_names) {
    machine().throttles->leader.set_rate(0, now());
    EXPECT_GT(copied_in(behind, 1s), std::size_t{3'000'000});
}

TEST_F(ThrottledLeader, slows_down_moves_and_not_the_repair_of_what_fell_behind) {
    machine().throttles->moves_out.set_rate(rate, now());
    EXPECT_NEAR(static_cast<double>(copied_in(added, 10s)), 10.0 * rate, 0.1 * 10 * rate);
    EXPECT_GT(copied_in(behind, 1s), std::size_t{3'000'000});
}

// Where the rate does not do for all copies, fewer go.
TEST_F(ThrottledLeader, a_copy_that_is_held_waits_until_it_is_let_go) {
    machine().throttles->moves_out.set_rate(rate, now());
    std::vector<CopyUnderWay> copies;
    on_shard([&](ShardReplicas& shard) {
        copies = shard.copies_under_way();
        shard.hold_copies({id_});
    });
    ASSERT_EQ(copies.size(), std::size_t{1});
    EXPECT_EQ(copies.front().id, id_);
    EXPECT_FALSE(copies.front().arrives);
    EXPECT_EQ(copies.front().own_end, Offset{400});
    EXPECT_GE(copies.front().bytes, std::uint64_t{4'000'000});
    EXPECT_EQ(copied_in(added, 5s), std::size_t{0});
    EXPECT_GT(copied_in(behind, 1s), std::size_t{3'000'000}) << "it is no copy of the plan";
    on_shard([](ShardReplicas& shard) { shard.hold_copies({}); });
    EXPECT_NEAR(static_cast<double>(copied_in(added, 10s)), 10.0 * rate, 0.1 * 10 * rate);
}

TEST_F(ThrottledLeader, a_batch_larger_than_what_is_due_goes_whole_and_is_paid_for) {
    on_shard([&](ShardReplicas& shard) { shard.change_settings(id_, settings(true)); });
    machine().throttles->leader.set_rate(1000, now());
    const FetchResult first = fetch(behind, Offset{0});
    EXPECT_GT(first.slice.length, std::size_t{10'000});
    EXPECT_LT(first.slice.length, std::size_t{20'000});
    const FetchResult second = fetch(behind, Offset{1});
    EXPECT_EQ(second.slice.length, std::size_t{0});
    EXPECT_GT(second.throttled_for, Duration{});
}

}  // namespace
}  // namespace millrace::replication
