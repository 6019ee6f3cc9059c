// placement/initial.h
//
// Where the replicas of new partitions go. Pure and deterministic: same input, same seed, same
// answer. Promises: replicas of a partition are on distinct brokers; no rack gets a second replica
// while a rack with a usable broker has none (generally: racks differ by at most one as far as they
// have brokers); brokers and preferred leaders are filled evenly, counting what they carry already.
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
    /// Brokers without a rack are each a rack of their own only if no broker has one; otherwise
    /// they share one unnamed rack.
    std::optional<std::string> rack;
    /// Fenced brokers are used only where there are too few others, and never lead first.
    bool fenced = false;
    std::int64_t replicas = 0;           ///< Carried already.
    std::int64_t preferred_leaders = 0;  ///< Of those, first in order.
};

/// `partitions` lists of `replication_factor` brokers each, the preferred leader first. Fails with
/// Code::exhausted if there are fewer candidates, or none that is not fenced.
Result<std::vector<std::vector<BrokerId>>> place_new(std::span<const Candidate> candidates,
                                                     std::int32_t partitions,
                                                     std::int16_t replication_factor,
                                                     std::uint64_t seed);

}  // namespace millrace::placement
