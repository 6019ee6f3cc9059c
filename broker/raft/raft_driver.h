// raft/raft_driver.h
//
// The shell around RaftCore: owns the metadata log, the quorum-state file, the snapshots and the
// timer; speaks Kafka's protocol through a Channel and through handle(). Lives on the control loop:
// every call and every callback is there.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "model/ids.h"
#include "protocol/request_body.h"
#include "raft/channel.h"
#include "raft/quorum_config.h"
#include "raft/replicated_log.h"
#include "raft/state_listener.h"
#include "raft/voter_set.h"
#include "runtime/node.h"

namespace millrace::raft {

/// Where an appended batch lies: [base, end).
struct Appended {
    Offset base{0};
    Offset end{0};
};

/// A snapshot being written. Dropping it unfinished removes it.
class SnapshotWriter {
public:
    virtual ~SnapshotWriter() = default;
    virtual SnapshotId id() const = 0;
    /// One data batch (v2, built from offset 0); its offset and epoch are set here.
    virtual Result<void> append(Buffer batch) = 0;
    /// Writes the footer, syncs off the loop, gives the file its name and tells the quorum.
    virtual void finish(UniqueFunction<void(Result<void>)> done) = 0;
};

struct DriverOptions {
    QuorumConfig quorum;
    std::string directory;  ///< .../__cluster_metadata-0, which exists and is ours.
};

class RaftDriver {
public:
    /// Reads quorum-state, snapshots and the log; syncs what it found. May block: call it before
    /// the loop runs. Refuses a quorum-state of an unknown version and a log it can't trust.
    static Result<std::unique_ptr<RaftDriver>> open(DriverOptions options, runtime::Node& node,
                                                    std::unique_ptr<ReplicatedLog> log,
                                                    Channel& channel);
    virtual ~RaftDriver() = default;

    /// Starts taking part. `listener` first gets the latest snapshot, if there is one. `on_halt` is
    /// called once if going on would lose data (disk failure, listener's refusal, impossible log).
    virtual void start(StateListener& listener, UniqueFunction<void(Error)> on_halt) = 0;

    /// Appends one record batch (v2, built from offset 0) as the leader of `epoch`. Offsets are
    /// known at once; `committed` runs after the listener got the batch, or with Code::not_leader
    /// when leadership ended first: the outcome is then open until the next leader's log tells.
    /// Errors: not_leader, invalid (not one well-formed batch, or above the limit): nothing was
    /// written.
    virtual Result<Appended> append(QuorumEpoch epoch, Buffer batch,
                                    UniqueFunction<void(Result<void>)> committed) = 0;

    /// One request body of a raft API (is_raft_api) that the edge has authorised.
    virtual void handle(std::int16_t api_key, std::int16_t version,
                        const protocol::RequestBody& body,
                        UniqueFunction<void(Result<Buffer>)> reply) = 0;
    /// Fetch, Vote, BeginQuorumEpoch, EndQuorumEpoch, DescribeQuorum, FetchSnapshot, AddRaftVoter,
    /// RemoveRaftVoter, UpdateRaftVoter.
    static bool is_raft_api(std::int16_t api_key);

    /// A snapshot of everything delivered below `end`, the end of a delivered batch. Errors:
    /// invalid (not a batch's end, or not committed), exists (we have one as new).
    virtual Result<std::unique_ptr<SnapshotWriter>> create_snapshot(
        Offset end, Timestamp last_contained_log_time) = 0;

    /// Gives up leadership of that epoch; others are told who should follow.
    virtual void resign(QuorumEpoch epoch) = 0;
    /// Resigns if needed, gives successors a moment to hear of it, then stops everything.
    virtual void shutdown(Duration grace, UniqueFunction<void()> done) = 0;

    virtual Leadership leadership() const = 0;
    virtual std::optional<Endpoint> leader_endpoint() const = 0;
    /// What keeps the quorum from having a leader, for a person to read; empty if there is one or
    /// nothing is known.
    virtual std::string why_no_leader() const = 0;
    virtual std::optional<Offset> high_watermark() const = 0;
    virtual Offset log_start() const = 0;
    virtual Offset log_end() const = 0;
    virtual const VoterSet& voters() const = 0;
    virtual std::int16_t kraft_version() const = 0;
    virtual std::optional<SnapshotId> latest_snapshot() const = 0;
};

}  // namespace millrace::raft
