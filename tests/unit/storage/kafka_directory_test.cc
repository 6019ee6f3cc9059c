// Directories that a real Kafka 4.3.1 broker wrote (e2e/peers/storage/WriteTopics.java), stopped in
// order and killed. e2e/peers/storage/run.sh compares every record with what Kafka reads there.
#include <cstdlib>

#include "storage/log_store.h"
#include "tests/unit/storage/support.h"

namespace millrace::storage::test {
namespace {

class KafkaDirectory : public OnRealDisk {
protected:
    std::unique_ptr<LogStore> open(const std::string& name) {
        const std::string command = "tar -C " + root_ +
                                    " --zstd -xf " MILLRACE_SOURCE_DIR "/tests/vectors/storage/" +
                                    name + ".tar.zst";
        EXPECT_EQ(std::system(command.c_str()), 0);
        auto store = LogStore::open(
            disk(),
            {.paths = {root_},
             .identity = {.cluster_id = "cGVlcmthZmthcGVlcmthZg", .node = BrokerId{1}},
             .format_if_empty = false},
            random_, Timestamp{1'700'000'000'000}, Logger{});
        EXPECT_TRUE(store) << store.error().to_string();
        return *std::move(store);
    }
    std::unique_ptr<PartitionLog> load(const LogStore& store, const std::string& topic) {
        for (FoundLog found : store.found()) {
            if (found.partition.topic == topic) {
                auto log = store.load(found, {}, &report_);
                EXPECT_TRUE(log) << log.error().to_string();
                return *std::move(log);
            }
        }
        ADD_FAILURE() << "no log of " << topic;
        return nullptr;
    }
    void expect_contents(const LogStore& store) {
        for (const auto* codec : {"none", "gzip", "snappy", "lz4", "zstd"}) {
            const auto log = load(store, std::string("codec-") + codec);
            EXPECT_EQ(log->end(), Offset{200});
            EXPECT_EQ(batches_in(*log, 0, 200).back(), 190);
            EXPECT_EQ((*log->search_timestamp(Timestamp{1'700'000'000'123})->run())->offset,
                      Offset{123});
        }
        const auto transactions = load(store, "transactions");
        EXPECT_EQ(transactions->end(), Offset{348});
        EXPECT_EQ(transactions->producers().last_stable(Offset{348}), Offset{348});
        EXPECT_EQ(transactions->aborted_transactions(Offset{0}, Offset{348})->size(), 5U);
        EXPECT_EQ(load(store, "compacted")->end(), Offset{400});
        EXPECT_EQ(load(store, "deleted-records")->end(), Offset{200});
    }

    SeededRandom random_{1};
};

TEST_F(KafkaDirectory, is_opened_after_a_clean_stop_without_a_scan) {
    const auto store = open("kafka-clean");
    EXPECT_TRUE(store->clean_start());
    EXPECT_EQ(store->last_broker_epoch(), BrokerEpoch{502});
    expect_contents(*store);
    EXPECT_EQ(report_.scanned_bytes, 0U);
}

TEST_F(KafkaDirectory, is_recovered_after_a_kill) {
    const auto store = open("kafka-crashed");
    EXPECT_FALSE(store->clean_start());
    expect_contents(*store);
    EXPECT_GT(report_.scanned_bytes, 0U);
    EXPECT_EQ(report_.truncated_bytes, 0U);
}

}  // namespace
}  // namespace millrace::storage::test
