// storage/internal/segment.h
//
// One segment of a log: its .log file with the three indexes, found and cut by offset. The last
// segment of a log is the active one and grows; the others are sealed. Knows nothing of the log
// around it. Owned by the log's shard.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "storage/internal/entry.h"
#include "storage/internal/index_rule.h"
#include "storage/internal/log_names.h"
#include "storage/internal/sparse_index.h"
#include "storage/internal/transaction_index.h"
#include "storage/limits.h"
#include "storage/log_facts.h"

namespace millrace::storage {

/// Byte ranges of a file that were seen to be good since the process started.
class CheckedRanges {
public:
    bool covers(std::uint64_t begin, std::uint64_t end) const;
    void add(std::uint64_t begin, std::uint64_t end);
    void cut(std::uint64_t end);

private:
    std::vector<std::pair<std::uint64_t, std::uint64_t>>
        ranges_;  // Sorted, disjoint, not touching.
};

class Segment {
public:
    /// `folder` is the log's and outlives the segment. Nothing is opened or created.
    Segment(FileCache& cache, const std::string& folder, Offset base, Bytes index_interval);

    Offset base() const { return base_; }
    std::uint64_t size() const { return size_; }
    Offset end() const { return end_; }  ///< One past the last offset in it; base() if empty.
    bool empty() const { return size_ == 0; }
    Result<runtime::FilePtr> file() { return log_.open(); }
    /// Opens every file and keeps it open: their names are about to change.
    Result<void> pin();
    CachedFile& log_file() { return log_; }
    OffsetIndex& offset_index() { return offsets_; }
    TimeIndex& time_index() { return times_; }
    TransactionIndex& transactions() { return transactions_; }
    /// Names of the files that may exist, for renaming and removal.
    std::vector<std::string> paths() const;

    // --- Growing --------------------------------------------------------------------------------

    Result<runtime::FilePtr> create();
    /// May a batch that ends at `last` still go here?
    bool has_room_for(Offset last, std::size_t bytes, const LogLimits& limits) const;
    /// What the caller has just written at size(): extends the segment and its indexes.
    void note(const EntryHeader& entry);
    /// Reserves space ahead of size() + `coming`, in growing steps.
    void preallocate(runtime::File& file, std::size_t coming, Bytes segment_bytes);
    /// Gives reserved space back and writes the indexes; returns the files that are now dirty.
    Result<std::vector<runtime::FilePtr>> seal();
    /// Writes the indexes as far as they go, and goes on growing; the files that are now dirty.
    Result<std::vector<runtime::FilePtr>> flush_indexes();

    // --- Opening --------------------------------------------------------------------------------

    /// Takes files and indexes as they are, for a sealed segment; end() is set by set_end().
    Result<void> adopt(std::uint64_t size);
    void set_end(Offset end) { end_ = end; }
    /// Takes for known what compaction has just written under this name.
    void install(std::uint64_t size, Offset end, std::size_t offset_entries,
                 std::size_t time_entries, const TimeEntry& last_time);
    /// Walks headers from the last indexed batch to the end: end(), the largest timestamp, recent
    /// batches. After adopt(), for the active segment; after a cut. Code::corrupt if it can't.
    Result<void> load_tail();
    /// Of a sealed segment, for the next start; nothing while an index is in memory.
    std::optional<SegmentFacts> facts() const;
    /// Of one that grows, right after flush_indexes(), which must not be empty.
    Result<TailMark> tail_mark();
    /// Takes for known what a start before this one has noted, if the files have those sizes.
    Result<bool> adopt_known(const SegmentFacts& known, Offset end);
    /// The same for the front part of a segment, if all that it says is found there: what lies
    /// behind it is to be scanned. False leaves the segment as after reset().
    Result<bool> resume(const TailMark& mark);
    /// Ends there.
    bool is_at(const TailMark& mark) const {
        return mark.front.base == base_ && mark.front.size == size_ && mark.end == end_;
    }
    /// Forgets all that is known of the contents; note() builds it up again.
    void reset();
    /// Indexes from the headers alone, where they are missing or lie.
    Result<void> rebuild_indexes();

    // --- Finding --------------------------------------------------------------------------------

    /// The first batch that ends at or after `target`.
    Result<std::optional<EntryHeader>> find(Offset target);
    /// The largest known batch boundary at or below `position` that is above `above`, if any.
    Result<std::optional<std::uint64_t>> boundary_at_or_below(std::uint64_t position,
                                                              std::uint64_t above);
    /// Where a search for records at or after `at` has to begin.
    Result<std::uint64_t> position_for_timestamp(Timestamp at, Offset start);

    // --- Time -----------------------------------------------------------------------------------

    /// Largest timestamp, and the last offset of the batch that has it; -1 if none has one.
    std::pair<std::int64_t, Offset> max_timestamp() const {
        return {rule_.max_timestamp(), rule_.max_timestamp_offset()};
    }
    /// The first batch's largest timestamp: what the segment's age counts from.
    Result<std::optional<std::int64_t>> first_timestamp();
    /// When it last grew or was opened, for batches that have no timestamp or an absurd one.
    Timestamp touched() const { return touched_; }
    void touch(Timestamp now) {
        touched_ = now;
        began_ = began_.value_or(now);
    }
    /// When it was made or opened: what its age counts from where its batches have no timestamp.
    Timestamp began() const { return began_.value_or(touched_); }

    // --- Cutting --------------------------------------------------------------------------------

    /// Drops everything from `position` on; `end` is the new end().
    Result<void> cut(std::uint64_t position, Offset end);

    CheckedRanges& checked() { return checked_; }

private:
    struct Recent {
        Offset first;
        Offset last;
        std::uint64_t position;
        std::uint32_t size;
        std::int64_t max_timestamp;
        LeaderEpoch epoch;
    };
    static constexpr std::size_t recent_max = 32;

    std::optional<EntryHeader> find_recent(Offset target) const;
    const Recent& recent_at(std::size_t age_order) const;
    Result<bool> holds(const TailMark& mark);
    static std::uint32_t fingerprint(const Recent& batch);
    void trust(std::uint64_t size, Offset end, std::size_t offset_entries, std::size_t time_entries,
               const TimeEntry& last_time);
    void remember(const EntryHeader& entry);
    void forget_recent();
    Result<std::uint64_t> walk_start(Offset target);

    const Offset base_;
    std::uint64_t size_ = 0;
    Offset end_;
    CachedFile log_;
    OffsetIndex offsets_;
    TimeIndex times_;
    TransactionIndex transactions_;
    std::uint64_t reserved_ = 0;  // Space is allocated up to here.
    IndexRule rule_;
    std::optional<std::int64_t> first_timestamp_;
    Timestamp touched_;
    std::optional<Timestamp> began_;
    std::vector<Recent>
        recent_;  // A ring of the last batches; recent_next_ is the oldest once full.
    std::size_t recent_next_ = 0;
    CheckedRanges checked_;
};

}  // namespace millrace::storage
