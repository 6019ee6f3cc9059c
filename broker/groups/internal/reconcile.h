// groups/internal/reconcile.h
//
// The next step of one member towards its target: give up first, and only when nobody holds them
// any more take up others. Pure.
#pragma once

#include <functional>
#include <optional>
#include <set>

#include "groups/internal/consumer_group.h"

namespace millrace::groups {

struct Goal {
    std::int32_t epoch;
    const PartitionSet& target;
    /// Topics that the member subscribes to now: what it doesn't want it doesn't get, whatever an
    /// older target says.
    const std::set<Uuid>& subscribed;
    bool subscription_changed = false;
    /// The epoch in which a partition is held by anybody; -1 for nobody.
    std::function<std::int32_t(const Uuid&, std::int32_t)> owner_epoch;
    /// What the member says it holds; none if it didn't say.
    const std::optional<PartitionSet>& owned;
};

/// The member as it is after this heartbeat; the same if there is nothing to do. A member whose
/// state we don't know has to come with nothing in its hands (may_reconcile()).
ConsumerMember reconcile(const ConsumerMember& member, const Goal& goal);

bool may_reconcile(const ConsumerMember& member, const std::optional<PartitionSet>& owned);

}  // namespace millrace::groups
