// mirror/internal/ends.h
//
// How far topics reach in a cluster: the log start or the high watermark of each partition, asked
// of its leader.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/cluster.h"

namespace millrace::mirror {

using Ends = std::map<std::string, std::vector<Offset>>;  ///< By partition.

/// Topics all of whose partitions answered; the others are not in it. An error only if the cluster
/// could not be asked at all. Asks for the metadata first: who led a moment ago may not any more.
void read_ends(client::Cluster& cluster, std::vector<std::string> topics,
               UniqueFunction<void(Result<Ends>)> done);

/// The same of where the logs begin.
void read_starts(client::Cluster& cluster, std::vector<std::string> topics,
                 UniqueFunction<void(Result<Ends>)> done);

}  // namespace millrace::mirror
