// What the storage tests share: a directory on a disk that is gone afterwards, and batches.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/control.h"
#include "runtime/real/real_node.h"
#include "runtime/sim/simulation.h"
#include "storage/log_directory.h"
#include "storage/partition_log.h"

namespace millrace::storage::test {

inline constexpr Timestamp noon{1'700'000'000'000};

/// A batch that owns its bytes.
struct OwnedBatch {
    Buffer bytes;
    record::BatchView view() const { return *record::BatchView::parse(bytes); }
};

struct BatchSpec {
    std::int64_t base = 0;
    int records = 1;
    std::int32_t epoch = 0;
    Timestamp first_time = noon;
    Duration step = 1ms;  ///< Between two records.
    std::size_t value_size = 10;
    record::Compression codec = record::Compression::none;
    ProducerId producer = no_producer;
    ProducerEpoch producer_epoch{0};
    std::int32_t sequence = 0;
    bool transactional = false;
    std::string key = "key";
};

inline OwnedBatch make_batch(const BatchSpec& spec) {
    record::BatchOptions options{.base_offset = Offset{spec.base},
                                 .leader_epoch = LeaderEpoch{spec.epoch},
                                 .compression = {.codec = spec.codec}};
    if (spec.producer != no_producer) {
        options.producer_id = spec.producer;
        options.producer_epoch = spec.producer_epoch;
        options.base_sequence = spec.sequence;
        options.is_transactional = spec.transactional;
    }
    record::BatchBuilder builder(options);
    for (int i = 0; i < spec.records; ++i) {
        const std::string value(spec.value_size, static_cast<char>('a' + (spec.base + i) % 26));
        builder.append({.timestamp = (spec.first_time + spec.step * i).milliseconds,
                        .key = as_bytes(spec.key),
                        .value = as_bytes(value)});
    }
    record::Compressor compressor;
    return {*builder.finish(compressor)};
}

inline OwnedBatch make_marker(std::int64_t base, ProducerId producer, ProducerEpoch epoch,
                              bool commit, Timestamp at = noon) {
    OwnedBatch batch{record::end_transaction_batch(
        producer, epoch,
        {.type = commit ? record::ControlType::commit : record::ControlType::abort,
         .coordinator_epoch = 0},
        at.milliseconds)};
    record::patch_base_offset(batch.bytes, Offset{base});
    record::patch_leader_epoch(batch.bytes, LeaderEpoch{0});
    return batch;
}

inline Result<void> append(PartitionLog& log, const OwnedBatch& batch, Timestamp now = noon) {
    const record::BatchView view = batch.view();
    return log.append({&view, 1}, now);
}

/// One log directory on some disk.
class OneDirectory : public testing::Test {
protected:
    OneDirectory(runtime::Disk& disk, std::string root) : root_(std::move(root)), disk_(disk) {
        directory_ = open_directory();
    }

    runtime::Disk& disk() { return disk_; }
    std::shared_ptr<LogDirectory> open_directory(std::size_t open_files_max = 16) {
        return std::make_shared<LogDirectory>(disk_, root_, Uuid{1, 2}, Logger{}, open_files_max);
    }
    std::unique_ptr<PartitionLog> create(const LogLimits& limits = {}) {
        return PartitionLog::create(directory_, partition_, topic_id_, limits);
    }
    Result<std::unique_ptr<PartitionLog>> recover(const RecoveryInput& input = {},
                                                  const LogLimits& limits = {}) {
        report_ = {};
        return PartitionLog::recover(directory_, partition_, limits, input, &report_);
    }
    std::string in_log(const std::string& name) const {
        return root_ + "/" + partition_.to_string() + "/" + name;
    }

    std::string root_;
    runtime::Disk& disk_;
    std::shared_ptr<LogDirectory> directory_;
    const Uuid topic_id_{3, 4};
    TopicPartition partition_{"orders", PartitionIndex{0}};
    RecoveryReport report_;
};

/// Bases are built in order: the machine before the directory on it.
struct SimulatedMachine {
    explicit SimulatedMachine(std::uint64_t seed = 1, runtime::sim::Ambient ambient = {})
        : simulation({.seed = seed, .plan = {.ambient = ambient}}),
          node(simulation.add_node({.name = "n1"})) {
        MR_ASSERT(node.disk().create_directories("/data").has_value());
        MR_ASSERT(node.disk().sync_directory("/").has_value());
    }
    runtime::sim::Simulation simulation;
    runtime::sim::SimNode& node;
};

class OnDisk : private SimulatedMachine, public OneDirectory {
protected:
    OnDisk() : OneDirectory(SimulatedMachine::node.disk(), "/data") {}
    runtime::sim::SimDisk& sim_disk() { return SimulatedMachine::node.sim_disk(); }
    void power_cycle() {
        SimulatedMachine::node.cut_power();
        SimulatedMachine::node.restore_power();
    }
};

struct RealMachine {
    RealMachine() : node(*runtime::RealNode::create({})) {
        char name[] = "/tmp/storage-test-XXXXXX";
        root = mkdtemp(name);
    }
    ~RealMachine() { EXPECT_TRUE(node->disk().remove_tree(root)); }
    std::unique_ptr<runtime::RealNode> node;
    std::string root;
};

class OnRealDisk : private RealMachine, public OneDirectory {
protected:
    OnRealDisk() : OneDirectory(node->disk(), root) {}
    ~OnRealDisk() override { directory_.reset(); }
};

inline std::string read_slice(const ReadSlice& slice) {
    std::string bytes(slice.length, '\0');
    if (slice.length > 0) {
        const auto got = slice.file->read_at(
            slice.position, {reinterpret_cast<std::byte*>(bytes.data()), bytes.size()});
        EXPECT_TRUE(got && *got == slice.length);
    }
    return bytes;
}

/// Base offsets of the batches in [from, upper), read in pieces of `max_bytes`.
inline std::vector<std::int64_t> batches_in(PartitionLog& log, std::int64_t from,
                                            std::int64_t upper, std::size_t max_bytes = 1 << 20) {
    std::vector<std::int64_t> bases;
    while (from < upper) {
        const auto slice =
            log.read({.from = Offset{from}, .upper = Offset{upper}, .max_bytes = max_bytes});
        EXPECT_TRUE(slice) << (slice ? "" : slice.error().to_string());
        if (!slice || slice->empty()) {
            break;
        }
        const std::string bytes = read_slice(*slice);
        record::BatchRange range{as_bytes(bytes)};
        for (const record::BatchView batch : range) {
            EXPECT_TRUE(batch.check());
            bases.push_back(batch.base_offset().value);
            from = batch.next_offset().value;
        }
        EXPECT_TRUE(range.rest().empty());
    }
    return bases;
}

}  // namespace millrace::storage::test
