// Many logs of one shard, whose syncs share a journal: what is acknowledged is there after a power
// cut, the journal gets its room back, and one device that refuses ends them all.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "replication/housekeeping.h"
#include "storage/journal.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

class SyncGroups : public testing::Test {
protected:
    SyncGroups() : node_(simulation_.add_node({.name = "n1"})) { start(); }

    void start() {
        node_.start([this](runtime::Node& node) {
            return std::make_unique<Machine>(node, nullptr, rules_);
        });
        for (int i = 0; i < logs; ++i) {
            PartitionState state;
            state.id = id(i);
            state.topic = "orders";
            state.replicas = state.isr = {BrokerId{1}};
            state.leader = BrokerId{1};
            state.leader_epoch = LeaderEpoch{4};
            shard().assign(state, {});
        }
        simulation_.run_for(1s);
    }
    void cut_power_and_start() {
        node_.cut_power();
        node_.restore_power();
        start();
    }
    ShardReplicas& shard() { return *static_cast<Machine&>(*node_.program()).shard; }
    static TopicIdPartition id(int i) { return {{5, 6}, PartitionIndex{i}}; }
    void append(int i, std::size_t size = 0) {
        node_.data_shard(0).executor->post([this, i, size] {
            record::BatchBuilder builder({});
            const Buffer value(size);
            builder.append({.timestamp = 1,
                            .key = as_bytes(std::string_view("key")),
                            .value = ByteView(value)});
            record::Compressor compressor;
            Buffer batch = *builder.finish(compressor);
            Append request;
            request.id = id(i);
            request.batch = batch;
            request.done = [this](AppendResult result) {
                ++(result.error == KafkaError::none ? acknowledged_ : refused_);
            };
            shard().append(std::move(request));
        });
    }
    void append_to_all(int rounds) {
        for (int round = 0; round < rounds; ++round) {
            const int before = acknowledged_ + refused_;
            for (int i = 0; i < logs; ++i) {
                append(i);
            }
            ASSERT_TRUE(simulation_.run_until(
                [&] { return acknowledged_ + refused_ == before + logs; }, 60s));
        }
    }

    static constexpr int logs = 12;
    const JournalRules rules_{.bytes = std::uint64_t{64} << 10, .after = 1};
    runtime::sim::Simulation simulation_{{.seed = 5}};
    runtime::sim::SimNode& node_;
    int acknowledged_ = 0;
    int refused_ = 0;
};

TEST_F(SyncGroups, share_writes_and_survive_a_power_cut) {
    append_to_all(60);
    EXPECT_EQ(refused_, 0);
    const ShardCounts& counts = shard().counts();
    const std::uint64_t writes = counts.journal_writes.load();
    EXPECT_GT(writes, 20U) << "more than one half has room for";
    EXPECT_GT(counts.journal_entries.load(), 3 * writes);
    cut_power_and_start();
    for (int i = 0; i < logs; ++i) {
        EXPECT_EQ(shard().view(id(i))->end, Offset{60}) << i;
    }
    append_to_all(10);
    EXPECT_EQ(refused_, 0);
}

TEST_F(SyncGroups, a_quiet_logs_recovery_point_comes_with_the_next_rounds) {
    append_to_all(20);
    (void)shard().marks_with_facts();
    simulation_.run_for(5s);
    for (const LogMark& mark : shard().marks()) {
        EXPECT_EQ(mark.recovery_point, Offset{20});
    }
}

TEST_F(SyncGroups, what_is_too_large_for_the_journal_is_synced_once_its_file_is_free) {
    append_to_all(20);
    for (int round = 0; round < 40; ++round) {
        append_to_all(1);
        const int before = acknowledged_;
        node_.data_shard(0).executor->post([&] { (void)shard().marks_with_facts(); });
        simulation_.run_for(round * 50us);  // One of these comes in the midst of it.
        append(0, std::size_t{2} * storage::journal_entry_max);
        ASSERT_TRUE(simulation_.run_until([&] { return acknowledged_ > before; }, 60s)) << round;
    }
    EXPECT_EQ(refused_, 0);
}

TEST_F(SyncGroups, a_clean_stop_syncs_every_file) {
    append_to_all(20);
    ASSERT_TRUE(*node_.disk().exists("/data/millrace-journal-0"));
    bool quiet = false;
    node_.data_shard(0).executor->post([&] { shard().quiesce([&] { quiet = true; }); });
    ASSERT_TRUE(simulation_.run_until([&] { return quiet; }, 60s));
    const auto marks = shard().close_cleanly();
    ASSERT_TRUE(marks);
    for (const LogMark& mark : *marks) {
        EXPECT_EQ(mark.recovery_point, Offset{20});
    }
}

TEST_F(SyncGroups, a_sync_that_fails_fails_them_all) {
    append_to_all(20);
    simulation_.expect_error("storage.directory_failed");
    simulation_.expect_error("replication.sync_failed");
    node_.sim_disk().fail_next(runtime::sim::DiskCall::sync, 1);
    const int before = acknowledged_;
    append_to_all(1);
    EXPECT_EQ(refused_, logs);
    EXPECT_EQ(acknowledged_, before);
}

}  // namespace
}  // namespace millrace::replication
