// raft/internal/control_batch.h
//
// The quorum's own records in the log and in snapshots, as Kafka writes them. Pure.
#pragma once

#include <optional>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "raft/messages.h"
#include "record/batch_view.h"

namespace millrace::raft {

/// What only snapshots hold: the first and the last record.
struct SnapshotHeader {
    Timestamp last_contained_log_time;
};
struct SnapshotFooter {};
using AnyControlRecord =
    std::variant<LeaderChange, KraftVersionChange, VotersChange, SnapshotHeader, SnapshotFooter>;

Buffer build_control_batch(const std::vector<AnyControlRecord>& records, Offset base,
                           QuorumEpoch epoch, Timestamp time);
Buffer build_control_batch(const std::vector<ControlRecord>& records, Offset base,
                           QuorumEpoch epoch, Timestamp time);

/// Of a control batch that passed check(). Kinds of record that we don't know are left out.
Result<std::vector<std::pair<Offset, AnyControlRecord>>> read_all_control_records(
    const record::BatchView& batch);
/// The same for the log, where a snapshot's header or footer has no business.
Result<std::vector<std::pair<Offset, ControlRecord>>> read_control_records(
    const record::BatchView& batch);

}  // namespace millrace::raft
