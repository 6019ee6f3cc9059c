// replication/housekeeping.h
//
// What a shard says and is told of its logs, apart from serving them: marks for the checkpoints,
// compaction, how often to look after what.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "model/ids.h"
#include "storage/compaction.h"
#include "storage/log_directory.h"
#include "storage/log_facts.h"

namespace millrace::replication {

/// How often a shard looks after its logs.
struct UpkeepTimes {
    Duration first_after = 30s;  ///< Of the process's start.
    Duration retention = 300s;
    Duration producers = 600s;
    friend bool operator==(const UpkeepTimes&, const UpkeepTimes&) = default;
};

/// Where one log stands, for the checkpoints of its directory and for the metrics.
struct LogMark {
    TopicIdPartition id;
    TopicPartition partition;
    std::shared_ptr<storage::LogDirectory> directory;
    std::string path;      ///< Of its folder.
    Offset first_base{0};  ///< Of its first segment.
    Offset start{0};
    Offset recovery_point{0};
    Offset high_watermark{0};
    Offset cleaned_end{0};  ///< Zero: never compacted.
    bool is_compacted = false;
    bool is_uncleanable = false;               ///< Compaction found damage and gave up.
    std::size_t segments = 0;                  ///< Of an open log.
    std::size_t waiting_produces = 0;          ///< Appended here, not yet committed.
    std::optional<storage::LogFacts> facts{};  ///< For the manifest, where they are new.
};

/// What a log was given by the checkpoints when it was opened.
struct LogHistory {
    Offset high_watermark{0};
    Offset recorded_end{0};  ///< Its recovery point in the file.
    Offset cleaned_end{0};
};

/// A copy that a reassignment has begun and that isn't in sync yet, as this broker sees it.
struct CopyUnderWay {
    TopicIdPartition id;
    bool arrives = false;     ///< Here. Or this broker leads and it leaves for another.
    Offset leader_end{0};     ///< As far as it is known here.
    Offset own_end{0};        ///< Of the log here.
    std::uint64_t bytes = 0;  ///< Appended here since the start.
};

/// Of the logs that need compaction, one that needs it most.
struct CompactionCandidate {
    TopicIdPartition id;
    storage::CompactionNeed need;
};

struct CompactionNeeds {
    std::optional<CompactionCandidate> neediest;
    bool any_held = false;  ///< Some log waits for nothing but its recovery point's record.
};

/// What is late goes first, the latest of all; then what holds most that is new.
inline bool is_needier(const storage::CompactionNeed& a, const storage::CompactionNeed& b) {
    return std::tie(a.overdue, a.dirty_ratio) > std::tie(b.overdue, b.dirty_ratio);
}

/// How fast a round of compaction goes.
struct CompactionPace {
    double bytes_per_second = 0;
    std::uint64_t lane = 0;  ///< Of the disk pool: one piece at a time.
    std::shared_ptr<const std::atomic<bool>> stopping;
};

struct CompactionOutcome {
    std::optional<Error> failure;
    storage::CompactionStats stats;
};

/// Counted by a shard, read by anyone.
struct ShardCounts {
    std::atomic<std::uint64_t> corrupt_reads{0};
    std::atomic<std::uint64_t> segments_retired{0};
    // As of the last tick, of partitions led here.
    std::atomic<int> under_min_isr{0};
    std::atomic<int> healing{0};  ///< Replicas that catch up, without being part of a move.
    std::atomic<std::uint64_t> replicated_in_bytes{0};  ///< Fetched from leaders.
    std::atomic<std::uint64_t> moved_in_bytes{0};   ///< Of those, for replicas being added here.
    std::atomic<std::uint64_t> moved_out_bytes{0};  ///< Sent to replicas being added elsewhere.
    std::atomic<std::uint64_t> isr_refused{0};  ///< Proposals that the controller did not follow.
    std::atomic<std::uint64_t> syncs{0};
    std::atomic<std::int64_t> sync_nanoseconds{0};  ///< Of those, from asking to hearing.
    std::atomic<std::size_t> waiting_fetches{0};    ///< Now.
    std::atomic<std::uint64_t> journal_writes{0};   ///< Each a sync of many logs.
    std::atomic<std::uint64_t> journal_entries{0};  ///< Of logs, in those.
    std::atomic<std::uint64_t> journal_bytes{0};

    /// The shard's loop alone writes: a load and a store will do.
    template <typename T>
    static void add(std::atomic<T>& counter, T n) {
        counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
};

}  // namespace millrace::replication
