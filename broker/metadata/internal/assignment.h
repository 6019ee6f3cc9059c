// metadata/internal/assignment.h
//
// Who gets the replicas of new partitions: checked when a person named them, else from placement.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"

namespace millrace::metadata {

/// Replicas of new partitions, from the lowest new index on; or why not.
struct Assigned {
    std::vector<std::vector<BrokerId>> partitions;
    MaybeRefusal refusal;
};

/// Distinct, registered, not cordoned unless they have a replica `already`, not empty, and
/// `replication_factor` of them if that is known.
MaybeRefusal check_named_replicas(const Image& image, const std::vector<std::int32_t>& brokers,
                                  std::optional<std::size_t> replication_factor,
                                  std::span<const BrokerId> already = {});

/// For a new topic, or for one that grows (`topic` is then not null).
Assigned place(const Context& context, const Image& image, const Topic* topic,
               std::int32_t partitions, std::int16_t replication_factor);

/// Replicas that the partition shall have in the end, as things stand.
std::size_t settled_replicas(const Partition& partition);

/// A new partition with everyone in the ISR who is up; nullopt if that is nobody.
std::optional<Partition> new_partition(const Image& image, const std::vector<BrokerId>& replicas);

}  // namespace millrace::metadata
