// tests/sim/systems/mirror_driver.h
//
// A client of all clusters on a machine of its own, which the script tells what to ask: each call
// is one request to the cluster's only broker, and answers once.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/cluster.h"
#include "mirror/group_core.h"
#include "runtime/sim/sim_node.h"
#include "tests/sim/systems/mirror_world.h"

namespace millrace::simtest {

class MirrorDriver final : public runtime::sim::Program {
public:
    MirrorDriver(runtime::Node& node, ClusterIndex clusters);

    using Done = std::function<void(KafkaError)>;
    using Produced = std::function<void(KafkaError, Offset)>;
    using Fetched = std::function<void(const mirror::GroupOffsets&)>;  ///< Not if it failed.

    void create_topic(ClusterIndex at, std::string topic, std::int32_t partitions, Done done);
    void delete_topic(ClusterIndex at, std::string topic, Done done);
    void produce(ClusterIndex at, std::string topic, std::int32_t partition, std::string value,
                 Produced done);
    void delete_records(ClusterIndex at, std::string topic, std::int32_t partition, Offset before);
    void commit(ClusterIndex at, std::string group, TopicPartition partition, Offset offset,
                Done done);
    void fetch_offsets(ClusterIndex at, std::string group, Fetched done);

private:
    void post(ClusterIndex at, std::function<void(client::Connection&)> task);

    const runtime::Shard shard_;
    std::vector<std::unique_ptr<client::Cluster>> clusters_;
};

}  // namespace millrace::simtest
