// app/internal/replica_sizes.h
//
// How large every replica is and how full every log directory: what DescribeLogDirs says at each
// broker that is up. Brokers that don't answer are missing from it; a plan does without their
// sizes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "admin/doors.h"
#include "model/ids.h"

namespace millrace::app {

struct DirectorySizes {
    std::string path;
    std::int64_t total_bytes = -1;
    std::int64_t usable_bytes = -1;
    bool is_cordoned = false;
    std::map<std::string, std::map<std::int32_t, std::int64_t>> replicas;  ///< By topic.
    std::map<std::string, std::set<std::int32_t>>
        arriving;  ///< Copies on their way from a sibling.
};

using ReplicaSizes = std::map<BrokerId, std::vector<DirectorySizes>>;

/// Partitions by topic.
using Partitions = std::map<std::string, std::vector<std::int32_t>>;

/// Asks through `doors`; `done` runs once, on any thread, when all have answered or failed to.
/// `only`: nothing asks for everything.
void gather_sizes(admin::AdminDoors& doors, std::vector<BrokerId> brokers,
                  const std::optional<Partitions>& only,
                  UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done);

/// What broker `at` keeps of the partition; 0 where it isn't known.
std::int64_t size_at(const ReplicaSizes& sizes, BrokerId at, const std::string& topic,
                     std::int32_t partition);

}  // namespace millrace::app
