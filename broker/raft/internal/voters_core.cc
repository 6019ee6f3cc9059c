// Who votes: one change at a time, each in force from the moment it is in the log (KIP-853).
#include <algorithm>

#include "base/assert.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"

namespace millrace::raft {

std::optional<VoterChangeResponse> RaftCore::Impl::refuse_change(
    const std::optional<std::string>& cluster_id) const {
    if (const auto error = check_cluster(cluster_id.value_or("")); error != KafkaError::none) {
        return VoterChangeResponse{.error = error, .message = "this is another cluster"};
    }
    const auto* leader = std::get_if<Leader>(&state_);
    if (leader == nullptr) {
        return VoterChangeResponse{.error = KafkaError::not_leader_or_follower,
                                   .message = "this node does not lead the quorum",
                                   .hint = hint()};
    }
    const bool epoch_committed = high_watermark_ && *high_watermark_ >= leader->epoch_start_end;
    if (!epoch_committed && !MR_MUTANT(change_before_epoch_committed)) {
        return VoterChangeResponse{.error = KafkaError::request_timed_out,
                                   .message = "the leader has not committed in its epoch yet"};
    }
    if (change_is_pending(*leader) && !MR_MUTANT(two_changes_at_once)) {
        return VoterChangeResponse{.error = KafkaError::request_timed_out,
                                   .message = "another change of the voters is under way"};
    }
    return std::nullopt;
}

bool RaftCore::Impl::change_is_pending(const Leader& leader) const {
    const auto named_at = history_.latest_offset();
    const bool uncommitted = named_at && (!high_watermark_ || *named_at >= *high_watermark_);
    return leader.change.has_value() || uncommitted;
}

void RaftCore::Impl::handle_add(RequestId id, const AddVoterRequest& request) {
    if (auto refusal = refuse_change(request.cluster_id)) {
        reply(id, *std::move(refusal));
        return;
    }
    if (history_.kraft_version() < 1) {
        reply(id, VoterChangeResponse{.error = KafkaError::unsupported_version,
                                      .message = "the cluster is at kraft.version 0"});
        return;
    }
    if (request.voter.directory.is_zero() || request.listeners.empty()) {
        reply(id, VoterChangeResponse{.error = KafkaError::invalid_request,
                                      .message = "a voter needs a directory id and a listener"});
        return;
    }
    if (const Voter* known = voters().find(request.voter.id)) {
        reply(id, VoterChangeResponse{
                      .error = KafkaError::duplicate_voter,
                      .message = fmt::format("{} is a voter already, as {}", request.voter.id,
                                             known->key.to_string())});
        return;
    }
    auto& leader = std::get<Leader>(state_);
    leader.change = VoterChange{.kind = VoterChange::Kind::add,
                                .stage = VoterChange::Stage::probing,
                                .request = id,
                                .voter = {request.voter, request.listeners, {}},
                                .deadline = now_ + request.timeout,
                                .ack_when_committed = request.ack_when_committed};
    leader.change->probe = send(Purpose::probe_voter, request.voter.id,
                                request.listeners[0].endpoint, SupportRequest{});
}

void RaftCore::Impl::on_probe_response(SendId id, const SupportResponse& response) {
    auto* leader = std::get_if<Leader>(&state_);
    if (leader == nullptr || !leader->change || leader->change->probe != id) {
        return;
    }
    if (response.error != KafkaError::none ||
        !response.kraft_version.contains(history_.kraft_version())) {
        finish_change(KafkaError::invalid_request,
                      fmt::format("the new voter does not support kraft.version {}",
                                  history_.kraft_version()));
        return;
    }
    leader->change->voter.kraft_version = response.kraft_version;
    leader->change->stage = VoterChange::Stage::catching_up;
    leader->change->catch_up_to = log_end_;
    leader->change->catching_up_since = now_;
}

void RaftCore::Impl::on_probe_failed(SendId id) {
    if (auto* leader = std::get_if<Leader>(&state_);
        leader != nullptr && leader->change && leader->change->probe == id) {
        finish_change(KafkaError::request_timed_out, "the new voter can't be reached");
    }
}

void RaftCore::Impl::handle_remove(RequestId id, const RemoveVoterRequest& request) {
    if (auto refusal = refuse_change(request.cluster_id)) {
        reply(id, *std::move(refusal));
        return;
    }
    if (history_.kraft_version() < 1) {
        reply(id, VoterChangeResponse{.error = KafkaError::unsupported_version,
                                      .message = "the cluster is at kraft.version 0"});
        return;
    }
    const Voter* known = voters().find(request.voter.id);
    if (known == nullptr || known->key != request.voter) {
        reply(id, VoterChangeResponse{
                      .error = KafkaError::voter_not_found,
                      .message = fmt::format("{} is not a voter", request.voter.to_string())});
        return;
    }
    if (voters().size() == 1) {
        reply(id, VoterChangeResponse{.error = KafkaError::invalid_request,
                                      .message = "the last voter can't be removed"});
        return;
    }
    if (!can_do_without(request.voter)) {
        reply(id, VoterChangeResponse{
                      .error = KafkaError::invalid_request,
                      .message = "too few of the remaining voters are alive to go on without it"});
        return;
    }
    propose_voters(VoterChange{.kind = VoterChange::Kind::remove,
                               .stage = VoterChange::Stage::committing,
                               .request = id,
                               .voter = *known,
                               .deadline = now_ + config_.request_timeout},
                   voters().without(request.voter));
}

/// A majority of the voters that would remain is heard from: removing a live voter beside a dead
/// one would leave a quorum that can't commit even the removal.
bool RaftCore::Impl::can_do_without(const ReplicaKey& removed) const {
    const VoterSet rest = voters().without(removed);
    std::size_t alive = rest.contains(config_.self) ? 1 : 0;
    for (const auto& [id, progress] : std::get<Leader>(state_).voters) {
        const bool is_heard =
            progress.last_fetch && *progress.last_fetch + config_.fetch_timeout > now_;
        alive += is_heard && rest.contains(progress.key) ? 1 : 0;
    }
    return alive >= rest.majority();
}

void RaftCore::Impl::handle_update(RequestId id, const UpdateVoterRequest& request) {
    const auto refuse = [&](KafkaError error, std::string message) {
        reply(id,
              VoterChangeResponse{.error = error, .message = std::move(message), .hint = hint()});
    };
    if (auto refusal = refuse_change(request.cluster_id)) {
        refuse(refusal->error, std::move(refusal->message));
        return;
    }
    if (request.leader_epoch != election_.epoch) {
        refuse(request.leader_epoch < election_.epoch ? KafkaError::fenced_leader_epoch
                                                      : KafkaError::unknown_leader_epoch,
               "the request speaks of another epoch");
        return;
    }
    const Voter* known = voters().find(request.voter.key);
    if (known == nullptr) {
        refuse(KafkaError::voter_not_found,
               fmt::format("{} is not a voter", request.voter.key.to_string()));
        return;
    }
    if (request.voter.listeners.empty() ||
        !request.voter.kraft_version.contains(history_.kraft_version())) {
        refuse(KafkaError::invalid_request, "no listener, or an unsupported kraft.version");
        return;
    }
    if (*known == request.voter || history_.kraft_version() < 1) {
        refuse(KafkaError::none, "");  // Nothing to put on record.
        return;
    }
    propose_voters(VoterChange{.kind = VoterChange::Kind::update,
                               .stage = VoterChange::Stage::committing,
                               .request = id,
                               .voter = request.voter,
                               .deadline = now_ + config_.request_timeout},
                   voters().with_updated(request.voter));
}

void RaftCore::Impl::propose_voters(VoterChange change, VoterSet voters) {
    append_control({VotersChange{std::move(voters)}});
    auto& leader = std::get<Leader>(state_);
    change.stage = VoterChange::Stage::committing;
    change.committed_at = log_end_;
    leader.change = std::move(change);
    reconcile_progress(leader);
    leader.next_begin_epoch = now_;
    if (!leader.change->ack_when_committed) {
        finish_change(KafkaError::none, "");
    }
}

/// Answers the request under way, if there is one. Whatever is in the log by now stays there.
void RaftCore::Impl::finish_change(KafkaError error, std::string message) {
    auto* leader = std::get_if<Leader>(&state_);
    if (leader == nullptr || !leader->change) {
        return;
    }
    const VoterChange change = *std::move(leader->change);
    leader->change.reset();
    VoterChangeResponse response{.error = error, .message = std::move(message)};
    if (change.kind == VoterChange::Kind::update) {
        response.hint = hint();
    }
    reply(change.request, std::move(response));
}

void RaftCore::Impl::progress_change(Leader& leader) {
    if (!leader.change) {
        return;
    }
    VoterChange& change = *leader.change;
    if (change.stage == VoterChange::Stage::committing && high_watermark_ &&
        *high_watermark_ >= change.committed_at) {
        finish_change(KafkaError::none, "");
        return;
    }
    if (change.deadline <= now_) {
        finish_change(KafkaError::request_timed_out,
                      change.stage == VoterChange::Stage::committing
                          ? "the change is in the log but not committed yet"
                          : "the new voter has not caught up with the log");
        return;
    }
    if (change.stage == VoterChange::Stage::catching_up) {
        const auto found = leader.observers.find(change.voter.key);
        // What it had before we asked may be gone with its disk.
        const bool is_alive = found != leader.observers.end() && found->second.last_fetch &&
                              *found->second.last_fetch > change.catching_up_since;
        if (is_alive && found->second.end && *found->second.end >= change.catch_up_to) {
            VoterChange next = change;
            leader.change.reset();
            VoterSet grown = voters().with(next.voter);
            propose_voters(std::move(next), std::move(grown));
        }
    }
}

/// Keeps the progress of voters and observers in step with the voter set in force.
void RaftCore::Impl::reconcile_progress(Leader& leader) {
    for (auto entry = leader.voters.begin(); entry != leader.voters.end();) {
        const Voter* voter = voters().find(entry->first);
        if (voter != nullptr && voter->key.matches(entry->second.key)) {
            ++entry;
            continue;
        }
        leader.observers[entry->second.key] = entry->second;
        entry = leader.voters.erase(entry);
    }
    for (const Voter& voter : voters().voters()) {
        if (voter.key.matches(config_.self) || leader.voters.contains(voter.key.id)) {
            continue;
        }
        Progress progress{.key = voter.key};
        if (const auto found = leader.observers.find(voter.key); found != leader.observers.end()) {
            progress = found->second;
            leader.observers.erase(found);
        }
        leader.voters.emplace(voter.key.id, std::move(progress));
    }
}

/// A cluster of static voters (kraft.version 0): once every voter's directory is known, put them on
/// record, so that from then on another disk is another voter. Voters that a format step wrote into
/// a snapshot before the log's first record are in no log yet, and only a log reaches the others.
void RaftCore::Impl::complete_static_voters(Leader& leader) {
    const bool epoch_committed = high_watermark_ && *high_watermark_ >= leader.epoch_start_end;
    const std::optional<Offset> on_record = history_.latest_offset();
    if ((on_record && *on_record >= Offset{0}) || !epoch_committed) {
        return;
    }
    std::vector<Voter> complete;
    for (const Voter& voter : voters().voters()) {
        Voter known = voter;
        if (voter.key.id == config_.self.id) {
            known.key = config_.self;
        } else if (const auto found = leader.voters.find(voter.key.id);
                   found != leader.voters.end()) {
            known.key = found->second.key;
        }
        if (known.key.directory.is_zero()) {
            return;
        }
        complete.push_back(std::move(known));
    }
    append_control({KraftVersionChange{1}, VotersChange{VoterSet(std::move(complete))}});
}

void RaftCore::Impl::update_own_entry(Leader& leader) {
    const Voter* entry = voters().find(config_.self);
    const Voter self{config_.self, config_.listeners, config_.kraft_version};
    const bool epoch_committed = high_watermark_ && *high_watermark_ >= leader.epoch_start_end;
    if (entry == nullptr || *entry == self || config_.listeners.empty() ||
        history_.kraft_version() < 1 || !epoch_committed || change_is_pending(leader)) {
        return;
    }
    append_control({VotersChange{voters().with_updated(self)}});
}

}  // namespace millrace::raft
