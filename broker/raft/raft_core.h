// raft/raft_core.h
//
// One member of the metadata quorum as a synchronous state machine: KIP-595 (pull replication),
// KIP-630 (snapshots), KIP-853 (voters in the log), KIP-996 (pre-vote). No clock, no I/O, no
// thread: step() takes an event and the time and returns what to do, in order.
//
// What it promises, and the simulator holds it to:
//  - at most one leader per epoch; a restarted leader never leads in the same epoch again;
//  - what is below a reported high watermark never changes;
//  - no message leaves before the vote or epoch it speaks of is durable: the core itself holds
//    messages back until ElectionPersisted;
//  - a leader counts only what is synced, its own log included, and raises the high watermark only
//    once its own LeaderChange record is covered.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/time.h"
#include "raft/epoch_history.h"
#include "raft/events.h"
#include "raft/voter_set.h"

namespace millrace::raft {

struct CoreConfig {
    ReplicaKey self;
    bool can_vote = true;  ///< process.roles contains controller.
    std::string cluster_id;
    std::vector<Listener> listeners;  ///< Where other voters reach us, the default one first.
    VersionRange kraft_version{0, 1};

    /// controller.quorum.voters: ids and addresses, directories unknown.
    std::vector<Voter> static_voters;
    /// controller.quorum.bootstrap.servers: addresses alone.
    std::vector<Endpoint> bootstrap_servers;
    /// controller.quorum.auto.join.enable: ask to be made a voter, replacing our former directory.
    bool auto_join = false;

    Duration election_timeout = std::chrono::seconds(1);  ///< Plus as much again at random.
    Duration election_backoff_max = std::chrono::seconds(1);
    Duration fetch_timeout = std::chrono::seconds(2);
    Duration request_timeout = std::chrono::seconds(2);
    Duration retry_backoff = std::chrono::milliseconds(20);
    Duration fetch_max_wait = std::chrono::milliseconds(500);
    /// After a hint that the leader is gone, voter number n waits n of these before it stands.
    Duration suspicion_slot = std::chrono::milliseconds(40);
    std::int32_t fetch_max_bytes = 8 << 20;
    std::int32_t snapshot_chunk_bytes = 1 << 20;
};

/// What the disk holds when the process starts; all of it durable.
struct RecoveredState {
    std::optional<ElectionState> election;
    Offset log_end{0};
    EpochHistory epochs;  ///< Its base is the log's start.
    VoterHistory voters;  ///< From the latest snapshot and the control records of the log.
    std::optional<SnapshotId> snapshot;  ///< The latest.
};

enum class Role { unattached, follower, prospective, candidate, leader, resigned };
std::string_view to_string(Role role);

class RaftCore {
public:
    RaftCore(CoreConfig config, RecoveredState recovered, Random& random, Instant now);
    ~RaftCore();
    RaftCore(const RaftCore&) = delete;
    RaftCore& operator=(const RaftCore&) = delete;

    Effects step(Instant now, Event event);
    /// When to call step() with a Tick at the latest.
    Instant deadline() const;

    Role role() const;
    QuorumEpoch epoch() const;
    BrokerId leader() const;
    std::optional<Endpoint> leader_endpoint() const;
    Offset log_start() const;
    Offset log_end() const;
    Offset synced_end() const;
    /// Everything below is committed; none until we have heard so.
    std::optional<Offset> high_watermark() const;
    const VoterSet& voters() const;
    const VoterHistory& voter_history() const;
    std::int16_t kraft_version() const;
    const EpochHistory& epochs() const;
    std::optional<SnapshotId> latest_snapshot() const;
    /// A leader: whoever followed lately has all that is committed, and knows it.
    bool all_have_heard() const;
    /// What stands in the way of a leader as far as a person can help; empty if nothing is known.
    std::string why_no_leader() const;
    /// The id of a snapshot of everything below `end`, a batch boundary; none if it may not be
    /// taken (not committed, or not beyond the latest one).
    std::optional<SnapshotId> snapshot_id_at(Offset end) const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace millrace::raft
