// raft/messages.h
//
// What voters and observers say to each other, as the core sees it: one partition, no versions, no
// topic nesting. The shell maps them to Kafka's messages (internal/wire.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "model/kafka_error.h"
#include "raft/epoch_history.h"
#include "raft/voter_set.h"

namespace millrace::raft {

/// Who leads, in the eyes of the sender, and where to reach it. Part of most answers.
struct LeaderHint {
    QuorumEpoch epoch{0};
    BrokerId leader = no_broker;
    Endpoint endpoint;

    friend bool operator==(const LeaderHint&, const LeaderHint&) = default;
};

struct VoteRequest {
    std::string cluster_id;
    ReplicaKey voter;  ///< Whom the sender believes to ask.
    ReplicaKey candidate;
    QuorumEpoch epoch{0};  ///< The epoch it stands in; for a pre-vote the one it is still in.
    LogPosition log;
    bool pre_vote = false;
};
struct VoteResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
    bool granted = false;
};

struct BeginQuorumEpochRequest {
    std::string cluster_id;
    ReplicaKey voter;
    BrokerId leader = no_broker;
    QuorumEpoch epoch{0};
    std::vector<Listener> leader_listeners;
};
struct BeginQuorumEpochResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
};

struct EndQuorumEpochRequest {
    std::string cluster_id;
    BrokerId leader = no_broker;
    QuorumEpoch epoch{0};
    std::vector<ReplicaKey> preferred;  ///< Best successor first.
    std::vector<Listener> leader_listeners;
};
struct EndQuorumEpochResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
};

/// What the follower knows of the high watermark (KIP-1166), so that news of it is worth an answer.
inline constexpr Offset high_watermark_unknown{-1};
inline constexpr Offset high_watermark_unsupported{INT64_MAX};

struct FetchRequest {
    std::string cluster_id;  ///< Empty: not said.
    ReplicaKey replica;      ///< id < 0: a reader that is no replica.
    QuorumEpoch leader_epoch{0};
    LogPosition log;  ///< Its synced end, and the epoch of its last record.
    Offset high_watermark = high_watermark_unsupported;
    std::int32_t max_bytes = INT32_MAX;
    Duration max_wait{0};
};

/// What the core must know of a control batch; the rest of the log is opaque to it.
struct LeaderChange {
    BrokerId leader = no_broker;
    std::vector<ReplicaKey> voters;
    std::vector<ReplicaKey> granting;
    friend bool operator==(const LeaderChange&, const LeaderChange&) = default;
};
struct KraftVersionChange {
    std::int16_t version = 0;
    friend bool operator==(const KraftVersionChange&, const KraftVersionChange&) = default;
};
struct VotersChange {
    VoterSet voters;
    friend bool operator==(const VotersChange&, const VotersChange&) = default;
};
using ControlRecord = std::variant<LeaderChange, KraftVersionChange, VotersChange>;

/// One batch as its header tells it. `bytes` is the whole batch where the core passes it on.
struct LogBatch {
    Offset base{0};
    Offset end{0};
    QuorumEpoch epoch{0};
    /// With the offset of each; empty for a data batch.
    std::vector<std::pair<Offset, ControlRecord>> control;
};

/// Batches as they came from the leader: checked and summed up by the shell, stored as they are.
struct FetchedBatches {
    std::vector<LogBatch> batches;
    std::shared_ptr<const Buffer> bytes;
};

/// What the shell reads from the log to complete an answer.
struct LogRange {
    Offset from{0};
    Offset limit{0};  ///< Nothing at or after this.
    std::int32_t max_bytes = 0;
};

struct FetchResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
    Offset high_watermark = high_watermark_unknown;
    Offset log_start{-1};
    std::optional<LogPosition> diverging;
    std::optional<SnapshotId> snapshot;  ///< Fetch this first: the log no longer reaches back.
    std::optional<LogRange> read;        ///< Leaving: what to attach.
    FetchedBatches fetched;              ///< Arriving: what was attached.
};

struct FetchSnapshotRequest {
    std::string cluster_id;
    ReplicaKey replica;
    QuorumEpoch leader_epoch{0};
    SnapshotId snapshot;
    std::int64_t position = 0;
    std::int32_t max_bytes = INT32_MAX;
};
struct FetchSnapshotResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
    SnapshotId snapshot;
    std::int64_t size = 0;
    std::int64_t position = 0;
    std::shared_ptr<const Buffer> bytes;
    /// Leaving: the shell fills size and bytes, or answers that the position is out of range.
    std::optional<std::int32_t> read_max_bytes;
};

struct AddVoterRequest {
    std::optional<std::string> cluster_id;
    Duration timeout{0};
    ReplicaKey voter;
    std::vector<Listener> listeners;
    bool ack_when_committed = true;
};
struct RemoveVoterRequest {
    std::optional<std::string> cluster_id;
    ReplicaKey voter;
};
struct UpdateVoterRequest {
    std::optional<std::string> cluster_id;
    QuorumEpoch leader_epoch{0};
    Voter voter;
};
/// Answer to all three; `hint` is filled for UpdateVoter only.
struct VoterChangeResponse {
    KafkaError error = KafkaError::none;
    std::string message;
    LeaderHint hint;
};

struct DescribeQuorumRequest {};
struct ReplicaProgress {
    ReplicaKey key;
    Offset log_end{-1};
    std::optional<Instant> last_fetch;
    std::optional<Instant> last_caught_up;
};
struct DescribeQuorumResponse {
    KafkaError error = KafkaError::none;
    LeaderHint hint;
    Offset high_watermark = high_watermark_unknown;
    std::vector<ReplicaProgress> voters;
    /// On a node that does not lead: itself alone, so that a forming quorum can find its members.
    std::vector<ReplicaProgress> observers;
    /// The voters' listeners; those of the answering node where it does not lead.
    std::vector<std::pair<BrokerId, std::vector<Listener>>> nodes;
};

/// Which kraft.version a node can work with: ApiVersions, cut down to what the quorum asks.
struct SupportRequest {};
struct SupportResponse {
    KafkaError error = KafkaError::none;
    VersionRange kraft_version{0, 0};
};

using Request =
    std::variant<VoteRequest, BeginQuorumEpochRequest, EndQuorumEpochRequest, FetchRequest,
                 FetchSnapshotRequest, AddVoterRequest, RemoveVoterRequest, UpdateVoterRequest,
                 DescribeQuorumRequest, SupportRequest>;
using Response = std::variant<VoteResponse, BeginQuorumEpochResponse, EndQuorumEpochResponse,
                              FetchResponse, FetchSnapshotResponse, VoterChangeResponse,
                              DescribeQuorumResponse, SupportResponse>;

}  // namespace millrace::raft
