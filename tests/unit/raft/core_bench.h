// tests/unit/raft/core_bench.h
//
// One RaftCore at the bench: disks that answer at once (unless told not to), and what it said in
// lists to look at.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "raft/raft_core.h"

namespace millrace::raft::test {

inline Uuid directory(std::uint64_t n) {
    return {100, n};
}
inline ReplicaKey key(int id) {
    return {BrokerId{id}, directory(static_cast<std::uint64_t>(id))};
}
inline Endpoint address(int id) {
    return {"n" + std::to_string(id), static_cast<std::uint16_t>(9000 + id)};
}
inline Voter voter(int id) {
    return {key(id), {{"CONTROLLER", address(id)}}, {}};
}
inline VoterSet voter_set(int n) {
    std::vector<Voter> voters;
    for (int id = 1; id <= n; ++id) {
        voters.push_back(voter(id));
    }
    return VoterSet(std::move(voters));
}

/// A disk with a log of `end` records in epoch 1, the first of which names `voters`.
inline RecoveredState log_of(Offset end, const VoterSet& voters,
                             std::optional<ElectionState> election = std::nullopt) {
    RecoveredState state;
    state.election = election;
    state.log_end = end;
    state.epochs = EpochHistory({}, {{QuorumEpoch{1}, Offset{0}}});
    state.voters.add_kraft_version(Offset{1}, 1);
    state.voters.add_voters(Offset{2}, voters);
    return state;
}

class CoreBench {
public:
    CoreBench(int self, RecoveredState state, CoreConfig config = {}) : random_(7) {
        self_ = config.self = key(self);
        config.cluster_id = "cluster";
        config.listeners = {{"CONTROLLER", address(self)}};
        core_.emplace(std::move(config), std::move(state), random_, now_);
        step(Tick{});
    }

    RaftCore& core() { return *core_; }
    Instant now() const { return now_; }

    // Switched off, the disk keeps silent until allowed again.
    bool persists = true;
    bool syncs = true;

    void step(Event event) {
        std::deque<Event> events{std::move(event)};
        while (!events.empty()) {
            Event next = std::move(events.front());
            events.pop_front();
            for (Effect& effect : core_->step(now_, std::move(next))) {
                note(effect, events);
            }
        }
    }
    void persist_all() { step(ElectionPersisted{last_persist_}); }
    void sync_all() { step(LogSynced{core_->log_end(), last_generation_}); }

    void pass(Duration time) {
        const Instant until = now_ + time;
        while (core_->deadline() <= until) {
            now_ = std::max(core_->deadline(), now_ + Duration{1});
            step(Tick{});
        }
        now_ = until;
        step(Tick{});
    }

    /// Asks, and returns the answer if there is one already.
    template <typename Answer>
    std::optional<Answer> ask(Request request) {
        const RequestId id{++last_request_};
        step(RequestReceived{id, std::move(request)});
        return answer<Answer>(id);
    }
    template <typename Answer>
    std::optional<Answer> answer(RequestId id) {
        for (const Reply& reply : replies) {
            if (reply.id == id) {
                return std::get<Answer>(reply.response);
            }
        }
        return std::nullopt;
    }
    RequestId last_request() const { return RequestId{last_request_}; }

    /// What was sent of this kind since the last look, with the ids to answer.
    template <typename Message>
    std::vector<Send> take_sent() {
        std::vector<Send> found;
        std::erase_if(sent, [&](const Send& send) {
            if (!std::holds_alternative<Message>(send.request)) {
                return false;
            }
            found.push_back(send);
            return true;
        });
        return found;
    }
    template <typename Message>
    std::optional<Send> take_sent_to(int id) {
        for (const Send& send : take_sent<Message>()) {
            if (send.to_id == BrokerId{id}) {
                return send;
            }
        }
        return std::nullopt;
    }

    /// Makes it the leader of the next epoch, by the votes of all others.
    void lead() {
        for (int tries = 0; tries < 20 && core_->role() != Role::leader; ++tries) {
            for (const Send& send : take_sent<VoteRequest>()) {
                const auto& vote = std::get<VoteRequest>(send.request);
                step(
                    ResponseReceived{send.id, VoteResponse{.hint = {vote.epoch}, .granted = true}});
            }
            if (core_->role() != Role::leader) {
                pass(std::chrono::milliseconds(200));
            }
        }
    }
    /// A fetch of voter `id` that holds our log up to `end`.
    std::optional<FetchResponse> fetch_from(const ReplicaKey& replica, Offset end) {
        const QuorumEpoch epoch =
            end > Offset{0} ? core_->epochs().epoch_at(end - 1) : QuorumEpoch{0};
        return ask<FetchResponse>(FetchRequest{.cluster_id = "cluster",
                                               .replica = replica,
                                               .leader_epoch = core_->epoch(),
                                               .log = {end, epoch}});
    }
    /// Makes it follow `leader` in `epoch`.
    void follow(int leader, QuorumEpoch epoch) {
        ask<BeginQuorumEpochResponse>(
            BeginQuorumEpochRequest{.cluster_id = "cluster",
                                    .voter = self_,
                                    .leader = BrokerId{leader},
                                    .epoch = epoch,
                                    .leader_listeners = {{"CONTROLLER", address(leader)}}});
    }
    /// The leader answers the fetch under way.
    void answer_fetch(FetchResponse response) {
        const auto fetches = take_sent<FetchRequest>();
        if (!fetches.empty()) {
            response.hint.epoch = core_->epoch();
            step(ResponseReceived{fetches.back().id, std::move(response)});
        }
    }
    /// Batches of one record each, as a leader sends them.
    static FetchedBatches batches(Offset from, int count, QuorumEpoch epoch) {
        FetchedBatches fetched;
        for (int i = 0; i < count; ++i) {
            fetched.batches.push_back({from + i, from + i + 1, epoch, {}});
        }
        fetched.bytes = std::make_shared<const Buffer>();
        return fetched;
    }

    template <typename Kind>
    std::vector<Kind> effects_of() const {
        std::vector<Kind> found;
        for (const Effect& effect : effects) {
            if (const auto* kind = std::get_if<Kind>(&effect)) {
                found.push_back(*kind);
            }
        }
        return found;
    }

    std::vector<Send> sent;
    std::vector<Reply> replies;
    std::vector<Effect> effects;  ///< Everything else, in order.

private:
    void note(Effect& effect, std::deque<Event>& events) {
        if (auto* send = std::get_if<Send>(&effect)) {
            sent.push_back(std::move(*send));
        } else if (auto* reply = std::get_if<Reply>(&effect)) {
            replies.push_back(std::move(*reply));
        } else {
            if (const auto* persist = std::get_if<PersistElection>(&effect)) {
                last_persist_ = persist->sequence;
                if (persists) {
                    events.push_back(ElectionPersisted{persist->sequence});
                }
            } else if (const auto* sync = std::get_if<SyncLog>(&effect)) {
                last_generation_ = sync->generation;
                if (syncs) {
                    events.push_back(LogSynced{sync->end, sync->generation});
                }
            }
            effects.push_back(std::move(effect));
        }
    }

    SeededRandom random_;
    Instant now_{1'000'000'000};
    ReplicaKey self_;
    std::optional<RaftCore> core_;
    std::uint64_t last_request_ = 0;
    std::uint64_t last_persist_ = 0;
    std::uint64_t last_generation_ = 0;
};

}  // namespace millrace::raft::test
