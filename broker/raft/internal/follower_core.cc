// Following: fetch what is synced, append, truncate where the leader differs, take its snapshot.
#include <algorithm>

#include "base/assert.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"
#include "raft/quorum_config.h"

namespace millrace::raft {

void RaftCore::Impl::fetch_if_due() {
    // Our fetch offset is our word that all before it is synced, so a fetch waits for that.
    if (synced_end_ != log_end_ && !MR_MUTANT(follower_fetches_unsynced)) {
        return;
    }
    if (auto* state = std::get_if<Unattached>(&state_); state != nullptr && !forming_) {
        look_for_leader(state->fetch, state->next_fetch);
        return;
    }
    auto* state = std::get_if<Follower>(&state_);
    if (state == nullptr || state->fetch || state->next_fetch > now_) {
        return;
    }
    if (state->download) {
        if (!state->download->complete) {
            state->fetch = send(Purpose::fetch_snapshot, state->leader, state->endpoint,
                                FetchSnapshotRequest{.cluster_id = config_.cluster_id,
                                                     .replica = config_.self,
                                                     .leader_epoch = election_.epoch,
                                                     .snapshot = state->download->id,
                                                     .position = state->download->position,
                                                     .max_bytes = config_.snapshot_chunk_bytes});
        }
        return;
    }
    if (state->look_elsewhere) {
        look_for_leader(state->fetch, state->next_fetch);
        return;
    }
    // Who doubts the leader wants to hear from it at once, not after a long poll.
    const Duration max_wait =
        state->suspects_leader || !state->has_fetched ? Duration{0} : config_.fetch_max_wait;
    state->fetch = send(Purpose::fetch, state->leader, state->endpoint, make_fetch(max_wait));
    check_membership(*state);
}

FetchRequest RaftCore::Impl::make_fetch(Duration max_wait) const {
    return {.cluster_id = config_.cluster_id,
            .replica = config_.self,
            .leader_epoch = election_.epoch,
            .log = position(),
            .high_watermark = high_watermark_.value_or(high_watermark_unknown),
            .max_bytes = config_.fetch_max_bytes,
            .max_wait = max_wait};
}

void RaftCore::Impl::look_for_leader(std::optional<SendId>& fetch, Instant& next_fetch) {
    if (fetch || next_fetch > now_) {
        return;
    }
    say_what_is_waited_for();
    std::vector<std::pair<BrokerId, Endpoint>> places;
    const auto add = [&](BrokerId node) {
        for (const Endpoint& address : addresses_of(node)) {
            places.emplace_back(node, address);
        }
    };
    for (const Voter& voter : voters().voters()) {
        add(voter.key.id);
    }
    for (const Voter& voter : config_.static_voters) {
        if (voters().find(voter.key.id) == nullptr) {
            add(voter.key.id);
        }
    }
    for (const Endpoint& server : config_.bootstrap_servers) {
        places.emplace_back(no_broker, server);
    }
    std::erase_if(places, [&](const auto& place) {
        return place.first == config_.self.id || is_reached_at(config_.listeners, place.second);
    });
    if (places.empty()) {
        next_fetch = Instant::never();
        return;
    }
    const auto& [node, endpoint] = places[random_.below(places.size())];
    fetch = send(Purpose::fetch, node, endpoint, make_fetch(Duration{0}));
    next_fetch = now_ + look_again_after();
}

void RaftCore::Impl::on_fetch_failed(SendId id, bool disconnected) {
    if (auto* state = std::get_if<Unattached>(&state_); state != nullptr && state->fetch == id) {
        state->fetch.reset();
        return;
    }
    auto* state = std::get_if<Follower>(&state_);
    if (state == nullptr || state->fetch != id) {
        return;
    }
    state->fetch.reset();
    state->next_fetch = now_ + config_.retry_backoff;
    if (disconnected) {
        suspect_leader();
    }
}

void RaftCore::Impl::on_fetch_response(const InFlight& sent, SendId id, FetchResponse& response) {
    const QuorumEpoch epoch_before = election_.epoch;
    if (auto* unattached = std::get_if<Unattached>(&state_);
        unattached != nullptr && unattached->fetch == id) {
        unattached->fetch.reset();
        learn(response.hint);
        return;
    }
    auto* state = std::get_if<Follower>(&state_);
    if (state == nullptr || state->fetch != id) {
        learn(response.hint);
        return;
    }
    state->fetch.reset();
    const bool from_leader = sent.node == state->leader && sent.epoch == election_.epoch;
    if (response.error != KafkaError::none || !from_leader) {
        state->look_elsewhere = false;
        state->next_fetch = now_ + config_.retry_backoff;
        if (response.error == KafkaError::inconsistent_cluster_id) {
            // That takes a person to put right.
            state->next_fetch = now_ + config_.fetch_timeout;
            notice("raft.other_cluster", fmt::format("{} belongs to another cluster", sent.node),
                   true);
        }
        learn(response.hint);
        state = std::get_if<Follower>(&state_);
        const bool disowned = from_leader && response.hint.leader == no_broker &&
                              response.error == KafkaError::not_leader_or_follower;
        if (state != nullptr && election_.epoch == epoch_before && disowned) {
            suspect_leader();  // It says itself that it leads no more.
        }
        return;
    }
    accept_fetched(*state, response);
}

void RaftCore::Impl::accept_fetched(Follower& follower, FetchResponse& response) {
    if (!continues_log(response.fetched)) {
        notice("raft.malformed_fetch",
               fmt::format("leader {} sent batches that do not continue our log at {}",
                           follower.leader, position().to_string()),
               true);
        follower.next_fetch = now_ + config_.retry_backoff;
        return;
    }
    follower.has_fetched = true;
    follower.suspects_leader = false;
    follower.look_elsewhere = false;
    follower.election_at = Instant::never();
    follower.fetch_deadline = now_ + config_.fetch_timeout;
    follower.next_fetch = now_;
    failed_elections_ = 0;

    if (response.diverging) {
        truncate_to_match(*response.diverging);
        return;  // A high watermark counts only once our log is the leader's.
    }
    if (response.snapshot) {
        follower.download = Download{.id = *response.snapshot};
        effects_.push_back(SnapshotStarted{*response.snapshot});
        return;
    }
    if (!response.fetched.batches.empty()) {
        for (const LogBatch& batch : response.fetched.batches) {
            note_appended(batch);
        }
        refresh_static_voters();
        effects_.push_back(AppendFetched{std::move(response.fetched)});
    }
    if (response.high_watermark >= Offset{0}) {
        advance_high_watermark(std::min(response.high_watermark, log_end_));
    }
}

bool RaftCore::Impl::continues_log(const FetchedBatches& fetched) const {
    Offset end = log_end_;
    QuorumEpoch epoch = epochs_.last();
    for (const LogBatch& batch : fetched.batches) {
        if (batch.base != end || batch.end <= batch.base || batch.epoch < epoch ||
            batch.epoch > election_.epoch) {
            return false;
        }
        end = batch.end;
        epoch = batch.epoch;
    }
    return true;
}

void RaftCore::Impl::truncate_to_match(const LogPosition& leader_end) {
    Offset end = log_start();
    if (leader_end.epoch >= epochs_.base().epoch) {
        const LogPosition ours = epochs_.end_of(leader_end.epoch, log_end_);
        end = ours.epoch == leader_end.epoch ? std::min(ours.end, leader_end.end) : ours.end;
    }
    if (MR_MUTANT(truncate_below_high_watermark)) {
        end = end > log_start() ? end - 1 : end;
    }
    if (MR_MUTANT(no_truncation_on_divergence)) {
        return;
    }
    if (high_watermark_ && end < *high_watermark_ && !MR_MUTANT(truncate_below_high_watermark)) {
        halt(fmt::format("leader {} of epoch {} asks to truncate to {}, below the committed {}",
                         leader(), election_.epoch, end, *high_watermark_),
             /*for_good=*/true);
        return;
    }
    if (end < log_end_) {
        truncate(end);
    }
}

void RaftCore::Impl::truncate(Offset end) {
    MR_ASSERT(end >= log_start());
    effects_.push_back(TruncateLog{end});
    log_end_ = end;
    synced_end_ = std::min(synced_end_, end);
    sync_requested_ = synced_end_;
    ++log_generation_;
    epochs_.truncate(end);
    if (!MR_MUTANT(voters_not_undone_by_truncation)) {
        history_.truncate(end);
    }
    refresh_static_voters();
}

void RaftCore::Impl::on_snapshot_response(SendId id, const FetchSnapshotResponse& response) {
    auto* state = std::get_if<Follower>(&state_);
    if (state == nullptr || state->fetch != id) {
        learn(response.hint);
        return;
    }
    state->fetch.reset();
    state->next_fetch = now_;
    if (response.error != KafkaError::none) {
        state->download.reset();
        state->next_fetch = now_ + config_.retry_backoff;
        learn(response.hint);
        return;
    }
    state->fetch_deadline = now_ + config_.fetch_timeout;
    Download& download = *state->download;
    const auto length =
        response.bytes ? static_cast<std::int64_t>(response.bytes->size()) : std::int64_t{0};
    if (response.snapshot != download.id || response.position != download.position ||
        (length == 0 && download.position < response.size)) {
        state->download.reset();  // Ask anew which one to take.
        state->next_fetch = now_ + config_.retry_backoff;
        return;
    }
    effects_.push_back(SnapshotChunk{download.id, download.position, response.bytes});
    download.position += length;
    if (download.position >= response.size) {
        download.complete = true;
        effects_.push_back(SnapshotComplete{download.id});
    }
}

void RaftCore::Impl::advance_high_watermark(Offset to) {
    if (!high_watermark_ || *high_watermark_ < to) {
        high_watermark_ = to;
        effects_.push_back(HighWatermarkAdvanced{to});
    }
}

void RaftCore::Impl::check_membership(Follower& follower) {
    const bool is_caught_up = high_watermark_ && log_end_ >= *high_watermark_;
    if (!config_.can_vote || config_.listeners.empty() || !follower.has_fetched ||
        follower.membership || follower.next_membership_check > now_ || !is_caught_up ||
        history_.kraft_version() < 1) {
        return;
    }
    follower.next_membership_check = now_ + config_.fetch_timeout;
    const Voter self{config_.self, config_.listeners, config_.kraft_version};
    const Voter* entry = voters().find(config_.self.id);
    if (entry != nullptr && entry->key == config_.self) {
        if (*entry != self) {
            follower.membership =
                send(Purpose::update_voter, follower.leader, follower.endpoint,
                     UpdateVoterRequest{config_.cluster_id, election_.epoch, self});
        }
    } else if (config_.auto_join && entry != nullptr) {
        follower.membership = send(Purpose::join, follower.leader, follower.endpoint,
                                   RemoveVoterRequest{config_.cluster_id, entry->key});
    } else if (config_.auto_join) {
        follower.membership =
            send(Purpose::join, follower.leader, follower.endpoint,
                 AddVoterRequest{config_.cluster_id, config_.request_timeout, config_.self,
                                 config_.listeners, /*ack_when_committed=*/false});
    }
}

}  // namespace millrace::raft
