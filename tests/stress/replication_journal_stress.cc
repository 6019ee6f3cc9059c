// Two shards whose logs share a directory, each with a journal that is soon full: appends, logs
// that go and come again under the same name, and rounds that record recovery points, all at once
// on real threads. What was acknowledged is found by a start after a kill.
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <vector>

#include "record/batch_builder.h"
#include "record/compression.h"
#include "replication/housekeeping.h"
#include "replication/shard_replicas.h"
#include "runtime/real/real_node.h"
#include "storage/log_store.h"
#include "storage/partition_log.h"
#include "tests/support/wait_for.h"
#include "tests/unit/replication/machine.h"

namespace millrace::replication {
namespace {

using millrace::support::Latch;

Buffer one_batch() {
    record::BatchBuilder builder({});
    const std::string value(700, 'v');
    builder.append(
        {.timestamp = 1, .key = as_bytes(std::string_view("key")), .value = as_bytes(value)});
    record::Compressor compressor;
    return *builder.finish(compressor);
}

/// A shard's logs; all of it but `done` belongs to its loop.
struct Writers {
    static constexpr int logs = 6;
    static constexpr int rounds = 300;

    struct Log {
        std::uint64_t life = 1;
        int left = rounds;
        Offset end{0};
    };

    Writers(runtime::RealNode& node, std::size_t index, storage::LogStore& store,
            IsrProposer& controller, const Peers& peers, Latch& over)
        : shard(node.data_shard(index)), first(static_cast<int>(index) * logs), done(over) {
        ShardReplicas::Options options;
        options.self = BrokerId{1};
        options.journal = {.bytes = std::uint64_t{128} << 10, .after = 1, .shard = index};
        replicas = std::make_unique<ShardReplicas>(options, shard, node.disk_pool(), store,
                                                   controller, peers, node.log());
    }

    const Log& at(int i) const { return state[static_cast<std::size_t>(i)]; }
    Log& at(int i) { return state[static_cast<std::size_t>(i)]; }
    TopicIdPartition id(int i) const { return {{5, at(i).life}, PartitionIndex{first + i}}; }
    void assign(int i) {
        PartitionState of;
        of.id = id(i);
        of.topic = "orders";
        of.replicas = of.isr = {BrokerId{1}};
        of.leader = BrokerId{1};
        of.leader_epoch = LeaderEpoch{4};
        replicas->assign(of, {});
    }
    void start() {
        for (int i = 0; i < logs; ++i) {
            assign(i);
            append(i);
        }
    }
    void append(int i) {
        Append request;
        request.id = id(i);
        Buffer batch = one_batch();
        request.batch = batch;
        request.done = [this, i](AppendResult result) {
            // Not from within the shard's own turn.
            shard.executor->post([this, i, result] { on_appended(i, result); });
        };
        replicas->append(std::move(request));
    }
    void on_appended(int i, const AppendResult& result) {
        Log& log = at(i);
        if (result.error == KafkaError::not_leader_or_follower && log.end == Offset{0}) {
            append(i);  // It is still being made.
            return;
        }
        EXPECT_EQ(result.error, KafkaError::none);
        log.end = result.base + 1;
        if (--log.left == 0) {
            done.count_down();
            return;
        }
        if (log.left % 97 == 0) {
            replicas->unassign(id(i));
            ++log.life;
            log.end = Offset{0};
            assign(i);
        }
        if (log.left % 50 == 0) {
            (void)replicas->marks_with_facts();  // has quiet logs filed
        }
        append(i);
    }

    const runtime::Shard shard;
    const int first;
    Latch& done;
    std::unique_ptr<ShardReplicas> replicas;
    std::vector<Log> state = std::vector<Log>(logs);
};

TEST(JournalStress, what_two_shards_were_promised_is_found_after_a_kill) {
    char name[] = "/tmp/journal-stress-XXXXXX";
    const std::string root = mkdtemp(name);
    runtime::RealNodeOptions node_options;
    node_options.data_shards = 2;
    node_options.disk_threads = 4;
    auto node = *runtime::RealNode::create(std::move(node_options));
    storage::StoreOptions options{.paths = {root}, .identity = {"cluster", BrokerId{1}}};
    const auto open = [&] {
        return *storage::LogStore::open(node->disk(), options, *node->control_shard().random,
                                        node->control_shard().executor->clock().wall(),
                                        node->log());
    };
    std::map<TopicPartition, std::pair<Uuid, Offset>> promised;
    {
        const auto store = open();
        NoController controller;
        const NoPeers peers;
        Latch over(2 * Writers::logs);
        std::vector<std::unique_ptr<Writers>> shards;
        for (std::size_t i = 0; i < 2; ++i) {
            shards.push_back(std::make_unique<Writers>(*node, i, *store, controller, peers, over));
            shards[i]->shard.executor->post([writers = shards[i].get()] { writers->start(); });
        }
        node->start();
        EXPECT_TRUE(over.wait(std::chrono::seconds{240}));
        node->stop();
        std::uint64_t entries = 0;
        for (const auto& writers : shards) {
            entries += writers->replicas->counts().journal_entries.load();
            for (int i = 0; i < Writers::logs; ++i) {
                promised[{"orders", PartitionIndex{writers->first + i}}] = {writers->id(i).topic_id,
                                                                            writers->at(i).end};
            }
        }
        EXPECT_GT(entries, 0U);
    }
    const auto store = open();
    for (const storage::FoundLog& found : store->found()) {
        const auto [topic, end] = promised[found.partition];
        const auto log =
            storage::PartitionLog::recover(found.directory, found.partition, {}, found.recovery);
        ASSERT_TRUE(log) << log.error().to_string();
        EXPECT_EQ((*log)->topic_id(), topic);
        EXPECT_EQ((*log)->end(), end) << found.partition.to_string();
        promised.erase(found.partition);
    }
    EXPECT_TRUE(promised.empty());
    EXPECT_TRUE(node->disk().remove_tree(root));
}

}  // namespace
}  // namespace millrace::replication
