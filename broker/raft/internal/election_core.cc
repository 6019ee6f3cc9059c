// Votes and what we become by them.
#include <algorithm>

#include "base/assert.h"
#include "base/overloaded.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"

namespace millrace::raft {

// ---- Answers ------------------------------------------------------------------------------------

VoteResponse RaftCore::Impl::answer(const VoteRequest& request) {
    if (const auto error = check_cluster(request.cluster_id); error != KafkaError::none) {
        return {.error = error, .hint = hint()};
    }
    if (request.epoch < election_.epoch) {
        return {.error = KafkaError::fenced_leader_epoch, .hint = hint()};
    }
    // A pre-vote speaks of an epoch that its sender is in: an election took place that we missed.
    if (request.epoch > election_.epoch) {
        become_unattached(request.epoch);
    }
    // The vote is asked of a node with its directory: on another disk we are somebody else.
    const bool is_asked = (request.voter.id == no_broker || request.voter.matches(config_.self)) ||
                          MR_MUTANT(directory_id_unchecked);
    if (!config_.can_vote || !is_asked) {
        return {.error = KafkaError::invalid_voter_key, .hint = hint()};
    }
    if (!may_grant(request)) {
        return {.hint = hint()};
    }
    if (request.pre_vote) {
        // Whom we encourage gets a head start before we stand ourselves.
        const Instant patience =
            now_ + config_.election_timeout / 2 + random_up_to(config_.election_timeout / 2);
        if (auto* follower = std::get_if<Follower>(&state_);
            follower != nullptr && follower->election_at != Instant::never()) {
            follower->election_at = std::max(follower->election_at, patience);
        } else if (auto* unattached = std::get_if<Unattached>(&state_);
                   unattached != nullptr && unattached->election_at != Instant::never()) {
            unattached->election_at = std::max(unattached->election_at, patience);
        }
        return {.hint = hint(), .granted = true};
    }
    if (election_.voted != request.candidate) {
        election_.voted = request.candidate;
        persist(/*barrier=*/true);
    }
    if (!std::holds_alternative<Unattached>(state_)) {
        leave_role();
        state_ = new_unattached(Instant::never());
    }
    std::get<Unattached>(state_).election_at = random_election_deadline();
    return {.hint = hint(), .granted = true};
}

bool RaftCore::Impl::may_grant(const VoteRequest& request) const {
    const bool has_log =
        at_least_as_up_to_date(request.log, position()) || MR_MUTANT(vote_for_shorter_log);
    if (request.pre_vote) {
        return std::visit(Overloaded{
                              [&](const Leader&) { return false; },
                              [&](const Follower& state) {
                                  // Nor if its name is the leader's: who has died has lost its
                                  // connections with it, else a copy of its directory asks.
                                  const bool is_settled =
                                      state.has_fetched && !state.suspects_leader;
                                  return has_log && !is_settled;
                              },
                              [&](const auto&) { return has_log; },
                          },
                          state_);
    }
    if (MR_MUTANT(vote_twice_in_epoch)) {
        return has_log && !std::holds_alternative<Leader>(state_);
    }
    if (election_.voted) {
        return election_.voted->matches(request.candidate);
    }
    const bool knows_leader = election_.leader != no_broker;
    const bool is_free =
        std::holds_alternative<Unattached>(state_) || std::holds_alternative<Prospective>(state_);
    return is_free && !knows_leader && has_log;
}

BeginQuorumEpochResponse RaftCore::Impl::answer(const BeginQuorumEpochRequest& request) {
    if (const auto error = check_cluster(request.cluster_id); error != KafkaError::none) {
        return {.error = error, .hint = hint()};
    }
    if (request.epoch < election_.epoch) {
        return {.error = KafkaError::fenced_leader_epoch, .hint = hint()};
    }
    if (request.leader == config_.self.id || request.leader == no_broker) {
        return {.error = KafkaError::invalid_request, .hint = hint()};
    }
    if (request.voter.id != no_broker && !request.voter.matches(config_.self)) {
        return {.error = KafkaError::invalid_voter_key, .hint = hint()};
    }
    if (request.epoch == election_.epoch && election_.leader != no_broker &&
        election_.leader != request.leader) {
        notice(
            "raft.two_leaders",
            fmt::format("{} and {} in epoch {}", election_.leader, request.leader, election_.epoch),
            true);
        return {.error = KafkaError::invalid_request, .hint = hint()};
    }
    auto endpoint = request.leader_listeners.empty() ? endpoint_of(request.leader)
                                                     : request.leader_listeners[0].endpoint;
    for (const Listener& listener : request.leader_listeners) {
        if (!config_.listeners.empty() && listener.name == config_.listeners[0].name) {
            endpoint = listener.endpoint;
        }
    }
    if (!endpoint) {
        return {.error = KafkaError::invalid_request, .hint = hint()};
    }
    become_follower(request.epoch, request.leader, *endpoint);
    return {.hint = hint()};
}

EndQuorumEpochResponse RaftCore::Impl::answer(const EndQuorumEpochRequest& request) {
    if (const auto error = check_cluster(request.cluster_id); error != KafkaError::none) {
        return {.error = error, .hint = hint()};
    }
    if (request.epoch < election_.epoch) {
        return {.error = KafkaError::fenced_leader_epoch, .hint = hint()};
    }
    if (request.epoch > election_.epoch) {
        become_unattached(request.epoch);
    }
    const bool leads_or_stands =
        std::holds_alternative<Leader>(state_) || std::holds_alternative<Candidate>(state_);
    const bool is_other_leader =
        election_.leader != no_broker && election_.leader != request.leader;
    if (leads_or_stands || is_other_leader || !is_voter()) {
        return {.hint = hint()};
    }
    const auto found =
        std::find_if(request.preferred.begin(), request.preferred.end(),
                     [&](const ReplicaKey& key) { return key.matches(config_.self); });
    const auto turn = found - request.preferred.begin();
    leave_role();
    auto& state = std::get<Unattached>(state_ = new_unattached(Instant::never()));
    if (turn == 0 && found != request.preferred.end()) {
        // The leader itself gave way and named us: no need to ask whether it is gone.
        stand_for_election();
    } else if (found != request.preferred.end()) {
        state.election_at =
            now_ + config_.suspicion_slot * (4 * turn) + random_up_to(config_.suspicion_slot);
    } else {
        state.election_at = random_election_deadline();
    }
    return {.hint = hint()};
}

// ---- Standing -----------------------------------------------------------------------------------

Ballot* RaftCore::Impl::ballot() {
    if (auto* state = std::get_if<Prospective>(&state_)) {
        return &state->ballot;
    }
    auto* state = std::get_if<Candidate>(&state_);
    return state != nullptr ? &state->ballot : nullptr;
}

Ballot RaftCore::Impl::own_ballot() const {
    Ballot votes;
    if (voters().contains(config_.self)) {
        votes.granted.insert(config_.self.id);
    }
    return votes;
}

void RaftCore::Impl::stand_for_pre_vote() {
    MR_ASSERT(is_voter());
    Prospective next;
    if (const auto* follower = std::get_if<Follower>(&state_)) {
        next.leader = follower->leader;
        next.endpoint = follower->endpoint;
    }
    next.ballot = own_ballot();
    next.deadline = random_election_deadline();
    leave_role();
    state_ = std::move(next);
    ask_for_votes();
    count_ballot();
}

void RaftCore::Impl::stand_for_election() {
    MR_ASSERT(is_voter());
    election_ = {.epoch = QuorumEpoch{election_.epoch.value + 1}, .voted = config_.self};
    if (forming_) {
        forming_->stood = election_.epoch;
    }
    persist(/*barrier=*/true);
    Candidate next;
    next.ballot = own_ballot();
    next.deadline = random_election_deadline();
    leave_role();
    state_ = std::move(next);
    ask_for_votes();
    count_ballot();
}

void RaftCore::Impl::ask_for_votes() {
    Ballot& votes = *ballot();
    votes.ask_again = Instant::never();
    const bool pre_vote = std::holds_alternative<Prospective>(state_);
    for (const Voter& voter : voters().voters()) {
        const BrokerId id = voter.key.id;
        const bool is_asked = std::any_of(votes.asked.begin(), votes.asked.end(),
                                          [&](const auto& entry) { return entry.second == id; });
        const auto endpoint = endpoint_of(id);
        if (voter.key == config_.self || votes.granted.contains(id) || votes.refused.contains(id) ||
            is_asked || !endpoint) {
            continue;
        }
        const SendId sent = send(pre_vote ? Purpose::pre_vote : Purpose::vote, id, *endpoint,
                                 VoteRequest{.cluster_id = config_.cluster_id,
                                             .voter = voter.key,
                                             .candidate = config_.self,
                                             .epoch = election_.epoch,
                                             .log = position(),
                                             .pre_vote = pre_vote});
        votes.asked.emplace(sent, id);
    }
}

void RaftCore::Impl::on_vote_response(const InFlight& sent, SendId id,
                                      const VoteResponse& response) {
    Ballot* votes = ballot();
    const auto asked =
        votes == nullptr ? std::map<SendId, BrokerId>::iterator() : votes->asked.find(id);
    const bool is_current =
        votes != nullptr && asked != votes->asked.end() && sent.epoch == election_.epoch;
    if (is_current && response.error != KafkaError::none &&
        response.error != KafkaError::fenced_leader_epoch) {
        notice("raft.vote_refused", fmt::format("by {}: {}", sent.node, response.error),
               response.error == KafkaError::inconsistent_cluster_id);
    }
    if (!note_answered(sent, response.error)) {
        on_vote_failed(id);
        return;
    }
    if (is_current) {
        votes->asked.erase(asked);
        const bool is_granted = response.granted && response.error == KafkaError::none;
        (is_granted ? votes->granted : votes->refused).insert(sent.node);
    }
    learn(response.hint);
    if (is_current && sent.epoch == election_.epoch && ballot() != nullptr) {
        count_ballot();
    }
}

void RaftCore::Impl::on_vote_failed(SendId id) {
    if (Ballot* votes = ballot(); votes != nullptr && votes->asked.erase(id) > 0) {
        votes->ask_again = std::min(votes->ask_again, now_ + 2 * config_.suspicion_slot);
    }
}

void RaftCore::Impl::count_ballot() {
    const Ballot& votes = *ballot();
    if (votes.granted.size() >= voters().majority()) {
        if (std::holds_alternative<Prospective>(state_)) {
            stand_for_election();
        } else if (persisted_ >= barrier_ || MR_MUTANT(vote_not_synced)) {
            become_leader();  // Our own vote is among them, and counts once it is durable.
        }
    } else if (votes.refused.size() > voters().size() - voters().majority()) {
        lose_election();
    }
}

void RaftCore::Impl::lose_election() {
    ++failed_elections_;
    if (forming_ && forming_->formed) {
        // Somebody may have another disk by now: find out afresh who is there.
        history_.set_fallback({});
        for (Member& member : forming_->members) {
            member.is_new = false;
        }
        forming_->formed = false;
        forming_->next_ask = now_ + election_backoff();
    }
    const auto* prospective = std::get_if<Prospective>(&state_);
    if (prospective != nullptr && prospective->leader != no_broker) {
        const Prospective former = *prospective;
        become_follower(election_.epoch, former.leader, former.endpoint);
        return;
    }
    leave_role();
    state_ = new_unattached(now_ + election_backoff());
}

// ---- Becoming -----------------------------------------------------------------------------------

void RaftCore::Impl::learn(const LeaderHint& hint) {
    const bool names_other = hint.leader != no_broker && hint.leader != config_.self.id;
    const auto endpoint = hint.endpoint.empty() ? endpoint_of(hint.leader) : hint.endpoint;
    note_followed_as_us(hint);
    if (halted_) {
        return;
    }
    if (hint.epoch > election_.epoch) {
        if (names_other && endpoint) {
            become_follower(hint.epoch, hint.leader, *endpoint);
        } else {
            become_unattached(hint.epoch);
        }
        return;
    }
    if (hint.epoch < election_.epoch || !names_other || !endpoint) {
        return;
    }
    // In our epoch: news only for who does not know a leader yet.
    const bool leads_or_resigned =
        std::holds_alternative<Leader>(state_) || std::holds_alternative<Resigned>(state_);
    if (leads_or_resigned || leader() == hint.leader ||
        (election_.leader != no_broker && election_.leader != hint.leader)) {
        if (auto* follower = std::get_if<Follower>(&state_);
            follower != nullptr && follower->leader == hint.leader) {
            follower->endpoint = *endpoint;
        } else if (auto* prospective = std::get_if<Prospective>(&state_);
                   prospective != nullptr && prospective->leader == hint.leader) {
            prospective->endpoint = *endpoint;
        }
        return;
    }
    become_follower(hint.epoch, hint.leader, *endpoint);
}

void RaftCore::Impl::leave_role() {
    if (auto* leader = std::get_if<Leader>(&state_)) {
        for (const ParkedFetch& parked : leader->parked) {
            reply(parked.id, FetchResponse{.error = KafkaError::not_leader_or_follower,
                                           .hint = {.epoch = election_.epoch}});
        }
        leader->parked.clear();
        finish_change(KafkaError::not_leader_or_follower, "leadership ended");
    }
}

void RaftCore::Impl::become_unattached(QuorumEpoch epoch) {
    MR_ASSERT(epoch >= election_.epoch);
    if (epoch > election_.epoch) {
        election_ = {.epoch = epoch};
        persist(/*barrier=*/true);
    }
    leave_role();
    state_ = new_unattached(random_election_deadline());
}

Unattached RaftCore::Impl::new_unattached(Instant election_at) const {
    return {.election_at = is_voter() ? election_at : Instant::never(),
            .next_fetch = is_voter() ? now_ + look_again_after() : now_};
}

void RaftCore::Impl::become_follower(QuorumEpoch epoch, BrokerId leader, const Endpoint& endpoint) {
    MR_ASSERT(leader != config_.self.id && leader != no_broker);
    if (auto* follower = std::get_if<Follower>(&state_);
        follower != nullptr && epoch == election_.epoch && follower->leader == leader) {
        // It spoke to us, so it is there, and may have moved.
        follower->endpoint = endpoint;
        follower->fetch_deadline = now_ + config_.fetch_timeout;
        return;
    }
    if (epoch > election_.epoch) {
        election_ = {.epoch = epoch, .leader = leader};
        persist(/*barrier=*/true);
    } else if (election_.leader != leader) {
        MR_ASSERT(epoch == election_.epoch);
        election_.leader = leader;
        // Losing this in a crash costs a look-up, not a promise.
        persist(/*barrier=*/false);
    }
    leave_role();
    forming_.reset();
    impostor_.reset();
    refresh_static_voters();
    state_ = Follower{.leader = leader,
                      .endpoint = endpoint,
                      .fetch_deadline = now_ + config_.fetch_timeout,
                      .next_fetch = now_};
}

void RaftCore::Impl::become_leader() {
    std::vector<ReplicaKey> granting;
    if (const auto* candidate = std::get_if<Candidate>(&state_)) {
        for (const BrokerId id : candidate->ballot.granted) {
            granting.push_back(voters().find(id)->key);
        }
    }
    election_.leader = config_.self.id;
    persist(/*barrier=*/false);
    failed_elections_ = 0;

    impostor_.reset();
    Leader next;
    next.since = now_;
    next.next_begin_epoch = now_;
    next.epoch_start = log_end_;
    state_ = std::move(next);

    LeaderChange change{.leader = config_.self.id, .granting = std::move(granting)};
    for (const Voter& voter : voters().voters()) {
        change.voters.push_back(voter.key);
    }
    std::vector<ControlRecord> records{std::move(change)};
    if (!history_.latest_offset() && voters().has_all_directories()) {
        // The first leader of a cluster puts on record who votes.
        records.emplace_back(KraftVersionChange{1});
        records.emplace_back(VotersChange{voters()});
    }
    append_control(std::move(records));
    auto& state = std::get<Leader>(state_);
    state.epoch_start_end = log_end_;
    reconcile_progress(state);
    forming_.reset();
    send_begin_epoch(state);
}

void RaftCore::Impl::suspect_leader() {
    auto& state = std::get<Follower>(state_);
    const bool suspected_before = state.suspects_leader;
    state.suspects_leader = true;
    if (!is_voter()) {
        state.look_elsewhere = true;
        return;
    }
    if (suspected_before) {
        return;
    }
    // Time for the leader to prove us wrong, and for those before us to stand first.
    state.election_at = now_ + config_.suspicion_slot / 2 +
                        config_.suspicion_slot * static_cast<std::int64_t>(rank()) +
                        random_up_to(config_.suspicion_slot / 4) +
                        (failed_elections_ > 0 ? election_backoff() : Duration{0});
}

std::size_t RaftCore::Impl::rank() const {
    std::size_t before = 0;
    for (const Voter& voter : voters().voters()) {
        if (voter.key.id < config_.self.id && voter.key.id != leader()) {
            ++before;
        }
    }
    return before;
}

Duration RaftCore::Impl::election_backoff() {
    const auto doublings = std::min<std::uint32_t>(failed_elections_, 6);
    const Duration limit = std::min(config_.election_backoff_max,
                                    config_.suspicion_slot * (std::int64_t{1} << doublings));
    return config_.suspicion_slot / 2 + random_up_to(limit);
}

Instant RaftCore::Impl::random_election_deadline() {
    return now_ + config_.election_timeout + random_up_to(config_.election_timeout);
}

}  // namespace millrace::raft
