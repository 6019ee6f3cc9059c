// raft/events.h
//
// Everything that can happen to a quorum member, and everything it may ask for in return.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "raft/epoch_history.h"
#include "raft/messages.h"
#include "raft/voter_set.h"

namespace millrace::raft {

/// What must survive a crash before anybody hears of it: Kafka's quorum-state file.
struct ElectionState {
    QuorumEpoch epoch{0};
    BrokerId leader = no_broker;
    std::optional<ReplicaKey> voted;

    friend bool operator==(const ElectionState&, const ElectionState&) = default;
};

struct RequestId {
    std::uint64_t value = 0;  ///< Given by the shell; an answer names it.
    friend auto operator<=>(const RequestId&, const RequestId&) = default;
};
struct SendId {
    std::uint64_t value = 0;  ///< Given by the core; a response names it.
    friend auto operator<=>(const SendId&, const SendId&) = default;
};

// ---- Events -------------------------------------------------------------------------------------

/// Time passed. Any event carries the time; this one carries nothing else.
struct Tick {};

struct RequestReceived {
    RequestId id;
    Request request;
};
struct ResponseReceived {
    SendId id;
    Response response;
};
/// No answer will come: not connected, connection lost, or timed out.
struct SendFailed {
    SendId id;
    bool disconnected = false;  ///< Refused or lost, as opposed to silent.
};

/// A connection to that node broke. Only a hint: it makes us look sooner.
struct ConnectionLost {
    BrokerId node;
};

/// Append `record_count` records as one batch if we still lead in `epoch`.
struct Proposed {
    QuorumEpoch epoch{0};
    std::int32_t record_count = 0;
    std::shared_ptr<const Buffer> batch;
};

/// What was appended before Sync{.., generation} is on the device up to `end`.
struct LogSynced {
    Offset end{0};
    std::uint64_t generation = 0;
};
struct ElectionPersisted {
    std::uint64_t sequence = 0;
};

/// A snapshot written here is complete and durable. Its id came from snapshot_id_at().
struct SnapshotCreated {
    SnapshotId id;
};
/// The downloaded snapshot is verified and durable under its name.
struct SnapshotReady {
    SnapshotId id;
    std::int16_t kraft_version = 0;
    std::optional<VoterSet> voters;
};
/// The downloaded bytes failed their check and are deleted.
struct SnapshotDamaged {
    SnapshotId id;
};

/// Give up leadership (the application asks, or the node is stopping) and name successors.
struct ResignRequested {
    QuorumEpoch epoch{0};
};

using Event = std::variant<Tick, RequestReceived, ResponseReceived, SendFailed, ConnectionLost,
                           Proposed, LogSynced, ElectionPersisted, SnapshotCreated, SnapshotReady,
                           SnapshotDamaged, ResignRequested>;

// ---- Effects, to be carried out in order --------------------------------------------------------

/// `to_id` is no_broker where only the address is known (bootstrap servers).
struct Send {
    SendId id;
    BrokerId to_id = no_broker;
    Endpoint to;
    Request request;
};
struct Reply {
    RequestId id;
    Response response;
};

/// Write durably, then report ElectionPersisted. Of several only the last need be written.
struct PersistElection {
    std::uint64_t sequence = 0;
    ElectionState state;
};

/// Leader: the batch of Proposed, at these offsets and in this epoch.
struct AppendProposed {
    Offset base{0};
    Offset end{0};
    QuorumEpoch epoch{0};
    std::shared_ptr<const Buffer> batch;
};
/// The proposal was not appended: we do not lead in its epoch.
struct ProposalRefused {
    QuorumEpoch epoch{0};
};
/// Leader: one control batch with these records.
struct AppendControl {
    Offset base{0};
    QuorumEpoch epoch{0};
    std::vector<ControlRecord> records;
};
/// Follower: batches that carry their offsets and epochs already.
struct AppendFetched {
    FetchedBatches fetched;
};
struct TruncateLog {
    Offset end{0};
};
/// Make everything below `end` durable, then report LogSynced with the same numbers.
struct SyncLog {
    Offset end{0};
    std::uint64_t generation = 0;
};

/// What is below is committed; never goes back within a process.
struct HighWatermarkAdvanced {
    Offset to{0};
};
/// Somebody else leads, nobody does, or we do. As a leader: `epoch_start` is the end of our first
/// batch; once the high watermark is there, everything before us is known to be committed.
struct LeaderChanged {
    QuorumEpoch epoch{0};
    BrokerId leader = no_broker;
    Offset epoch_start{0};

    friend bool operator==(const LeaderChanged&, const LeaderChanged&) = default;
};

/// Download: an empty file for `id`, its bytes in order, then verify and report SnapshotReady or
/// SnapshotDamaged.
struct SnapshotStarted {
    SnapshotId id;
};
struct SnapshotChunk {
    SnapshotId id;
    std::int64_t position = 0;
    std::shared_ptr<const Buffer> bytes;
};
struct SnapshotComplete {
    SnapshotId id;
};
/// Empty the log and go on at the snapshot's end; the state machine takes the snapshot's state.
struct InstallSnapshot {
    SnapshotId id;
};
/// Log and snapshots before this snapshot are no longer needed.
struct ForgetBefore {
    SnapshotId snapshot;
};

/// Something a person should know: why a node does not form, join or vote.
struct Notice {
    std::string event;  ///< "raft.waiting_to_form"
    std::string detail;
    bool alarm = false;  ///< A person must act.
};

/// Going on would lose committed records: stop the node.
struct Halt {
    std::string reason;
    bool for_good = false;  ///< Another start would forget why: it takes a person to allow it.
};

using Effect = std::variant<Send, Reply, PersistElection, AppendProposed, ProposalRefused,
                            AppendControl, AppendFetched, TruncateLog, SyncLog,
                            HighWatermarkAdvanced, LeaderChanged, SnapshotStarted, SnapshotChunk,
                            SnapshotComplete, InstallSnapshot, ForgetBefore, Notice, Halt>;
using Effects = std::vector<Effect>;

}  // namespace millrace::raft
