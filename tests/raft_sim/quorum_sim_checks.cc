// What must be true after every event.
#include <algorithm>
#include <fmt/core.h>

#include "tests/raft_sim/quorum_sim.h"

namespace millrace::raft::sim {

void QuorumSim::check_leader(std::size_t index) {
    const Node& node = nodes_[index];
    if (node.high_watermark > node.core->log_end()) {
        violation(fmt::format("{}: log ends at {}, below its high watermark {}", node.id,
                              node.core->log_end(), node.high_watermark));
    }
    if (node.core->log_end() != node.disk.end()) {
        violation(fmt::format("{}: core and disk disagree on the end", node.id));
    }
    if (node.core->role() != Role::leader) {
        return;
    }
    const auto [entry, is_new] =
        leaders_.try_emplace(node.core->epoch(), std::pair(index, node.incarnation));
    if (entry->second != std::pair(index, node.incarnation)) {
        violation(fmt::format("epoch {} is led by {} (start {}) and {} (start {})",
                              node.core->epoch(), nodes_[entry->second.first].id,
                              entry->second.second, node.id, node.incarnation));
    }
    if (!is_new) {
        return;
    }
    ++stats_.elections;
    if (committed_end_ > Offset{0} && node.core->log_end() < committed_end_) {
        violation(fmt::format("{} leads without the committed records up to {}", node.id,
                              committed_end_));
    } else if (committed_end_ > node.core->log_start() &&
               node.core->epochs().epoch_at(committed_end_ - 1) !=
                   committed_.rbegin()->second.first.info.epoch) {
        violation(fmt::format("{} leads with another record before {}", node.id, committed_end_));
    }
}

void QuorumSim::check_vote(std::size_t index, const VoteResponse& response, const Pending& to) {
    const VoteRequest& request = vote_requests_[0];
    if (!response.granted || request.pre_vote || to.is_client) {
        return;
    }
    const Node& node = nodes_[index];
    const ReplicaKey self{node.id, node.disk.directory};
    if (!request.voter.matches(self)) {
        violation(fmt::format("{} votes in the place of {}", self.to_string(),
                              request.voter.to_string()));
    }
    const auto [vote, is_new] = votes_.try_emplace({request.epoch, self}, request.candidate);
    if (vote->second != request.candidate) {
        violation(fmt::format("{} votes for {} and {} in epoch {}", self.to_string(),
                              vote->second.to_string(), request.candidate.to_string(),
                              request.epoch));
    }
}

void QuorumSim::check_append(std::size_t index, const Batch& batch) {
    Node& node = nodes_[index];
    const QuorumEpoch before =
        node.disk.log.empty() ? node.disk.base.epoch : node.disk.log.back().info.epoch;
    const auto [known, is_new] =
        written_.try_emplace({batch.info.base, batch.info.epoch}, std::pair(batch.payload, before));
    if (known->second != std::pair(batch.payload, before)) {
        violation(fmt::format("{}: two logs differ at {} in epoch {}", node.id, batch.info.base,
                              batch.info.epoch));
    }
    if (!is_new || node.core->role() != Role::leader) {
        return;
    }
    // The leader wrote it: a change of voters stands alone, on committed ground.
    VoterSet former;
    std::optional<Offset> former_at;
    for (const Batch& other : node.disk.log) {
        for (const auto& [offset, record] : other.info.control) {
            if (const auto* change = std::get_if<VotersChange>(&record)) {
                former = change->voters;
                former_at = offset;
            }
        }
    }
    for (const auto& [offset, record] : batch.info.control) {
        const auto* change = std::get_if<VotersChange>(&record);
        if (change == nullptr || !former_at) {
            continue;
        }
        if (*former_at >= node.high_watermark) {
            violation(fmt::format("{}: voters change at {} while the change at {} is open", node.id,
                                  offset, *former_at));
        }
        const QuorumEpoch committed_epoch = node.core->epochs().epoch_at(node.high_watermark - 1);
        if (committed_epoch != node.core->epoch()) {
            violation(fmt::format("{}: voters change before epoch {} is committed", node.id,
                                  node.core->epoch()));
        }
        std::size_t differ = 0;
        for (const Voter& voter : change->voters.voters()) {
            differ += former.contains(voter.key) ? 0 : 1;
        }
        for (const Voter& voter : former.voters()) {
            differ += change->voters.contains(voter.key) ? 0 : 1;
        }
        if (differ > 1) {
            violation(fmt::format("{}: {} voters change at once", node.id, differ));
        }
    }
}

void QuorumSim::check_commit(std::size_t index, Offset to) {
    Node& node = nodes_[index];
    if (node.core->role() != Role::leader) {
        return;
    }
    // What a leader calls committed is durable on a majority of the voters in force.
    const QuorumEpoch epoch = node.core->epochs().epoch_at(to - 1);
    if (epoch != node.core->epoch()) {
        violation(fmt::format("{} leads epoch {} and calls a record of epoch {} committed", node.id,
                              node.core->epoch(), epoch));
    }
    const auto holds = [&](const Disk& disk) {
        const auto last = std::find_if(disk.log.rbegin(), disk.log.rend(),
                                       [&](const Batch& b) { return b.info.base < to; });
        const bool matches =
            disk.base.end >= to || (last != disk.log.rend() && last->info.epoch == epoch);
        return disk.synced >= to && matches;
    };
    std::size_t durable = 0;
    for (const Voter& voter : node.core->voters().voters()) {
        for (const Node& other : nodes_) {
            const bool is_it = voter.key.matches({other.id, other.disk.directory});
            durable += is_it && holds(other.disk) ? 1 : 0;
        }
        for (const auto& [id, disk] : lost_disks_) {
            durable += voter.key == ReplicaKey{id, disk.directory} && holds(disk) ? 1 : 0;
        }
    }
    if (durable < node.core->voters().majority()) {
        violation(fmt::format("{}: {} is called committed but is durable on {} of {}", node.id, to,
                              durable, node.core->voters().to_string()));
    }
}

void QuorumSim::check_voters(std::size_t index) {
    // The set in force is the one that log and snapshot tell, whatever was truncated.
    Node& node = nodes_[index];
    const VoterSet* named = nullptr;
    for (const Batch& batch : node.disk.log) {
        for (const auto& [offset, record] : batch.info.control) {
            if (const auto* change = std::get_if<VotersChange>(&record)) {
                named = &change->voters;
            }
        }
    }
    if (named != nullptr && *named != node.core->voters()) {
        violation(fmt::format("{}: voters are {} but the log says {}", node.id,
                              node.core->voters().to_string(), named->to_string()));
    }
    if (named == nullptr && node.disk.snapshots.empty() &&
        node.core->voter_history().latest_offset()) {
        violation(
            fmt::format("{}: voters {} are in no log", node.id, node.core->voters().to_string()));
    }
}

}  // namespace millrace::raft::sim
