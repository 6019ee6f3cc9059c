// metadata/internal/partition_updates.h
//
// What happens to partitions when a broker or a directory goes or comes. Each function adds the
// PartitionChangeRecords to the draft; the caller adds what happens to the registration.
#pragma once

#include <functional>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/partition_change.h"

namespace millrace::metadata {

/// Builds the change against the draft's image and adds it; false if there is nothing to change.
bool add_change(Draft& draft, const Context& context, const PartitionChange& change,
                const Electorate& electorate);

/// The brokers leave every ISR they are in, and lead nothing. Members of the ELR stay there.
void take_out_of_isrs(Draft& draft, const Context& context, const std::set<BrokerId>& brokers);

/// The broker stopped uncleanly: it leaves ISR and ELR where `lost_its_tail` says so of the
/// partition; elsewhere it only leaves the ISR.
void drop_unclean(Draft& draft, const Context& context, BrokerId broker,
                  const std::function<bool(const TopicRules&, const Partition&)>& lost_its_tail);

/// Elects for leaderless partitions, now that the broker is up.
void elect_with(Draft& draft, const Context& context, BrokerId broker);

/// What the broker keeps in that directory is offline.
void fail_directory(Draft& draft, const Context& context, BrokerId broker, const Uuid& directory);

}  // namespace millrace::metadata
