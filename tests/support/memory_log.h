// tests/support/memory_log.h
//
// Partitions of a coordinator topic in memory, with the knobs that a test turns: when appends
// return, whether they are refused, when the high watermark follows.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coordinator/log_door.h"
#include "record/batch_view.h"
#include "runtime/executor.h"

namespace millrace::support {

/// What all brokers share: the bytes.
struct MemoryPartition {
    struct Entry {
        Offset base;
        Offset end;
        LeaderEpoch epoch;
        Buffer batch;
    };
    std::vector<Entry> entries;
    Offset start{0};
    Offset high_watermark{0};
    LeaderEpoch leader_epoch{0};

    Offset end() const { return entries.empty() ? start : entries.back().end; }
    LeaderEpoch last_epoch() const {
        return entries.empty() ? no_leader_epoch : entries.back().epoch;
    }
    Offset put(LeaderEpoch epoch, Buffer batch) {
        const Offset base = end();
        record::patch_base_offset(batch, base);
        record::patch_leader_epoch(batch, epoch);
        const Offset next = record::BatchView::parse(batch).value().next_offset();
        entries.push_back({base, next, epoch, std::move(batch)});
        return base;
    }
    void truncate(Offset to) {
        while (!entries.empty() && entries.back().end > to) {
            entries.pop_back();
        }
    }
};

using MemoryTopic = std::map<PartitionIndex, MemoryPartition>;

class MemoryLog final : public coordinator::LogDoor {
public:
    MemoryLog(runtime::Executor& executor, MemoryTopic& topic)
        : executor_(executor), topic_(topic) {}

    // Knobs.
    bool commit_at_once = true;  ///< The high watermark follows each append.
    bool hold_appends = false;   ///< Appends return at release_appends().
    KafkaError refuse = KafkaError::none;
    std::optional<Error> fail_reads;
    Bytes max_batch_size = 1_MiB;
    std::size_t appends = 0;
    std::size_t reads = 0;

    void read(PartitionIndex index, Offset from, Bytes max, coordinator::ReadDone done) override {
        ++reads;
        executor_.post([this, index, from, max, done = std::move(done)]() mutable {
            if (fail_reads) {
                done(*fail_reads);
                return;
            }
            const MemoryPartition& partition = topic_[index];
            coordinator::LogRead read{.start = partition.start,
                                      .end = partition.end(),
                                      .high_watermark = partition.high_watermark,
                                      .last_epoch = partition.last_epoch(),
                                      .batches = {}};
            for (const auto& entry : partition.entries) {
                if (entry.end <= from) {
                    continue;
                }
                if (!read.batches.empty() && read.batches.size() + entry.batch.size() >
                                                 static_cast<std::size_t>(max.count)) {
                    break;
                }
                read.batches.insert(read.batches.end(), entry.batch.begin(), entry.batch.end());
            }
            done(std::move(read));
        });
    }

    void append(PartitionIndex index, LeaderEpoch epoch, Buffer batch,
                coordinator::AppendDone done) override {
        ++appends;
        auto task = [this, index, epoch, batch = std::move(batch),
                     done = std::move(done)]() mutable {
            done(append_now(index, epoch, std::move(batch)));
        };
        if (hold_appends) {
            held_.push_back(std::move(task));
        } else {
            executor_.post(std::move(task));
        }
    }
    void release_appends() {
        for (auto& task : std::exchange(held_, {})) {
            executor_.post(std::move(task));
        }
    }
    std::size_t held() const { return held_.size(); }

    void watch(PartitionIndex index, coordinator::HighWatermarkListener listener) override {
        listeners_[index] =
            std::make_shared<coordinator::HighWatermarkListener>(std::move(listener));
        announce(index);
    }
    void unwatch(PartitionIndex index) override { listeners_.erase(index); }
    Bytes max_batch(PartitionIndex) const override { return max_batch_size; }

    void commit(PartitionIndex index, Offset to) {
        topic_[index].high_watermark = to;
        announce(index);
    }
    void commit_all(PartitionIndex index) { commit(index, topic_[index].end()); }

private:
    coordinator::AppendOutcome append_now(PartitionIndex index, LeaderEpoch epoch, Buffer batch) {
        MemoryPartition& partition = topic_[index];
        if (refuse != KafkaError::none) {
            return {refuse, {}, {}};
        }
        if (epoch != partition.leader_epoch) {
            return {KafkaError::not_leader_or_follower, {}, {}};
        }
        const Offset base = partition.put(epoch, std::move(batch));
        if (commit_at_once) {
            commit(index, partition.end());
        }
        return {KafkaError::none, base, partition.end()};
    }
    void announce(PartitionIndex index) {
        executor_.post([this, index, at = topic_[index].high_watermark] {
            if (const auto found = listeners_.find(index); found != listeners_.end()) {
                const auto listener = found->second;  // It may be taken away meanwhile.
                (*listener)(at);
            }
        });
    }

    runtime::Executor& executor_;
    MemoryTopic& topic_;
    std::map<PartitionIndex, std::shared_ptr<coordinator::HighWatermarkListener>> listeners_;
    std::vector<runtime::Task> held_;
};

}  // namespace millrace::support
