// client/cluster.h
//
// Another cluster as a client knows it: its brokers, topics and leaders, and a connection to each
// broker. Built for few long-lived users (mirror links, group offsets), on one shard.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"
#include "model/ids.h"
#include "model/kafka_error.h"

namespace millrace::client {

struct PartitionInfo {
    PartitionIndex index;
    KafkaError error = KafkaError::none;
    BrokerId leader = no_broker;
    LeaderEpoch epoch = no_leader_epoch;
    friend bool operator==(const PartitionInfo&, const PartitionInfo&) = default;
};

struct TopicInfo {
    std::string name;
    Uuid id;  ///< Zero from brokers before 2.8.
    bool is_internal = false;
    KafkaError error = KafkaError::none;
    std::vector<PartitionInfo> partitions;  ///< By index.
    friend bool operator==(const TopicInfo&, const TopicInfo&) = default;
};

/// What a cluster said of itself at one moment.
struct ClusterInfo {
    std::string cluster_id;
    std::map<BrokerId, runtime::Address> brokers;
    std::map<std::string, TopicInfo> topics;
};
using ClusterInfoPtr = std::shared_ptr<const ClusterInfo>;

struct ClusterOptions {
    std::vector<runtime::Address> bootstrap;
    std::string client_id = "millrace";
    std::optional<Sasl> sasl;
    net::StreamWrapper wrap;
    std::string server_name;  ///< For TLS; the host of each address where empty.
    Duration request_timeout = 10s;
};

class Cluster {
public:
    using Refreshed = UniqueFunction<void(Result<ClusterInfoPtr>)>;

    Cluster(ClusterOptions options, runtime::Shard shard, const Logger& log);
    ~Cluster();
    Cluster(const Cluster&) = delete;
    Cluster& operator=(const Cluster&) = delete;

    /// All topics and brokers, from whichever broker answers; each address is tried once.
    void refresh(Refreshed done);
    /// Null before the first refresh that succeeded.
    ClusterInfoPtr info() const;

    /// To that broker; null if nobody knows where it is.
    Connection* broker(BrokerId id);
    /// To any broker.
    Connection& any();
    ConnectionOptions connection_options(runtime::Address address) const;
    Duration request_timeout() const;

    /// The group's coordinator. Code::unavailable while it has none.
    void find_coordinator(const std::string& group, UniqueFunction<void(Result<BrokerId>)> done);

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::client
