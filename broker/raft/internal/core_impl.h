// raft/internal/core_impl.h
//
// The inside of RaftCore. One class, because the roles share the log, the voters and the election
// state; its functions lie in one file per concern:
//   raft_core.cc       events in, timers
//   state_core.cc      effects out, what is held back until durable, facts
//   election_core.cc   votes, candidates, becoming something else
//   follower_core.cc   fetching, truncating, downloading snapshots
//   leader_core.cc     serving fetches, the high watermark, check-quorum, resigning
//   voters_core.cc     adding, removing and updating voters
//   formation_core.cc  the first voter set of a new cluster
//   addresses_core.cc  where the others are, and whom we wait for
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "raft/raft_core.h"

namespace millrace::raft {

/// What a request that we sent was for; answers are matched by it.
enum class Purpose {
    pre_vote,
    vote,
    begin_epoch,
    end_epoch,
    fetch,
    fetch_snapshot,
    update_voter,
    join,
    probe_voter,
    ask_member,
};

struct InFlight {
    Purpose purpose;
    BrokerId node = no_broker;
    Endpoint to;
    QuorumEpoch epoch{0};     ///< Ours when it left.
    std::size_t address = 0;  ///< ask_member: which of the addresses.
};

/// Votes of the voter set at the time of asking, ourselves included.
struct Ballot {
    std::set<BrokerId> granted;
    std::set<BrokerId> refused;
    std::map<SendId, BrokerId> asked;
    Instant ask_again = Instant::never();
};

struct Unattached {
    Instant election_at = Instant::never();  ///< never() for who is no voter.
    std::optional<SendId> fetch;             ///< Looking for the leader.
    Instant next_fetch{0};
};

struct Download {
    SnapshotId id;
    std::int64_t position = 0;
    bool complete = false;
};

struct Follower {
    BrokerId leader = no_broker;
    Endpoint endpoint;
    Instant fetch_deadline;
    Instant next_fetch{0};
    std::optional<SendId> fetch;  ///< Fetch or FetchSnapshot, whichever is under way.
    std::optional<Download> download;
    bool has_fetched = false;
    /// The leader looks gone: probe it without waiting, support who wants to follow it.
    bool suspects_leader = false;
    Instant election_at = Instant::never();  ///< When suspicion becomes an election.
    bool look_elsewhere = false;             ///< Observers: ask any voter who leads.
    Instant next_membership_check{0};        ///< UpdateVoter, auto-join.
    std::optional<SendId> membership;
};

struct Prospective {
    BrokerId leader = no_broker;  ///< Whom we still follow if nobody supports us.
    Endpoint endpoint;
    Ballot ballot;
    Instant deadline;
};

struct Candidate {
    Ballot ballot;
    Instant deadline;
};

struct Progress {
    ReplicaKey key;
    std::optional<Offset> end;  ///< Synced there and equal to our log, as of this epoch.
    std::optional<Instant> last_fetch;
    std::optional<Instant> last_caught_up;
    Offset end_at_last_fetch{0};  ///< Our log's end at that time.
    std::optional<SendId> begin_epoch;
};

struct ParkedFetch {
    RequestId id;
    FetchRequest request;
    Instant deadline;
};

struct VoterChange {
    enum class Kind { add, remove, update };
    enum class Stage { probing, catching_up, committing };
    Kind kind;
    Stage stage;
    RequestId request;
    Voter voter;
    Instant deadline;
    Offset catch_up_to{0};
    Instant catching_up_since{0};
    Offset committed_at{0};  ///< Done once the high watermark is there.
    bool ack_when_committed = true;
    std::optional<SendId> probe;
};

struct Leader {
    Offset epoch_start{0};                ///< Base of our first batch.
    Offset epoch_start_end{0};            ///< Its end: what the high watermark must reach first.
    std::map<BrokerId, Progress> voters;  ///< Without ourselves.
    std::map<ReplicaKey, Progress> observers;
    std::vector<ParkedFetch> parked;
    std::optional<VoterChange> change;
    /// The last batch that names voters is shown to nobody before it is synced here: were it lost
    /// with us, those who have it might elect nobody, and we not without them.
    Offset named_voters{0};
    Offset named_voters_end{0};
    Instant next_begin_epoch;
    Instant since;
};

struct Resigned {
    Instant deadline;
};

class RaftCore::Impl {
public:
    Impl(CoreConfig config, RecoveredState recovered, Random& random, Instant now);

    Effects step(Instant now, Event event);
    Instant deadline() const;

    Role role() const { return static_cast<Role>(state_.index()); }
    bool all_have_heard() const;
    QuorumEpoch epoch() const { return election_.epoch; }
    BrokerId leader() const;
    std::optional<Endpoint> leader_endpoint() const;
    Offset log_start() const { return epochs_.base().end; }
    Offset log_end() const { return log_end_; }
    Offset synced_end() const { return synced_end_; }
    std::optional<Offset> high_watermark() const { return high_watermark_; }
    const VoterSet& voters() const { return history_.latest(); }
    const VoterHistory& voter_history() const { return history_; }
    const EpochHistory& epochs() const { return epochs_; }
    std::optional<SnapshotId> latest_snapshot() const { return snapshot_; }
    std::optional<SnapshotId> snapshot_id_at(Offset end) const;
    std::string why_no_leader() const;

private:
    struct Member;
    using State = std::variant<Unattached, Follower, Prospective, Candidate, Leader, Resigned>;

    // ---- raft_core.cc
    void on(const Tick&) {}
    void on(RequestReceived& event);
    void on(ResponseReceived& event);
    void on(const SendFailed& event);
    void on(const ConnectionLost& event);
    void on(Proposed& event);
    void on(const LogSynced& event);
    void on(const ElectionPersisted& event);
    void on(const SnapshotCreated& event);
    void on(SnapshotReady& event);
    void on(const SnapshotDamaged& event);
    void on(const ResignRequested& event);
    bool run_timers();
    void conclude();

    // ---- state_core.cc
    SendId send(Purpose purpose, BrokerId node, const Endpoint& to, Request request);
    void reply(RequestId id, Response response);
    void emit_message(Effect message);
    /// `barrier`: nothing may leave before this is durable.
    void persist(bool barrier);
    void announce_leader();
    void notice(std::string event, std::string detail, bool alarm = false);
    void halt(std::string reason, bool for_good = false);
    LeaderHint hint() const;
    /// A voter; or one whose removal is not known to be committed: until it is, our vote and our
    /// log may be what the others need to elect anybody.
    bool is_voter() const;
    LogPosition position() const { return {log_end_, epochs_.last()}; }
    Duration random_up_to(Duration limit);
    /// Static voters count once there is a log without a voter set of its own (kraft.version 0).
    void refresh_static_voters();
    void note_appended(const LogBatch& batch);
    bool is_prefix(const LogPosition& id) const;
    KafkaError check_cluster(const std::string& cluster_id) const;

    // ---- election_core.cc
    VoteResponse answer(const VoteRequest& request);
    BeginQuorumEpochResponse answer(const BeginQuorumEpochRequest& request);
    EndQuorumEpochResponse answer(const EndQuorumEpochRequest& request);
    bool may_grant(const VoteRequest& request) const;
    void on_vote_response(const InFlight& sent, SendId id, const VoteResponse& response);
    void on_vote_failed(SendId id);
    Ballot* ballot();
    Ballot own_ballot() const;
    void count_ballot();
    void ask_for_votes();
    void stand_for_pre_vote();
    void stand_for_election();
    void lose_election();
    void learn(const LeaderHint& hint);
    void become_unattached(QuorumEpoch epoch);
    Unattached new_unattached(Instant election_at) const;
    void become_follower(QuorumEpoch epoch, BrokerId leader, const Endpoint& endpoint);
    void become_leader();
    void leave_role();
    void suspect_leader();
    std::size_t rank() const;
    Duration election_backoff();
    Instant random_election_deadline();

    // ---- follower_core.cc
    void fetch_if_due();
    /// Voters hear of a leader anyway, so they look rarely: their voter set may be outdated.
    Duration look_again_after() const {
        return is_voter() ? config_.fetch_timeout / 2 : config_.retry_backoff;
    }
    void look_for_leader(std::optional<SendId>& fetch, Instant& next_fetch);
    FetchRequest make_fetch(Duration max_wait) const;
    void on_fetch_response(const InFlight& sent, SendId id, FetchResponse& response);
    void on_fetch_failed(SendId id, bool disconnected);
    void accept_fetched(Follower& follower, FetchResponse& response);
    bool continues_log(const FetchedBatches& fetched) const;
    void truncate_to_match(const LogPosition& leader_end);
    void truncate(Offset end);
    void on_snapshot_response(SendId id, const FetchSnapshotResponse& response);
    void advance_high_watermark(Offset to);
    void check_membership(Follower& follower);

    // ---- leader_core.cc
    void handle_fetch(RequestId id, FetchRequest& request);
    FetchSnapshotResponse answer(const FetchSnapshotRequest& request);
    DescribeQuorumResponse answer(const DescribeQuorumRequest& request);
    KafkaError check_leader_request(const std::string& cluster_id, QuorumEpoch epoch) const;
    Progress& progress_of(Leader& leader, const ReplicaKey& replica);
    void note_fetch(Leader& leader, const FetchRequest& request);
    Offset shown_end(const Leader& leader) const;
    FetchResponse fetch_answer(const FetchRequest& request) const;
    bool has_news_for(const FetchRequest& request) const;
    void complete_parked(Leader& leader);
    void update_high_watermark(Leader& leader);
    void append_control(std::vector<ControlRecord> records);
    void send_begin_epoch(Leader& leader);
    Instant quorum_deadline(const Leader& leader) const;
    void resign();
    std::vector<ReplicaKey> successors(const Leader& leader) const;

    // ---- voters_core.cc
    void handle_add(RequestId id, const AddVoterRequest& request);
    void handle_remove(RequestId id, const RemoveVoterRequest& request);
    void handle_update(RequestId id, const UpdateVoterRequest& request);
    std::optional<VoterChangeResponse> refuse_change(
        const std::optional<std::string>& cluster_id) const;
    void propose_voters(VoterChange change, VoterSet voters);
    void finish_change(KafkaError error, std::string message);
    bool can_do_without(const ReplicaKey& removed) const;
    void progress_change(Leader& leader);
    void on_probe_response(SendId id, const SupportResponse& response);
    void on_probe_failed(SendId id);
    bool change_is_pending(const Leader& leader) const;
    void reconcile_progress(Leader& leader);
    void complete_static_voters(Leader& leader);
    void update_own_entry(Leader& leader);

    // ---- formation_core.cc
    bool is_forming() const;
    const Voter& founder_of_list() const;
    void start_forming();
    void ask_members();
    void on_member_response(const InFlight& sent, const DescribeQuorumResponse& response);
    void on_member_failed(const InFlight& sent);
    void ask_who_leads(const Member& member);
    bool has_answered(const Member& member) const;
    bool may_join(const Member& member) const;
    bool is_twice(const Member& member) const;
    bool is_there(const Member& member) const;  ///< And counts for the first voter set.
    void form_if_complete();
    std::string missing_members() const;

    // ---- addresses_core.cc
    std::optional<Endpoint> default_endpoint(const Voter* voter) const;
    const Voter* configured(BrokerId node) const;
    /// Where that node may be, the likeliest first.
    std::vector<Endpoint> addresses_of(BrokerId node) const;
    /// Where to try it now.
    std::optional<Endpoint> endpoint_of(BrokerId node) const;
    void note_absent(const InFlight& sent);
    bool note_answered(const InFlight& sent, KafkaError error);
    bool is_here(const Endpoint& address) const;
    void note_followed_as_us(const LeaderHint& hint);
    Duration impostor_patience() const;
    std::string text_of_impostor() const;
    void say_what_is_waited_for();

    CoreConfig config_;
    Random& random_;
    Instant now_;
    Effects effects_;

    ElectionState election_;
    std::uint64_t persist_sequence_ = 0;  ///< Of the last PersistElection.
    std::uint64_t barrier_ = 0;           ///< Messages wait until this one is durable.
    std::uint64_t persisted_ = 0;
    std::deque<Effect> held_;  ///< Messages that wait.

    Offset log_end_{0};
    Offset synced_end_{0};
    Offset sync_requested_{0};
    std::uint64_t log_generation_ = 0;  ///< Counts truncations: an older sync says nothing.
    EpochHistory epochs_;
    VoterHistory history_;
    std::optional<SnapshotId> snapshot_;
    std::optional<Offset> high_watermark_;

    State state_;
    std::map<SendId, InFlight> in_flight_;
    std::uint64_t last_send_ = 0;
    std::uint32_t failed_elections_ = 0;  ///< In a row; spaces out the next ones.
    LeaderChanged announced_;
    bool halted_ = false;

    /// A node without log, voters or snapshot finds out whether to form a new quorum.
    struct Member {
        Endpoint address;
        BrokerId expected = no_broker;  ///< From the static list.
        bool is_self = false;
        bool asking = false;
        bool is_new = false;  ///< It answered, and has no log and no voters either.
        Instant answered{0};
        ReplicaKey key;
        QuorumEpoch epoch{0};
        std::vector<Listener> listeners;

        /// It is who the configuration means.
        bool is_expected() const;
    };
    struct Forming {
        std::vector<Member> members;
        Instant next_ask{0};
        bool formed = false;   ///< We stand for election with the set we found.
        QuorumEpoch stood{0};  ///< The last epoch in which we voted for ourselves.
    };
    std::optional<Forming> forming_;

    std::map<BrokerId, std::size_t> turns_;  ///< Which of its addresses to try.
    std::set<BrokerId> doubted_;             ///< Not met where the record has them.
    /// Somebody else whom the voters take for us.
    struct Impostor {
        Endpoint address;
        Instant next_notice{0};
        Instant heard{0};
        bool is_certain = false;
    };
    std::optional<Impostor> impostor_;
    Instant next_waiting_notice_{0};
};

}  // namespace millrace::raft
