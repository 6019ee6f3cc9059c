// raft/state_listener.h
//
// The replicated state machine above the quorum (metadata). Called only on the control loop, in log
// order, never inside a call that the listener itself makes to the driver.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"
#include "raft/epoch_history.h"

namespace millrace::raft {

/// One committed batch. Control batches come too, so that `end` tells how far the log was applied;
/// their records are the quorum's business.
struct CommittedBatch {
    Offset base{0};
    Offset end{0};
    QuorumEpoch epoch{0};
    Timestamp append_time;  ///< The batch's max timestamp.
    bool is_control = false;
    ByteView bytes;  ///< The whole record batch (v2); valid during the call.
};

/// The data batches of one snapshot, in order; headers, voters and footer are already checked.
class SnapshotReader {
public:
    virtual ~SnapshotReader() = default;
    virtual SnapshotId id() const = 0;
    virtual Timestamp last_contained_log_time() const = 0;
    /// Whole record batches (v2), none at the end. Valid until the next call.
    virtual Result<std::optional<ByteView>> next() = 0;
};

struct Leadership {
    QuorumEpoch epoch{0};
    BrokerId leader = no_broker;  ///< no_broker while an election goes on.
    bool is_self = false;

    friend bool operator==(const Leadership&, const Leadership&) = default;
};

class StateListener {
public:
    virtual ~StateListener() = default;

    /// Committed batches that follow what was delivered before, without a gap. An error stops the
    /// node: a record that can't be applied is never skipped.
    virtual Result<void> on_commit(std::span<const CommittedBatch> batches) = 0;

    /// Drop all state and take the snapshot's; on_commit goes on at its end.
    virtual Result<void> on_snapshot(SnapshotReader& snapshot) = 0;

    /// `is_self` is said only once everything committed before our epoch was delivered.
    virtual void on_leader_change(const Leadership& leadership) = 0;
};

}  // namespace millrace::raft
