// mirror/internal/ends.h
//
// How far a topic reaches in a cluster: the high watermark of each partition, asked of its leader.
#pragma once

#include <string>
#include <vector>

#include "client/cluster.h"

namespace millrace::mirror {

/// All partitions or an error. Asks for the metadata first: who led a moment ago may not any more.
void read_ends(client::Cluster& cluster, const std::string& topic,
               UniqueFunction<void(Result<std::vector<Offset>>)> done);

}  // namespace millrace::mirror
