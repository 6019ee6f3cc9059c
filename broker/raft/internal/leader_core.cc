// Leading: serve fetches, count what is synced, notice when nobody listens, give way.
#include <algorithm>
#include <tuple>

#include "base/assert.h"
#include "raft/internal/core_impl.h"
#include "raft/internal/mutants.h"

namespace millrace::raft {

namespace {

constexpr std::size_t max_observers = 4096;
constexpr Duration observer_session = std::chrono::minutes(5);

}  // namespace

// ---- Fetch --------------------------------------------------------------------------------------

KafkaError RaftCore::Impl::check_leader_request(const std::string& cluster_id,
                                                QuorumEpoch epoch) const {
    if (const auto error = check_cluster(cluster_id); error != KafkaError::none) {
        return error;
    }
    if (epoch < election_.epoch) {
        return KafkaError::fenced_leader_epoch;
    }
    if (epoch > election_.epoch) {
        return KafkaError::unknown_leader_epoch;
    }
    return std::holds_alternative<Leader>(state_) ? KafkaError::none
                                                  : KafkaError::not_leader_or_follower;
}

void RaftCore::Impl::handle_fetch(RequestId id, FetchRequest& request) {
    const bool is_replica = request.replica.id >= BrokerId{0};
    // A reader that is no replica need not know the epoch.
    const QuorumEpoch epoch = !is_replica && request.leader_epoch < QuorumEpoch{0}
                                  ? election_.epoch
                                  : request.leader_epoch;
    if (const auto error = check_leader_request(request.cluster_id, epoch);
        error != KafkaError::none) {
        reply(id, FetchResponse{.error = error, .hint = hint()});
        return;
    }
    auto& leader = std::get<Leader>(state_);
    if (is_replica) {
        note_fetch(leader, request);
        update_high_watermark(leader);
        if (!std::holds_alternative<Leader>(state_)) {
            reply(id, FetchResponse{.error = KafkaError::not_leader_or_follower, .hint = hint()});
            return;
        }
    }
    if (has_news_for(request) || request.max_wait <= Duration{0}) {
        reply(id, fetch_answer(request));
        return;
    }
    // One replica has one fetch at a time: an older one is from a connection that is gone.
    for (auto& parked : leader.parked) {
        if (is_replica && parked.request.replica == request.replica) {
            reply(parked.id, fetch_answer(parked.request));
            parked = {id, std::move(request), now_ + request.max_wait};
            return;
        }
    }
    const Instant until = now_ + request.max_wait;
    leader.parked.push_back({id, std::move(request), until});
}

void RaftCore::Impl::note_fetch(Leader& leader, const FetchRequest& request) {
    Progress& progress = progress_of(leader, request.replica);
    const bool matches = !fetch_answer(request).diverging && !fetch_answer(request).snapshot;
    if (matches || MR_MUTANT(count_diverging_fetch)) {
        progress.end = request.log.end;
        if (request.log.end >= log_end_) {
            progress.last_caught_up = now_;
        } else if (progress.last_fetch && request.log.end >= progress.end_at_last_fetch) {
            progress.last_caught_up = progress.last_fetch;
        }
        progress.end_at_last_fetch = log_end_;
    }
    progress.last_fetch = now_;
}

Progress& RaftCore::Impl::progress_of(Leader& leader, const ReplicaKey& replica) {
    const auto voter = leader.voters.find(replica.id);
    if (voter != leader.voters.end()) {
        ReplicaKey& known = voter->second.key;
        if (known.directory.is_zero()) {
            known = replica;  // kraft.version 0: the first directory we see is the voter's.
        }
        if (known.matches(replica) || MR_MUTANT(directory_id_unchecked)) {
            return voter->second;
        }
    }
    if (leader.observers.size() >= max_observers && !leader.observers.contains(replica)) {
        const auto quietest = std::min_element(
            leader.observers.begin(), leader.observers.end(),
            [](const auto& a, const auto& b) { return a.second.last_fetch < b.second.last_fetch; });
        leader.observers.erase(quietest);
    }
    Progress& progress = leader.observers[replica];
    progress.key = replica;
    return progress;
}

Offset RaftCore::Impl::shown_end(const Leader& leader) const {
    return synced_end_ < leader.named_voters_end ? leader.named_voters : log_end_;
}

FetchResponse RaftCore::Impl::fetch_answer(const FetchRequest& request) const {
    FetchResponse response{.hint = hint(),
                           .high_watermark = high_watermark_.value_or(high_watermark_unknown),
                           .log_start = log_start()};
    const LogPosition& theirs = request.log;
    const LogPosition& base = epochs_.base();
    const bool is_replica = request.replica.id >= BrokerId{0};
    const bool reaches_back = theirs.end >= base.end && (theirs.epoch >= base.epoch || !is_replica);
    if (!reaches_back) {
        // The log starts after a snapshot, so there is one.
        MR_ASSERT(snapshot_.has_value());
        response.snapshot = snapshot_;
        return response;
    }
    if (is_replica) {
        const LogPosition ours = epochs_.end_of(theirs.epoch, log_end_);
        if (ours.epoch != theirs.epoch || ours.end < theirs.end) {
            response.diverging = ours;
            return response;
        }
    }
    const Offset limit =
        is_replica ? shown_end(std::get<Leader>(state_)) : high_watermark_.value_or(base.end);
    if (theirs.end < limit) {
        response.read =
            LogRange{theirs.end, limit, std::min(request.max_bytes, config_.fetch_max_bytes)};
    }
    return response;
}

bool RaftCore::Impl::has_news_for(const FetchRequest& request) const {
    const FetchResponse answer = fetch_answer(request);
    if (answer.diverging || answer.snapshot || answer.read) {
        return true;
    }
    return high_watermark_ && request.high_watermark < *high_watermark_;
}

void RaftCore::Impl::complete_parked(Leader& leader) {
    std::erase_if(leader.parked, [&](const ParkedFetch& parked) {
        if (parked.deadline > now_ && !has_news_for(parked.request)) {
            return false;
        }
        reply(parked.id, fetch_answer(parked.request));
        return true;
    });
}

FetchSnapshotResponse RaftCore::Impl::answer(const FetchSnapshotRequest& request) {
    if (const auto error = check_leader_request(request.cluster_id, request.leader_epoch);
        error != KafkaError::none) {
        return {.error = error, .hint = hint()};
    }
    auto& leader = std::get<Leader>(state_);
    if (request.replica.id >= BrokerId{0}) {
        progress_of(leader, request.replica).last_fetch = now_;
    }
    if (request.position < 0) {
        return {.error = KafkaError::position_out_of_range, .hint = hint()};
    }
    return {.hint = hint(),
            .snapshot = request.snapshot,
            .position = request.position,
            .read_max_bytes = std::min(request.max_bytes, config_.snapshot_chunk_bytes)};
}

// ---- What is committed --------------------------------------------------------------------------

void RaftCore::Impl::update_high_watermark(Leader& leader) {
    std::vector<Offset> ends;
    for (const Voter& voter : voters().voters()) {
        if (voter.key.matches(config_.self)) {
            ends.push_back(MR_MUTANT(leader_counts_unsynced) ? log_end_ : synced_end_);
            continue;
        }
        const auto found = leader.voters.find(voter.key.id);
        const bool is_known = found != leader.voters.end() && found->second.end;
        ends.push_back(is_known ? *found->second.end : Offset{-1});
    }
    if (MR_MUTANT(removed_leader_still_counts) && !voters().contains(config_.self)) {
        ends.push_back(synced_end_);
    }
    std::sort(ends.begin(), ends.end(), std::greater<>());
    const Offset reached = ends[voters().majority() - 1];
    // Records of former epochs are committed by ours: until our LeaderChange is, a count proves
    // nothing about them.
    const bool covers_epoch_start =
        reached >= leader.epoch_start_end ||
        (MR_MUTANT(high_watermark_before_leader_change) && reached > Offset{0});
    if (covers_epoch_start) {
        advance_high_watermark(reached);
    }
    const auto named_at = history_.latest_offset();
    const bool removal_committed = !voters().contains(config_.self) && named_at &&
                                   high_watermark_ && *named_at < *high_watermark_;
    if (removal_committed) {
        progress_change(leader);
        resign();
    }
}

void RaftCore::Impl::append_control(std::vector<ControlRecord> records) {
    LogBatch batch{.base = log_end_,
                   .end = log_end_ + static_cast<std::int64_t>(records.size()),
                   .epoch = election_.epoch};
    for (const ControlRecord& record : records) {
        batch.control.emplace_back(batch.base + static_cast<std::int64_t>(batch.control.size()),
                                   record);
    }
    const bool names_voters = std::any_of(records.begin(), records.end(), [](const auto& record) {
        return std::holds_alternative<VotersChange>(record);
    });
    if (names_voters) {
        auto& leader = std::get<Leader>(state_);
        leader.named_voters = batch.base;
        leader.named_voters_end = batch.end;
    }
    effects_.push_back(AppendControl{batch.base, batch.epoch, std::move(records)});
    note_appended(batch);
    refresh_static_voters();
}

// ---- Being heard --------------------------------------------------------------------------------

void RaftCore::Impl::send_begin_epoch(Leader& leader) {
    // Again until the voter fetches; a voter that does needs no telling.
    leader.next_begin_epoch = now_ + config_.fetch_timeout / 4;
    for (auto& [id, progress] : leader.voters) {
        const auto endpoint = endpoint_of(id);
        const bool fetches =
            progress.last_fetch && *progress.last_fetch + config_.fetch_timeout / 2 > now_;
        const bool is_asked = progress.begin_epoch && in_flight_.contains(*progress.begin_epoch);
        if (fetches || is_asked || !endpoint) {
            continue;
        }
        progress.begin_epoch = send(Purpose::begin_epoch, id, *endpoint,
                                    BeginQuorumEpochRequest{.cluster_id = config_.cluster_id,
                                                            .voter = progress.key,
                                                            .leader = config_.self.id,
                                                            .epoch = election_.epoch,
                                                            .leader_listeners = config_.listeners});
    }
    std::erase_if(leader.observers, [&](const auto& entry) {
        return entry.second.last_fetch && *entry.second.last_fetch + observer_session < now_;
    });
}

Instant RaftCore::Impl::quorum_deadline(const Leader& leader) const {
    // Heard from a majority, ourselves included, within one and a half fetch timeouts. A lone voter
    // has nobody else to hear.
    const bool counts_itself = voters().contains(config_.self);
    const std::size_t needed = voters().majority() - (counts_itself ? 1 : 0);
    if (needed == 0) {
        return Instant::never();
    }
    std::vector<Instant> heard;
    for (const auto& [id, progress] : leader.voters) {
        heard.push_back(std::max(progress.last_fetch.value_or(leader.since), leader.since));
    }
    if (heard.size() < needed) {
        return leader.since + config_.fetch_timeout * 3 / 2;
    }
    std::sort(heard.begin(), heard.end(), std::greater<>());
    return heard[needed - 1] + config_.fetch_timeout * 3 / 2;
}

std::vector<ReplicaKey> RaftCore::Impl::successors(const Leader& leader) const {
    std::vector<const Progress*> others;
    for (const auto& [id, progress] : leader.voters) {
        others.push_back(&progress);
    }
    std::sort(others.begin(), others.end(), [](const Progress* a, const Progress* b) {
        return std::tuple(b->end, b->last_fetch, a->key) <
               std::tuple(a->end, a->last_fetch, b->key);
    });
    std::vector<ReplicaKey> keys;
    for (const Progress* progress : others) {
        keys.push_back(progress->key);
    }
    return keys;
}

/// Who has nothing to hear waits for news: the fetch of each is parked.
bool RaftCore::Impl::all_have_heard() const {
    const auto* leader = std::get_if<Leader>(&state_);
    if (leader == nullptr) {
        return true;
    }
    const auto waits = [&](const Progress& progress) {
        const bool is_gone =
            !progress.last_fetch || *progress.last_fetch + config_.fetch_timeout < now_;
        return is_gone || std::any_of(leader->parked.begin(), leader->parked.end(),
                                      [&](const ParkedFetch& parked) {
                                          return parked.request.replica == progress.key;
                                      });
    };
    const auto all_wait = [&](const auto& replicas) {
        return std::all_of(replicas.begin(), replicas.end(),
                           [&](const auto& one) { return waits(one.second); });
    };
    return synced_end_ == log_end_ && all_wait(leader->voters) && all_wait(leader->observers);
}

void RaftCore::Impl::resign() {
    const auto& leader = std::get<Leader>(state_);
    const EndQuorumEpochRequest request{.cluster_id = config_.cluster_id,
                                        .leader = config_.self.id,
                                        .epoch = election_.epoch,
                                        .preferred = successors(leader),
                                        .leader_listeners = config_.listeners};
    std::vector<std::pair<BrokerId, Endpoint>> to;
    for (const auto& [id, progress] : leader.voters) {
        if (const auto endpoint = endpoint_of(id)) {
            to.emplace_back(id, *endpoint);
        }
    }
    leave_role();
    state_ = Resigned{.deadline = random_election_deadline()};
    for (const auto& [id, endpoint] : to) {
        send(Purpose::end_epoch, id, endpoint, request);
    }
}

// ---- DescribeQuorum -----------------------------------------------------------------------------

DescribeQuorumResponse RaftCore::Impl::answer(const DescribeQuorumRequest&) {
    DescribeQuorumResponse response{
        .hint = hint(), .high_watermark = high_watermark_.value_or(high_watermark_unknown)};
    const ReplicaProgress self{config_.self, log_end_, now_, now_};
    const auto* leader = std::get_if<Leader>(&state_);
    if (leader == nullptr) {
        response.error = KafkaError::not_leader_or_follower;
        for (const Voter& voter : voters().voters()) {
            response.voters.push_back({voter.key});
        }
        response.observers.push_back(self);
        response.nodes.emplace_back(config_.self.id, config_.listeners);
        return response;
    }
    const auto as_answer = [](const Progress& progress) {
        return ReplicaProgress{progress.key, progress.end.value_or(Offset{-1}), progress.last_fetch,
                               progress.last_caught_up};
    };
    for (const Voter& voter : voters().voters()) {
        const auto found = leader->voters.find(voter.key.id);
        response.voters.push_back(found == leader->voters.end() ? self : as_answer(found->second));
        response.nodes.emplace_back(voter.key.id, voter.listeners);
    }
    if (!voters().contains(config_.self)) {
        response.observers.push_back(self);
    }
    for (const auto& [key, progress] : leader->observers) {
        response.observers.push_back(as_answer(progress));
    }
    return response;
}

}  // namespace millrace::raft
