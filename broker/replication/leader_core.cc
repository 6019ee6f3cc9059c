#include "replication/leader_core.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/mutants.h"

namespace millrace::replication {

LeaderCore::LeaderCore(Start start)
    : self_(start.self),
      isr_(start.isr.begin(), start.isr.end()),
      partition_epoch_(start.partition_epoch),
      epoch_start_(start.end),
      end_(start.end),
      synced_end_(start.synced_end),
      high_watermark_(start.high_watermark),
      durability_(start.durability),
      min_isr_(start.min_isr),
      lag_max_(start.lag_max),
      now_(start.now) {
    take_replicas(start.replicas);
}

void LeaderCore::take_replicas(const std::vector<BrokerId>& replicas) {
    std::map<BrokerId, Follower> kept;
    for (const BrokerId replica : replicas) {
        if (replica == self_) {
            continue;
        }
        if (auto known = followers_.extract(replica)) {
            kept.insert(std::move(known));
            continue;
        }
        // A member of the ISR gets lag_max to show itself before its silence counts.
        kept[replica] = Follower{.caught_up_at = isr_.contains(replica) ? now_ : Instant{},
                                 .last_fetch_at = Instant{}};
    }
    followers_ = std::move(kept);
}

std::vector<LeaderEffect> LeaderCore::step(const LeaderEvent& event) {
    std::visit([this](const auto& e) { note(e); }, event);
    std::vector<LeaderEffect> effects;
    if (const Offset to = reached(); to > high_watermark_) {
        high_watermark_ = to;
        effects.emplace_back(AdvanceHighWatermark{to});
    }
    if (std::exchange(settles_now_, false)) {
        effects.emplace_back(ProposeIsr{{isr_.begin(), isr_.end()}, partition_epoch_});
    }
    if (proposed_.empty() && !held_back_) {
        if (std::set<BrokerId> wanted = wanted_isr(); wanted != isr_) {
            proposed_ = std::move(wanted);
            effects.emplace_back(
                ProposeIsr{{proposed_.begin(), proposed_.end()}, partition_epoch_});
        }
    }
    return effects;
}

void LeaderCore::note(const Appended& event) {
    MR_ASSERT(event.end >= end_);
    end_ = event.end;
}

void LeaderCore::note(const Synced& event) {
    synced_end_ = std::max(synced_end_, event.end);
}

void LeaderCore::note(const FollowerFetched& event) {
    now_ = std::max(now_, event.at);
    const auto at = followers_.find(event.replica);
    if (at == followers_.end()) {
        return;  // not a replica (any more)
    }
    Follower& follower = at->second;
    if (event.replica_epoch < follower.epoch && event.replica_epoch != BrokerEpoch{-1} &&
        !MR_PLANTED(earlier_lives_count)) {
        return;  // asked by an earlier life, whose disk may be another one by now
    }
    // It has caught up with what we had when it asked last, or with all we have now.
    if (event.log_end >= end_) {
        follower.caught_up_at = event.at;
    } else if (follower.leader_end_at_fetch != no_offset &&
               event.log_end >= follower.leader_end_at_fetch) {
        follower.caught_up_at = std::max(follower.caught_up_at, follower.last_fetch_at);
    }
    follower.log_start = event.log_start;
    follower.log_end = event.log_end;
    if (event.synced_end) {
        // Never more than it has; a restart may report less than before, which is the truth now.
        follower.synced_end = std::min(*event.synced_end, event.log_end);
    } else {
        follower.synced_end.reset();
    }
    follower.leader_end_at_fetch = end_;
    follower.last_fetch_at = event.at;
    follower.epoch = event.replica_epoch;
    if (event.may_join) {
        ineligible_.erase(event.replica);
    } else {
        ineligible_.insert(event.replica);
    }
}

void LeaderCore::note(const Tick& event) {
    now_ = std::max(now_, event.at);
    ineligible_ = event.ineligible;
    held_back_ = false;
    settles_now_ = std::exchange(must_settle_, false);
}

void LeaderCore::note(const IsrDecided& event) {
    if (event.partition_epoch < partition_epoch_) {
        return;
    }
    isr_ = {event.isr.begin(), event.isr.end()};
    if (!MR_PLANTED(leaders_keep_their_first_replicas)) {
        take_replicas(event.replicas);
    }
    partition_epoch_ = event.partition_epoch;
    ineligible_ = event.ineligible;
    proposed_.clear();
    may_be_accepted_ = must_settle_ = false;
    held_back_ = false;
}

void LeaderCore::note(const ProposalRefused& event) {
    if (!MR_PLANTED(late_refusal_ends_any_proposal) && event.partition_epoch != partition_epoch_) {
        return;
    }
    if (may_be_accepted_ && !MR_PLANTED(a_refusal_answers_every_attempt)) {
        must_settle_ = true;  // the members that were proposed count until the epoch has moved
        return;
    }
    proposed_.clear();
    held_back_ = true;
}

void LeaderCore::note(const ProposalUnanswered& event) {
    may_be_accepted_ = may_be_accepted_ || event.partition_epoch == partition_epoch_;
}

void LeaderCore::note(const SettingsChanged& event) {
    durability_ = event.durability;
    min_isr_ = event.min_isr;
}

Offset LeaderCore::low_watermark(Offset own_start,
                                 const std::function<bool(BrokerId)>& is_up) const {
    Offset low = own_start;
    for (const auto& [replica, follower] : followers_) {
        if (replica != self_ && is_up(replica)) {
            low = std::min(low, follower.log_start);
        }
    }
    return low;
}

BrokerId LeaderCore::nearest(const std::vector<BrokerId>& wanted, Offset from) const {
    BrokerId best = no_broker;
    Offset most = from;
    for (const BrokerId replica : wanted) {
        const auto at = followers_.find(replica);
        if (at == followers_.end() || !isr_.contains(replica) || at->second.log_start > from ||
            at->second.log_end < most) {
            continue;
        }
        if (best == no_broker || at->second.log_end > most) {
            best = replica;
            most = at->second.log_end;
        }
    }
    return best;
}

Offset LeaderCore::counted_end(BrokerId replica) const {
    if (replica == self_) {
        if (MR_PLANTED(leader_counts_unsynced)) {
            return end_;
        }
        return durability_ == Durability::synced ? synced_end_ : end_;
    }
    const auto at = followers_.find(replica);
    if (at == followers_.end()) {
        return no_offset;
    }
    const Follower& follower = at->second;
    if (durability_ == Durability::synced && follower.synced_end &&
        !MR_PLANTED(follower_counts_unsynced)) {
        return *follower.synced_end;
    }
    // A follower that does not report syncs (a foreign broker) counts by its log end.
    return follower.log_end;
}

Offset LeaderCore::reached() const {
    if (under_min_isr() && !MR_PLANTED(commits_under_min_isr)) {
        return high_watermark_;
    }
    Offset least = counted_end(self_);
    if (MR_PLANTED(leader_commits_alone)) {
        return least;
    }
    for (const BrokerId replica : isr_) {
        if (MR_PLANTED(isr_without_the_slowest) && proposed_.empty() && isr_.size() > 2 &&
            replica == *isr_.rbegin()) {
            continue;
        }
        least = std::min(least, counted_end(replica));
    }
    for (const BrokerId replica : proposed_) {
        if (MR_PLANTED(proposed_members_do_not_count)) {
            break;
        }
        least = std::min(least, counted_end(replica));
    }
    return least;
}

std::set<BrokerId> LeaderCore::wanted_isr() const {
    std::set<BrokerId> wanted{self_};
    for (const auto& [replica, follower] : followers_) {
        const bool member = isr_.contains(replica);
        if (!member && ineligible_.contains(replica)) {
            continue;
        }
        const bool silent = now_ - follower.caught_up_at > lag_max_;
        // To join it must hold everything the ISR has promised to hold, as durably as promised. How
        // far that was is not known to a new leader: its own end is an upper bound.
        const bool caught_up = !silent && (MR_PLANTED(joins_before_it_caught_up) ||
                                           (follower.log_end >= high_watermark_ &&
                                            counted_end(replica) >= epoch_start_ &&
                                            counted_end(replica) >= high_watermark_));
        if (member ? !silent : caught_up) {
            wanted.insert(replica);
        }
    }
    return wanted;
}

}  // namespace millrace::replication
