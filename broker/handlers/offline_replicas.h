// handlers/offline_replicas.h
//
// Which replicas a client is told not to count on.
#pragma once

#include <string_view>

#include "metadata/image_cluster.h"
#include "metadata/image_topics.h"

namespace millrace::handlers {

/// Its broker is gone or can't be reached through `listener`, or has lost the directory it lies in.
inline bool is_offline(const metadata::Cluster& cluster, const metadata::Partition& partition,
                       BrokerId replica, std::string_view listener) {
    const metadata::Broker* broker = cluster.broker(replica);
    return broker == nullptr || broker->fenced || broker->endpoint(listener) == nullptr ||
           !broker->has_online_directory(partition.directory_of(replica));
}

}  // namespace millrace::handlers
