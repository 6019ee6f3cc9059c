// placement/initial.h
//
// Where the replicas of new partitions go. Pure and deterministic: same input, same seed, same
// answer. Promises: replicas of a partition are on distinct brokers; no rack gets a second replica
// while a rack with a candidate has none (generally: racks differ by at most one as far as they
// have brokers); a topic is spread evenly over the brokers that the racks allow, and what is left
// over goes where least is carried; the same for the first in order, the preferred leader.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ids.h"

namespace millrace::placement {

struct Candidate {
    BrokerId id;
    std::optional<std::string> rack;  ///< Brokers without one share one unnamed rack.
    /// Takes replicas only where its rack has no other candidate left, and is never first in order.
    bool fenced = false;
    std::int64_t replicas = 0;           ///< Carried already.
    std::int64_t preferred_leaders = 0;  ///< Of those, first in order.
    std::int64_t topic_replicas = 0;     ///< Carried already of the topic that grows.
    std::int64_t topic_leaders = 0;
};

/// `partitions` lists of `replication_factor` brokers each, the preferred leader first. Fails with
/// Code::exhausted if there are fewer candidates, or none that is not fenced.
Result<std::vector<std::vector<BrokerId>>> place_new(std::span<const Candidate> candidates,
                                                     std::int32_t partitions,
                                                     std::int16_t replication_factor,
                                                     std::uint64_t seed);

}  // namespace millrace::placement
