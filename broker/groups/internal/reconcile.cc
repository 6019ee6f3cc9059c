#include "groups/internal/reconcile.h"

#include <algorithm>

#include "base/assert.h"

namespace millrace::groups {

namespace {

/// Whether the member still holds any of `revoked`; it does unless it says otherwise.
bool still_owns(const std::optional<PartitionSet>& owned, const EpochSet& revoked) {
    if (!owned) {
        return true;
    }
    for (const auto& [topic, partitions] : *owned) {
        const auto found = revoked.find(topic);
        if (found != revoked.end() &&
            std::any_of(partitions.begin(), partitions.end(),
                        [&](std::int32_t p) { return found->second.contains(p); })) {
            return true;
        }
    }
    return false;
}

void enter_epoch(ConsumerMember& member, std::int32_t epoch) {
    member.previous_epoch = member.epoch;
    member.epoch = epoch;
}

/// The subscription changed and a new target is not there yet: give up what is no longer wanted.
ConsumerMember drop_unsubscribed(const ConsumerMember& member, const Goal& goal) {
    ConsumerMember next = member;
    for (const auto& [topic, epochs] : member.assigned) {
        if (!goal.subscribed.contains(topic)) {
            next.assigned.erase(topic);
            next.revoking[topic].insert(epochs.begin(), epochs.end());
        }
    }
    if (next.assigned.size() == member.assigned.size()) {
        return member;
    }
    enter_epoch(next, member.epoch);
    if (still_owns(goal.owned, next.revoking)) {
        next.state = MemberState::unrevoked_partitions;
    } else {
        next.revoking = member.revoking;
    }
    return next;
}

struct Step {
    EpochSet kept;
    EpochSet revoked;
    PartitionSet gained;
    bool must_wait = false;  ///< Others still hold some of the target.
};

Step compare(const ConsumerMember& member, const Goal& goal) {
    Step step;
    const auto wants = [&](const Uuid& topic, std::int32_t partition) {
        const auto found = goal.target.find(topic);
        return found != goal.target.end() && goal.subscribed.contains(topic) &&
               std::binary_search(found->second.begin(), found->second.end(), partition);
    };
    for (const auto& [topic, epochs] : member.assigned) {
        for (const auto& [partition, epoch] : epochs) {
            EpochSet& side = wants(topic, partition) ? step.kept : step.revoked;
            side[topic][partition] = epoch;
        }
    }
    for (const auto& [topic, partitions] : goal.target) {
        if (!goal.subscribed.contains(topic)) {
            continue;
        }
        const auto kept = step.kept.find(topic);
        const auto revoking = member.revoking.find(topic);
        for (const std::int32_t partition : partitions) {
            if (kept != step.kept.end() && kept->second.contains(partition)) {
                continue;
            }
            const bool was_mine =
                revoking != member.revoking.end() && revoking->second.contains(partition);
            if (goal.owner_epoch(topic, partition) != -1 && !was_mine) {
                step.must_wait = true;
            } else {
                step.gained[topic].push_back(partition);
            }
        }
    }
    return step;
}

ConsumerMember advance(const ConsumerMember& member, const Goal& goal) {
    Step step = compare(member, goal);
    ConsumerMember next = member;
    next.assigned = std::move(step.kept);
    if (!step.revoked.empty() && still_owns(goal.owned, step.revoked)) {
        next.state = MemberState::unrevoked_partitions;
        next.revoking = std::move(step.revoked);
        enter_epoch(next, member.epoch);
        return next;
    }
    for (const auto& [topic, partitions] : step.gained) {
        for (const std::int32_t partition : partitions) {
            next.assigned[topic][partition] = goal.epoch;
        }
    }
    next.revoking.clear();
    next.state = step.must_wait ? MemberState::unreleased_partitions : MemberState::stable;
    enter_epoch(next, goal.epoch);
    return next;
}

}  // namespace

bool may_reconcile(const ConsumerMember& member, const std::optional<PartitionSet>& owned) {
    return member.state != MemberState::unknown || (owned && owned->empty());
}

ConsumerMember reconcile(const ConsumerMember& member, const Goal& goal) {
    switch (member.state) {
        case MemberState::stable:
            if (member.epoch != goal.epoch) {
                return advance(member, goal);
            }
            return goal.subscription_changed ? drop_unsubscribed(member, goal) : member;
        case MemberState::unrevoked_partitions:
            if (!still_owns(goal.owned, member.revoking)) {
                return advance(member, goal);
            }
            return goal.subscription_changed ? drop_unsubscribed(member, goal) : member;
        case MemberState::unreleased_partitions:
            return advance(member, goal);
        case MemberState::unknown:
            MR_ASSERT(may_reconcile(member, goal.owned));
            return advance(member, goal);
    }
    return member;
}

}  // namespace millrace::groups
