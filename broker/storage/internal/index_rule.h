// storage/internal/index_rule.h
//
// When a batch gets an entry in .index and .timeindex: one per interval of log, before the batch
// that passes it; and the largest timestamp once more when the segment is sealed. Pure.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "storage/internal/entry.h"
#include "storage/internal/sparse_index.h"

namespace millrace::storage {

class IndexRule {
public:
    struct Due {
        std::optional<OffsetEntry> offset;
        std::optional<TimeEntry> time;
    };

    IndexRule(Offset base, Bytes interval)
        : base_(base), interval_(interval), max_timestamp_offset_(base) {}

    /// The entries that belong in front of `entry`, which is the next in the file.
    Due note(const EntryHeader& entry) {
        see(entry);
        Due due;
        if (unindexed_ > static_cast<std::uint64_t>(interval_.count)) {
            due.offset = OffsetEntry{static_cast<std::int32_t>(entry.last - base_),
                                     static_cast<std::int32_t>(entry.position)};
            due.time = take_time();
            unindexed_ = 0;
        }
        unindexed_ += entry.size;
        return due;
    }
    /// An entry that lies in the file already, behind the last indexed one.
    void pass(const EntryHeader& entry) {
        see(entry);
        unindexed_ += entry.size;
    }
    /// What the time index lacks of the largest timestamp.
    std::optional<TimeEntry> take_time() {
        if (max_timestamp_ <= indexed_timestamp_) {
            return std::nullopt;
        }
        indexed_timestamp_ = max_timestamp_;
        return TimeEntry{max_timestamp_, static_cast<std::int32_t>(max_timestamp_offset_ - base_)};
    }
    /// Goes on behind a time index that ends with `last`.
    void resume(const std::optional<TimeEntry>& last) {
        max_timestamp_ = indexed_timestamp_ = last ? last->timestamp : -1;
        max_timestamp_offset_ = last ? base_ + last->relative_offset : base_;
        unindexed_ = 0;
    }

    std::int64_t max_timestamp() const { return max_timestamp_; }
    /// Last offset of the batch that has it.
    Offset max_timestamp_offset() const { return max_timestamp_offset_; }

private:
    void see(const EntryHeader& entry) {
        if (entry.max_timestamp > max_timestamp_) {
            max_timestamp_ = entry.max_timestamp;
            max_timestamp_offset_ = entry.last;
        }
    }

    Offset base_;
    Bytes interval_;
    std::uint64_t unindexed_ = 0;  // Bytes since the last indexed batch began.
    std::int64_t max_timestamp_ = -1;
    Offset max_timestamp_offset_;
    std::int64_t indexed_timestamp_ = -1;
};

}  // namespace millrace::storage
