// mirror/internal/ends.h
//
// How far topics reach in a cluster: the log start or the high watermark of each partition, asked
// of its leader; and where the logs of topics end that are being left behind.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "mirror/drain_core.h"

namespace millrace::mirror {

using Ends = std::map<std::string, std::vector<Offset>>;  ///< By partition.

/// Topics all of whose partitions answered; the others are not in it. An error only if the cluster
/// could not be asked at all. Asks for the metadata first: who led a moment ago may not any more.
void read_ends(client::Cluster& cluster, std::vector<std::string> topics,
               UniqueFunction<void(Result<Ends>)> done);

/// The same of where the logs begin.
void read_starts(client::Cluster& cluster, std::vector<std::string> topics,
                 UniqueFunction<void(Result<Ends>)> done);

using LastEnds = std::map<std::string, TopicEnds>;

/// As read_ends(), with what a planned promotion compares.
void read_committed_ends(client::Cluster& cluster, std::vector<std::string> topics,
                         UniqueFunction<void(Result<LastEnds>)> done);

/// Of a cluster of ours: where the logs end, committed or not, and whether they are closed. Of
/// others the same as above. Code::fenced: another cluster answers than the one that is expected.
void read_last_ends(client::Cluster& cluster, const std::string& expected_cluster,
                    std::vector<std::string> topics, UniqueFunction<void(Result<LastEnds>)> done);

}  // namespace millrace::mirror
