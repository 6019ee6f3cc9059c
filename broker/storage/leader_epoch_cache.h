// storage/leader_epoch_cache.h
//
// At which offset each leader epoch began. Pure; the log keeps one, fed by the batches it appends,
// and writes it as `leader-epoch-checkpoint`.
#pragma once

#include <optional>
#include <vector>

#include "model/ids.h"

namespace millrace::storage {

struct EpochStart {
    LeaderEpoch epoch;
    Offset start;
    friend auto operator<=>(const EpochStart&, const EpochStart&) = default;
};

struct EpochEnd {
    LeaderEpoch epoch = no_leader_epoch;  ///< The largest known epoch not above the one asked for.
    Offset end = no_offset;               ///< One past the last offset written in it.
    friend auto operator<=>(const EpochEnd&, const EpochEnd&) = default;
};

class LeaderEpochCache {
public:
    LeaderEpochCache() = default;
    /// Entries in the order of a checkpoint; contradictory ones are dropped as assign() would.
    explicit LeaderEpochCache(const std::vector<EpochStart>& entries);

    /// `epoch` begins at `start`. Entries that contradict it (a later epoch at the same offset or
    /// after) go: the newer statement wins. Returns whether anything changed.
    bool assign(LeaderEpoch epoch, Offset start);

    /// Forgets what begins at or after `end`. Returns whether anything changed.
    bool truncate_from_end(Offset end);
    /// Forgets what ended at or before `start`; the epoch that covers `start` now begins there.
    bool truncate_from_start(Offset start);
    void clear() { entries_.clear(); }

    std::optional<EpochStart> latest() const;
    std::optional<EpochStart> earliest() const;
    /// The epoch that the record at `offset` was written in.
    std::optional<LeaderEpoch> epoch_of(Offset offset) const;
    std::optional<LeaderEpoch> previous_epoch(LeaderEpoch epoch) const;

    /// Where `epoch` ended, given the log's end. For an epoch above all known ones, and for an
    /// empty cache: undefined (no_leader_epoch, no_offset). For an epoch below all known ones:
    /// that epoch with the start of the first known one.
    EpochEnd end_offset_for(LeaderEpoch epoch, Offset log_end) const;

    const std::vector<EpochStart>& entries() const { return entries_; }

private:
    std::vector<EpochStart> entries_;  // Both members strictly increase.
};

}  // namespace millrace::storage
