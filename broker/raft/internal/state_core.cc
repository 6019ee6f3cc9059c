// What every role shares: how effects leave, and the facts about log, voters and leader.
#include <algorithm>

#include "base/overloaded.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"

namespace millrace::raft {

// ---- Effects ------------------------------------------------------------------------------------

SendId RaftCore::Impl::send(Purpose purpose, BrokerId node, const Endpoint& to, Request request) {
    const SendId id{++last_send_};
    in_flight_.emplace(id, InFlight{purpose, node, to, election_.epoch});
    emit_message(Send{id, node, to, std::move(request)});
    return id;
}

void RaftCore::Impl::reply(RequestId id, Response response) {
    emit_message(Reply{id, std::move(response)});
}

void RaftCore::Impl::emit_message(Effect message) {
    if (persisted_ >= barrier_ || MR_MUTANT(vote_not_synced)) {
        effects_.push_back(std::move(message));
    } else {
        held_.push_back(std::move(message));
    }
}

void RaftCore::Impl::persist(bool barrier) {
    effects_.push_back(PersistElection{++persist_sequence_, election_});
    if (barrier) {
        barrier_ = persist_sequence_;
    }
}

BrokerId RaftCore::Impl::leader() const {
    return std::visit(Overloaded{
                          [](const Follower& state) { return state.leader; },
                          [](const Prospective& state) { return state.leader; },
                          [this](const Leader&) { return config_.self.id; },
                          [](const auto&) { return no_broker; },
                      },
                      state_);
}

std::optional<Endpoint> RaftCore::Impl::leader_endpoint() const {
    return std::visit(
        Overloaded{
            [](const Follower& state) { return std::optional(state.endpoint); },
            [](const Prospective& state) {
                return state.leader == no_broker ? std::nullopt : std::optional(state.endpoint);
            },
            [this](const Leader&) {
                return config_.listeners.empty() ? std::nullopt
                                                 : std::optional(config_.listeners[0].endpoint);
            },
            [](const auto&) { return std::optional<Endpoint>(); },
        },
        state_);
}

void RaftCore::Impl::announce_leader() {
    LeaderChanged current{election_.epoch, leader(), Offset{0}};
    if (const auto* state = std::get_if<Leader>(&state_)) {
        current.epoch_start = state->epoch_start_end;
    }
    if (current != announced_) {
        announced_ = current;
        effects_.push_back(current);
    }
}

void RaftCore::Impl::notice(std::string event, std::string detail, bool alarm) {
    effects_.push_back(Notice{std::move(event), std::move(detail), alarm});
}

void RaftCore::Impl::halt(std::string reason, bool for_good) {
    halted_ = true;
    effects_.push_back(Halt{std::move(reason), for_good});
}

// ---- Facts --------------------------------------------------------------------------------------

LeaderHint RaftCore::Impl::hint() const {
    LeaderHint hint{.epoch = election_.epoch};
    if (const auto endpoint = leader_endpoint()) {
        hint.leader = leader();
        hint.endpoint = *endpoint;
    }
    return hint;
}

bool RaftCore::Impl::is_voter() const {
    if (!config_.can_vote || voters().contains(config_.self)) {
        return config_.can_vote;
    }
    const auto named_at = history_.latest_offset();
    const bool is_open = named_at && (!high_watermark_ || *named_at >= *high_watermark_);
    return is_open && history_.at(*named_at).contains(config_.self);
}

Duration RaftCore::Impl::random_up_to(Duration limit) {
    return Duration{random_.between(0, std::max<std::int64_t>(limit.count(), 0))};
}

void RaftCore::Impl::refresh_static_voters() {
    if (forming_ && forming_->formed) {
        return;
    }
    const bool has_log = log_end_ > Offset{0} || snapshot_.has_value();
    history_.set_fallback(has_log ? VoterSet(config_.static_voters) : VoterSet());
}

void RaftCore::Impl::note_appended(const LogBatch& batch) {
    epochs_.append(batch.epoch, batch.base);
    log_end_ = batch.end;
    for (const auto& [offset, record] : batch.control) {
        if (const auto* version = std::get_if<KraftVersionChange>(&record)) {
            history_.add_kraft_version(offset, version->version);
        } else if (const auto* change = std::get_if<VotersChange>(&record)) {
            history_.add_voters(offset, change->voters);
        }
    }
}

bool RaftCore::Impl::is_prefix(const LogPosition& id) const {
    if (id.end < log_start()) {
        return true;  // Already replaced by a newer snapshot.
    }
    return id.end <= log_end_ && epochs_.epoch_at(id.end - 1) == id.epoch;
}

std::optional<SnapshotId> RaftCore::Impl::snapshot_id_at(Offset end) const {
    const bool is_committed = high_watermark_ && end <= *high_watermark_;
    const bool is_newer = end > log_start() && (!snapshot_ || end > snapshot_->end);
    if (!is_committed || !is_newer) {
        return std::nullopt;
    }
    if (MR_MUTANT(snapshot_off_by_one)) {
        return SnapshotId{end - 1, epochs_.epoch_at(end - 1)};
    }
    return SnapshotId{end, epochs_.epoch_at(end - 1)};
}

KafkaError RaftCore::Impl::check_cluster(const std::string& cluster_id) const {
    return cluster_id.empty() || cluster_id == config_.cluster_id
               ? KafkaError::none
               : KafkaError::inconsistent_cluster_id;
}

}  // namespace millrace::raft
