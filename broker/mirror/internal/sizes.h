// mirror/internal/sizes.h
//
// How large topics are in a cluster and how much room its disks have, asked of each broker.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "client/cluster.h"

namespace millrace::mirror {

struct DirectoryRoom {
    std::int64_t total = -1;  ///< -1: brokers before 3.3 don't say.
    std::int64_t usable = -1;
};

struct Sizes {
    /// Of the largest copy of each partition; what nobody keeps is not in it.
    std::map<std::string, std::map<std::int32_t, std::int64_t>> topics;
    std::map<BrokerId, std::vector<DirectoryRoom>> directories;  ///< Those that work.

    std::int64_t of(const std::string& topic, std::int32_t partition) const;
};

/// As of now, of these topics alone. An error if not every broker could be asked, or may be: then
/// nobody knows.
void read_sizes(client::Cluster& cluster, std::vector<std::string> topics,
                UniqueFunction<void(Result<Sizes>)> done);

}  // namespace millrace::mirror
