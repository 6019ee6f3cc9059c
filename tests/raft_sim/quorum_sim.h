// tests/raft_sim/quorum_sim.h
//
// A cluster of RaftCores on one seeded event heap: messages are lost, delayed, doubled and
// reordered, nodes crash with the loss of what they did not sync, disks stall and are swapped,
// voters come and go. After every event the promises of raft_core.h are checked; at the end the
// faults stop and the cluster has to get going again.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/raft_core.h"

namespace millrace::raft::sim {

/// Which kind of cluster and which faults; drawn from the seed so that runs differ in kind.
struct Options {
    enum class Formation {
        static_voters,
        bootstrap_servers,
        standalone_then_grow,
        kraft_version_0
    };
    Formation formation = Formation::static_voters;
    int controllers = 3;  ///< The first ones form the quorum.
    int spares = 1;       ///< Controllers outside of it, which may be added.
    int observers = 1;
    Duration faulty = std::chrono::seconds(8);
    Duration mean_delay = std::chrono::milliseconds(2);
    Duration mean_sync = std::chrono::milliseconds(4);
    double loss = 0.0;
    double duplicate = 0.0;
    bool crashes = false;
    bool partitions = false;
    bool stalls = false;
    bool swaps = false;
    bool voter_changes = false;
    bool snapshots = false;
    bool damaged_snapshots = false;
    bool resignations = false;
    bool auto_join = false;
    bool moves = false;

    static Options draw(std::uint64_t seed);
    std::string to_string() const;
};

struct Stats {
    std::uint64_t events = 0, messages = 0, crashes = 0, partitions = 0, swaps = 0, elections = 0,
                  committed = 0, voter_changes = 0, snapshots_installed = 0, truncations = 0,
                  faults = 0, moves = 0;
    Duration simulated{0};
    void add(const Stats& other);
};

class QuorumSim {
public:
    QuorumSim(std::uint64_t seed, Options options, bool trace = false);
    ~QuorumSim();

    /// The violated promise, if there is one.
    std::optional<std::string> run();
    const Stats& stats() const { return stats_; }
    /// Same seed, same value.
    std::uint64_t trace_hash() const { return trace_hash_; }

private:
    struct Batch {
        LogBatch info;
        std::uint64_t payload = 0;  ///< 0: control.
    };
    struct Snapshot {
        SnapshotId id;
        std::uint64_t state = 0;
        std::int16_t kraft_version = 0;
        std::optional<VoterSet> voters;
    };
    struct Disk {
        Uuid directory;
        std::optional<ElectionState> election;
        LogPosition base;
        std::vector<Batch> log;
        Offset synced{0};
        std::vector<Batch> removed;  ///< By a truncation that is not synced: may come back.
        std::map<SnapshotId, Snapshot> snapshots;

        Offset end() const { return log.empty() ? base.end : log.back().info.end; }
    };
    struct Node {
        BrokerId id;
        Endpoint address;
        bool can_vote = true;
        bool up = false;
        std::uint64_t incarnation = 0;
        std::unique_ptr<Random> random;
        std::unique_ptr<RaftCore> core;
        Disk disk;
        Offset applied{0};
        std::uint64_t state = 0;  ///< Hash of everything applied.
        Offset high_watermark{0};
        Instant tick_at = Instant::never();
        std::uint64_t stored_election = 0;  ///< Sequence of the last one on disk, this start.
        Instant stalled_until{0};
        std::map<SnapshotId, Buffer> downloads;
    };
    struct Pending {
        std::size_t from = 0;
        std::uint64_t incarnation = 0;
        SendId send;
        bool is_client = false;
    };
    struct Task {
        Instant at;
        std::uint64_t order = 0;
        std::function<void()> run;
    };
    struct Later {
        bool operator()(const Task& a, const Task& b) const {
            return std::pair(a.at, a.order) > std::pair(b.at, b.order);
        }
    };
    struct Acked {
        Offset at;
        std::uint64_t payload;
    };

    // The world.
    void at(Duration delay, std::function<void()> run);
    void start(std::size_t index);
    void crash(std::size_t index);
    void maybe_crash_soon(std::size_t index);
    void swap_disk(std::size_t index);
    void move_addresses();
    void restart_all(Duration within);
    void inject_fault();
    void propose();
    void operate_voters();
    void heal();
    bool is_settled();
    bool may_swap(const Node& node) const;
    std::size_t damaged(const VoterSet& voters) const;
    Duration draw(Duration mean);

    // One node.
    void deliver(std::size_t index, Event event);
    void later(std::size_t index, Duration delay, Event event);
    void perform(std::size_t index, Effect& effect);
    void send(std::size_t index, const Send& send);
    void settle_failed(std::size_t from, std::uint64_t incarnation, SendId id, bool disconnected);
    void answer(std::size_t index, Reply& reply);
    void append(std::size_t index, Batch batch);
    void sync(std::size_t index, const SyncLog& effect);
    void truncate(std::size_t index, Offset end);
    void serve_snapshot(Node& node, FetchSnapshotResponse& response) const;
    void finish_download(std::size_t index, SnapshotId id);
    void install(std::size_t index, SnapshotId id);
    void take_snapshot(std::size_t index);
    void schedule_tick(std::size_t index);
    void apply(std::size_t index);
    std::optional<std::size_t> find(const Endpoint& endpoint) const;
    std::vector<Listener> listeners_of(BrokerId id) const;
    std::optional<std::size_t> leader() const;
    RecoveredState recover(Disk& disk) const;
    CoreConfig config_of(const Node& node) const;

    // The promises.
    void violation(std::string text);
    void check_leader(std::size_t index);
    void check_vote(std::size_t index, const VoteResponse& response, const Pending& to);
    void check_append(std::size_t index, const Batch& batch);
    void check_commit(std::size_t index, Offset to);
    void check_voters(std::size_t index);
    void note(std::uint64_t a, std::uint64_t b);
    void log(const std::string& text) const;

    std::uint64_t seed_;
    Options options_;
    bool trace_;
    SeededRandom random_;
    Instant now_{0};
    std::uint64_t order_ = 0;
    std::priority_queue<Task, std::vector<Task>, Later> tasks_;
    std::vector<Node> nodes_;
    /// What was on disks that were swapped: what they had synced did count at its time.
    std::vector<std::pair<BrokerId, Disk>> lost_disks_;
    std::set<std::pair<std::size_t, std::size_t>> blocked_;
    bool healed_ = false;
    double loss_ = 0, duplicate_ = 0;

    std::map<std::uint64_t, Pending> pending_;  ///< By RequestId.
    std::map<std::uint64_t, VoteRequest> vote_requests_;
    std::uint64_t last_request_ = 0;
    /// (node, incarnation, SendId) that still waits, with where it went.
    std::map<std::tuple<std::size_t, std::uint64_t, std::uint64_t>, std::size_t> outstanding_;
    std::uint64_t last_payload_ = 0;
    std::uint64_t last_directory_ = 0;
    std::map<std::pair<std::size_t, Offset>, std::uint64_t> proposed_;  ///< Leader's, by end.

    std::map<QuorumEpoch, std::pair<std::size_t, std::uint64_t>> leaders_;
    std::map<std::pair<QuorumEpoch, ReplicaKey>, ReplicaKey> votes_;
    /// Log matching: for each (offset, epoch) its payload and the epoch before it.
    std::map<std::pair<Offset, QuorumEpoch>, std::pair<std::uint64_t, QuorumEpoch>> written_;
    std::map<Offset, std::pair<Batch, std::uint64_t>> committed_;  ///< By base, with state after.
    Offset committed_end_{0};
    VoterSet committed_voters_;
    std::vector<Acked> acked_;
    std::set<BrokerId> members_;  ///< Who shall vote, in the operator's mind.
    std::optional<std::string> violation_;
    std::uint64_t final_payload_ = 0;
    std::uint64_t trace_hash_ = 0;
    Stats stats_;
};

}  // namespace millrace::raft::sim
