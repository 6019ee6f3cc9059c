// storage/compaction.h
//
// One round of compaction over a log's sealed segments. The work that reads and writes runs in the
// disk pool, piece by piece; between two pieces the log's shard takes the result over. So appends,
// reads and retention go on all the while, and a round may be dropped after any piece.
//
//     auto round = log.begin_compaction(need, budget, now);
//     do {
//         pool: round->work();
//     } while (*log.continue_compaction(*round));
//
// New segments are written and synced as `.cleaned`, renamed to `.swap` from the last to the first,
// and take the place of the old ones then: a crash at any step leaves the old or the new, whole.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"

namespace millrace::storage {

class LogState;
class PartitionLog;

/// What a round would do to a log, to choose the log that needs it most.
struct CompactionNeed {
    Offset first_dirty;      ///< Below it nothing new has come since the last round.
    Offset end;              ///< Above it nothing may be looked at yet.
    double dirty_ratio = 0;  ///< Of the bytes below `end`.
    Duration overdue{};      ///< By how much the oldest dirty record has outlived its lag.
    bool due = false;        ///< By the limits of the log.
    bool held = false;       ///< It isn't, and is once the recovery point of now is recorded.
};

struct CompactionBudget {
    std::size_t key_bytes = std::size_t{128} << 20;  ///< For the keys of one round.
    std::uint64_t seed_low = 0;  ///< Random, so that keys can't be made to collide.
    std::uint64_t seed_high = 0;
};

struct CompactionStats {
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t keys = 0;
    std::size_t segments_before = 0;
    std::size_t segments_after = 0;
};

class CompactionRound {
public:
    ~CompactionRound();
    CompactionRound(const CompactionRound&) = delete;
    CompactionRound& operator=(const CompactionRound&) = delete;

    /// The next piece, in the disk pool. Touches nothing of the log.
    void work();

    /// Once done: where the next round begins, to be kept in the cleaner checkpoint.
    Offset cleaned_end() const;
    CompactionStats stats() const;
    /// Why it ended early: Code::corrupt if a segment is damaged, Code::cancelled if the log
    /// changed under it (another round may be begun), Code::no_space.
    std::optional<Error> failure() const;

private:
    friend class PartitionLog;
    struct Inside;
    explicit CompactionRound(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace millrace::storage
