#include "raft/raft_core.h"

#include <algorithm>

#include "base/assert.h"
#include "base/overloaded.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"

namespace millrace::raft {

namespace {

constexpr Duration first_notice_after = std::chrono::seconds(2);

}  // namespace

std::string_view to_string(Role role) {
    switch (role) {
        case Role::unattached:
            return "unattached";
        case Role::follower:
            return "follower";
        case Role::prospective:
            return "prospective";
        case Role::candidate:
            return "candidate";
        case Role::leader:
            return "leader";
        case Role::resigned:
            return "resigned";
    }
    return "?";
}

RaftCore::RaftCore(CoreConfig config, RecoveredState recovered, Random& random, Instant now)
    : impl_(std::make_unique<Impl>(std::move(config), std::move(recovered), random, now)) {}
RaftCore::~RaftCore() = default;

Effects RaftCore::step(Instant now, Event event) {
    return impl_->step(now, std::move(event));
}
Instant RaftCore::deadline() const {
    return impl_->deadline();
}
bool RaftCore::all_have_heard() const {
    return impl_->all_have_heard();
}
Role RaftCore::role() const {
    return impl_->role();
}
QuorumEpoch RaftCore::epoch() const {
    return impl_->epoch();
}
BrokerId RaftCore::leader() const {
    return impl_->leader();
}
std::optional<Endpoint> RaftCore::leader_endpoint() const {
    return impl_->leader_endpoint();
}
Offset RaftCore::log_start() const {
    return impl_->log_start();
}
Offset RaftCore::log_end() const {
    return impl_->log_end();
}
Offset RaftCore::synced_end() const {
    return impl_->synced_end();
}
std::optional<Offset> RaftCore::high_watermark() const {
    return impl_->high_watermark();
}
const VoterSet& RaftCore::voters() const {
    return impl_->voters();
}
const VoterHistory& RaftCore::voter_history() const {
    return impl_->voter_history();
}
const EpochHistory& RaftCore::epochs() const {
    return impl_->epochs();
}
std::optional<SnapshotId> RaftCore::latest_snapshot() const {
    return impl_->latest_snapshot();
}
std::int16_t RaftCore::kraft_version() const {
    return impl_->voter_history().kraft_version();
}
std::string RaftCore::why_no_leader() const {
    return impl_->why_no_leader();
}
std::optional<SnapshotId> RaftCore::snapshot_id_at(Offset end) const {
    return impl_->snapshot_id_at(end);
}

RaftCore::Impl::Impl(CoreConfig config, RecoveredState recovered, Random& random, Instant now)
    : config_(std::move(config)),
      random_(random),
      now_(now),
      log_end_(recovered.log_end),
      synced_end_(recovered.log_end),
      sync_requested_(recovered.log_end),
      epochs_(std::move(recovered.epochs)),
      history_(std::move(recovered.voters)),
      snapshot_(recovered.snapshot) {
    election_ = recovered.election.value_or(ElectionState{});
    if (epochs_.last() > election_.epoch) {
        election_ = {.epoch = epochs_.last()};
    }
    if (snapshot_) {
        high_watermark_ = snapshot_->end;
    }
    announced_ = {election_.epoch, no_broker, Offset{0}};
    next_waiting_notice_ = now_ + first_notice_after;
    refresh_static_voters();

    const bool led_by_us = election_.leader == config_.self.id;
    const auto endpoint = endpoint_of(election_.leader);
    if (election_.leader != no_broker && !led_by_us && endpoint) {
        state_ = Follower{.leader = election_.leader,
                          .endpoint = *endpoint,
                          .fetch_deadline = now_ + config_.fetch_timeout,
                          .next_fetch = now_};
        return;
    }
    // Whoever led before we stopped does not lead now as far as we know. Standing soon is harmless:
    // a pre-vote disturbs nobody who hears a leader.
    const auto turn = static_cast<std::int64_t>(rank()) + 1;
    const Duration wait =
        voters().size() == 1 ? Duration{0}
                             : config_.suspicion_slot * turn + random_up_to(config_.suspicion_slot);
    state_ = new_unattached(now_ + wait);
    if (is_forming()) {
        start_forming();
    }
}

Effects RaftCore::Impl::step(Instant now, Event event) {
    effects_.clear();
    if (halted_) {
        return {};
    }
    now_ = std::max(now_, now);
    if (MR_MUTANT(resume_leadership_in_same_epoch) && persist_sequence_ == 0 && is_voter() &&
        election_.leader == config_.self.id) {
        become_leader();
    }
    std::visit([this](auto& e) { on(e); }, event);
    // A timer that fires may make another one due: a lone voter goes from pre-vote to leader here.
    for (int rounds = 0; rounds < 8 && !halted_ && run_timers(); ++rounds) {
    }
    if (!halted_) {
        conclude();
    }
    return std::move(effects_);
}

bool RaftCore::Impl::run_timers() {
    return std::visit(Overloaded{
                          [this](Unattached& state) {
                              if (is_voter() && state.election_at <= now_) {
                                  stand_for_pre_vote();
                                  return true;
                              }
                              return false;
                          },
                          [this](Follower& state) {
                              // While our own disk makes us wait, silence is ours and not the
                              // leader's.
                              const bool waits_for_disk = synced_end_ < log_end_;
                              if (is_voter()) {
                                  if (state.election_at <= now_ ||
                                      (state.fetch_deadline <= now_ && !waits_for_disk)) {
                                      state.suspects_leader = true;
                                      stand_for_pre_vote();
                                      return true;
                                  }
                              } else if (state.fetch_deadline <= now_ && !waits_for_disk) {
                                  state.look_elsewhere = true;
                                  state.fetch.reset();
                                  state.next_fetch = now_;
                                  state.fetch_deadline = now_ + config_.fetch_timeout;
                              }
                              return false;
                          },
                          [this](Prospective& state) {
                              if (state.deadline <= now_) {
                                  lose_election();
                                  return true;
                              }
                              if (state.ballot.ask_again <= now_) {
                                  ask_for_votes();
                              }
                              return false;
                          },
                          [this](Candidate& state) {
                              if (state.deadline <= now_) {
                                  lose_election();
                                  return true;
                              }
                              if (state.ballot.ask_again <= now_) {
                                  ask_for_votes();
                              }
                              return false;
                          },
                          [this](Leader& state) {
                              if (quorum_deadline(state) <= now_) {
                                  notice("raft.lost_quorum",
                                         "no majority of voters fetches from this leader");
                                  resign();
                                  return true;
                              }
                              if (state.next_begin_epoch <= now_) {
                                  send_begin_epoch(state);
                              }
                              return false;
                          },
                          [this](Resigned& state) {
                              if (state.deadline <= now_) {
                                  become_unattached(election_.epoch);
                                  if (is_voter()) {
                                      stand_for_pre_vote();
                                  }
                                  return true;
                              }
                              return false;
                          },
                      },
                      state_);
}

void RaftCore::Impl::conclude() {
    if (auto* leader = std::get_if<Leader>(&state_)) {
        reconcile_progress(*leader);
        update_high_watermark(*leader);
        if (!std::holds_alternative<Leader>(state_)) {
            // The commit of our own removal ended our leadership.
            announce_leader();
            return;
        }
        progress_change(*leader);
        complete_static_voters(*leader);
        update_own_entry(*leader);
        reconcile_progress(*leader);
        complete_parked(*leader);
    }
    if (auto* unattached = std::get_if<Unattached>(&state_)) {
        if (!is_voter()) {
            unattached->election_at = Instant::never();
        } else if (unattached->election_at == Instant::never()) {
            unattached->election_at = random_election_deadline();
        }
    }
    if (forming_) {
        ask_members();
    }
    fetch_if_due();
    if (log_end_ > sync_requested_) {
        sync_requested_ = log_end_;
        effects_.push_back(SyncLog{log_end_, log_generation_});
    }
    announce_leader();
}

Instant RaftCore::Impl::deadline() const {
    Instant next = std::visit(
        Overloaded{
            [this](const Unattached& state) {
                const bool looks = !state.fetch && !forming_ && synced_end_ == log_end_;
                return std::min(state.election_at, looks ? state.next_fetch : Instant::never());
            },
            [this](const Follower& state) {
                Instant at = state.election_at;
                if (synced_end_ == log_end_) {
                    at = std::min(at, state.fetch_deadline);
                    if (!state.fetch && !(state.download && state.download->complete)) {
                        at = std::min(at, state.next_fetch);
                    }
                }
                return at;
            },
            [](const Prospective& state) {
                return std::min(state.deadline, state.ballot.ask_again);
            },
            [](const Candidate& state) { return std::min(state.deadline, state.ballot.ask_again); },
            [this](const Leader& state) {
                Instant at = std::min(quorum_deadline(state), state.next_begin_epoch);
                for (const ParkedFetch& parked : state.parked) {
                    at = std::min(at, parked.deadline);
                }
                return state.change ? std::min(at, state.change->deadline) : at;
            },
            [](const Resigned& state) { return state.deadline; },
        },
        state_);
    return forming_ ? std::min(next, forming_->next_ask) : next;
}

// ---- Events -------------------------------------------------------------------------------------

void RaftCore::Impl::on(RequestReceived& event) {
    const RequestId id = event.id;
    std::visit(Overloaded{
                   [&](FetchRequest& request) { handle_fetch(id, request); },
                   [&](const AddVoterRequest& request) { handle_add(id, request); },
                   [&](const RemoveVoterRequest& request) { handle_remove(id, request); },
                   [&](const UpdateVoterRequest& request) { handle_update(id, request); },
                   [&](const SupportRequest&) {
                       reply(id, SupportResponse{.kraft_version = config_.kraft_version});
                   },
                   [&](const auto& request) { reply(id, answer(request)); },
               },
               event.request);
}

void RaftCore::Impl::on(ResponseReceived& event) {
    const auto found = in_flight_.find(event.id);
    if (found == in_flight_.end()) {
        return;
    }
    const InFlight sent = found->second;
    in_flight_.erase(found);
    const SendId id = event.id;
    std::visit(
        [](auto& response) {
            // Who leads another cluster, and in which epoch, is nothing to us.
            if constexpr (requires { response.hint; }) {
                if (response.error == KafkaError::inconsistent_cluster_id) {
                    response.hint = {};
                }
            }
        },
        event.response);
    std::visit(
        Overloaded{
            [&](const VoteResponse& response) { on_vote_response(sent, id, response); },
            [&](const BeginQuorumEpochResponse& response) {
                note_answered(sent, response.error);
                learn(response.hint);
            },
            [&](const EndQuorumEpochResponse& response) { learn(response.hint); },
            [&](FetchResponse& response) { on_fetch_response(sent, id, response); },
            [&](const FetchSnapshotResponse& response) { on_snapshot_response(id, response); },
            [&](const VoterChangeResponse& response) {
                learn(response.hint);
                if (auto* follower = std::get_if<Follower>(&state_);
                    follower != nullptr && follower->membership == id) {
                    follower->membership.reset();
                }
            },
            [&](const DescribeQuorumResponse& response) { on_member_response(sent, response); },
            [&](const SupportResponse& response) { on_probe_response(id, response); },
        },
        event.response);
}

void RaftCore::Impl::on(const SendFailed& event) {
    const auto found = in_flight_.find(event.id);
    if (found == in_flight_.end()) {
        return;
    }
    const InFlight sent = found->second;
    in_flight_.erase(found);
    note_absent(sent);
    switch (sent.purpose) {
        case Purpose::pre_vote:
        case Purpose::vote:
            on_vote_failed(event.id);
            break;
        case Purpose::fetch:
        case Purpose::fetch_snapshot:
            on_fetch_failed(event.id, event.disconnected);
            break;
        case Purpose::probe_voter:
            on_probe_failed(event.id);
            break;
        case Purpose::ask_member:
            on_member_failed(sent);
            break;
        case Purpose::update_voter:
        case Purpose::join:
            if (auto* follower = std::get_if<Follower>(&state_);
                follower != nullptr && follower->membership == event.id) {
                follower->membership.reset();
            }
            break;
        case Purpose::begin_epoch:  // Said again by timer while the voter does not fetch.
        case Purpose::end_epoch:
            break;  // The voter will find out by itself.
    }
}

void RaftCore::Impl::on(const ConnectionLost& event) {
    if (const auto* follower = std::get_if<Follower>(&state_);
        follower != nullptr && follower->leader == event.node) {
        suspect_leader();
    }
}

void RaftCore::Impl::on(Proposed& event) {
    MR_ASSERT(event.record_count > 0);
    if (!std::holds_alternative<Leader>(state_) || event.epoch != election_.epoch) {
        effects_.push_back(ProposalRefused{event.epoch});
        return;
    }
    const Offset end = log_end_ + event.record_count;
    effects_.push_back(AppendProposed{log_end_, end, election_.epoch, std::move(event.batch)});
    log_end_ = end;
}

void RaftCore::Impl::on(const LogSynced& event) {
    if (event.generation != log_generation_) {
        return;
    }
    const Offset before = synced_end_;
    synced_end_ = std::max(synced_end_, std::min(event.end, log_end_));
    if (auto* follower = std::get_if<Follower>(&state_);
        follower != nullptr && synced_end_ > before) {
        follower->fetch_deadline = std::max(follower->fetch_deadline, now_ + config_.fetch_timeout);
    }
}

void RaftCore::Impl::on(const ElectionPersisted& event) {
    persisted_ = std::max(persisted_, event.sequence);
    if (persisted_ >= barrier_) {
        std::move(held_.begin(), held_.end(), std::back_inserter(effects_));
        held_.clear();
        if (std::holds_alternative<Candidate>(state_)) {
            count_ballot();
        }
    }
}

void RaftCore::Impl::on(const SnapshotCreated& event) {
    if (snapshot_ && event.id.end <= snapshot_->end) {
        return;  // A newer one was installed meanwhile.
    }
    const auto former = snapshot_;
    snapshot_ = event.id;
    // One snapshot back stays, with the log from there: a follower that is a little behind goes on
    // fetching the log instead of the whole new snapshot.
    if (former && former->end > log_start()) {
        epochs_.trim_front(former->end);
        history_.trim(former->end);
        effects_.push_back(ForgetBefore{*former});
    }
}

void RaftCore::Impl::on(SnapshotReady& event) {
    if (auto* follower = std::get_if<Follower>(&state_);
        follower != nullptr && follower->download && follower->download->id == event.id) {
        follower->download.reset();
        follower->next_fetch = now_;
        follower->fetch_deadline = now_ + config_.fetch_timeout;
    }
    if (is_prefix(event.id)) {
        return;  // Our log got there by itself.
    }
    if (high_watermark_ && event.id.end < *high_watermark_) {
        halt(fmt::format("snapshot {} disagrees with what was committed up to {}",
                         event.id.to_string(), *high_watermark_),
             /*for_good=*/true);
        return;
    }
    MR_ASSERT(
        !std::holds_alternative<Leader>(state_));  // A leader's log holds all that is committed.
    if (auto* follower = std::get_if<Follower>(&state_)) {
        follower->fetch.reset();  // What is under way was asked for by the log we had.
    }
    log_end_ = synced_end_ = sync_requested_ = event.id.end;
    ++log_generation_;
    epochs_ = EpochHistory(event.id, {});
    history_.reset_to_snapshot(event.id.end, event.kraft_version, std::move(event.voters));
    snapshot_ = event.id;
    refresh_static_voters();
    effects_.push_back(InstallSnapshot{event.id});
    effects_.push_back(ForgetBefore{event.id});
    advance_high_watermark(event.id.end);
}

void RaftCore::Impl::on(const SnapshotDamaged& event) {
    notice("raft.snapshot_damaged", event.id.to_string(), true);
    if (auto* follower = std::get_if<Follower>(&state_);
        follower != nullptr && follower->download && follower->download->id == event.id) {
        follower->download.reset();
        follower->next_fetch = now_ + config_.retry_backoff;
        follower->fetch_deadline = now_ + config_.fetch_timeout;
    }
}

void RaftCore::Impl::on(const ResignRequested& event) {
    if (std::holds_alternative<Leader>(state_) && event.epoch == election_.epoch) {
        resign();
    }
}

}  // namespace millrace::raft
