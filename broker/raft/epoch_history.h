// raft/epoch_history.h
//
// Where each leader epoch starts in the log: enough to compare two logs without reading them.
#pragma once

#include <string>
#include <vector>

#include "model/ids.h"

namespace millrace::raft {

/// "The log ends at `end`, and the record before it was written in `epoch`." Also the identity of a
/// snapshot: `end` is exclusive and lies at a batch boundary.
struct LogPosition {
    Offset end{0};
    QuorumEpoch epoch{0};

    friend auto operator<=>(const LogPosition&, const LogPosition&) = default;
    std::string to_string() const;
};

using SnapshotId = LogPosition;

/// Raft's "at least as up to date": by epoch first, then by length.
inline bool at_least_as_up_to_date(const LogPosition& a, const LogPosition& b) {
    return a.epoch != b.epoch ? a.epoch > b.epoch : a.end >= b.end;
}

class EpochHistory {
public:
    struct Entry {
        QuorumEpoch epoch;
        Offset start;
        friend auto operator<=>(const Entry&, const Entry&) = default;
    };

    EpochHistory() = default;
    /// A log that starts at `base.end`, after a record of `base.epoch` ({0, 0}: a log from the
    /// beginning). `entries` ascend in both fields and start at or after the base.
    EpochHistory(LogPosition base, std::vector<Entry> entries);

    /// The records from `start` on are of `epoch`; nothing changes if that continues the last one.
    void append(QuorumEpoch epoch, Offset start);
    void truncate(Offset end);      ///< Forgets what starts at or after `end`.
    void trim_front(Offset start);  ///< The log now starts here.

    const LogPosition& base() const { return base_; }
    /// Epoch of the last record; the base's if there is none, so 0 for a new log, as Kafka says it.
    QuorumEpoch last() const { return entries_.empty() ? base_.epoch : entries_.back().epoch; }
    /// The epoch of the record at `offset`; the base's for the one before the log's start.
    QuorumEpoch epoch_at(Offset offset) const;
    /// The largest known epoch <= `epoch` and where it ends in a log that ends at `log_end`.
    /// `epoch` must not be below the base's.
    LogPosition end_of(QuorumEpoch epoch, Offset log_end) const;
    const std::vector<Entry>& entries() const { return entries_; }

private:
    LogPosition base_;
    std::vector<Entry> entries_;
};

}  // namespace millrace::raft
