// tests/sim/systems/cluster_map.h
//
// What a client knows of the cluster: where the leaders of one topic's partitions are. Never goes
// back to an older leader epoch.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/ids.h"
#include "net/channel.h"
#include "protocol/messages/metadata_response.h"
#include "runtime/node.h"

namespace millrace::simtest {

class ClusterMap {
public:
    struct Topic {
        std::string name;
        std::int32_t partitions = 1;
        std::int16_t replication_factor = 3;
    };

    /// Creates the topic if nobody did.
    ClusterMap(runtime::Node& node, std::vector<runtime::Address> bootstrap, Topic topic);
    ~ClusterMap();

    /// Asks somebody soon; calls meanwhile are one.
    void refresh();
    const Uuid& topic_id() const { return topic_id_; }
    struct Leader {
        net::Channel* channel = nullptr;  ///< Null while nobody is known to lead.
        LeaderEpoch epoch = no_leader_epoch;
    };
    Leader leader(std::int32_t partition);
    /// A replica that is not the leader, with what we know of the partition.
    Leader replica(std::int32_t partition, BrokerId broker);
    /// Some broker, for what any of them can answer.
    net::Channel& anybody();
    const runtime::Shard& shard() const { return shard_; }
    const Logger& log() const { return log_; }
    std::shared_ptr<bool> alive() const { return alive_; }

private:
    net::Channel& channel_to(const runtime::Address& address);
    void on_metadata(const protocol::MetadataResponse& response);
    void create_topic();
    void later(Duration delay);

    struct Known {
        BrokerId leader = no_broker;
        LeaderEpoch epoch = no_leader_epoch;
    };

    const runtime::Shard shard_;
    const Logger& log_;
    const std::vector<runtime::Address> bootstrap_;
    const Topic topic_;
    Uuid topic_id_;
    std::map<std::int32_t, Known> leaders_;
    std::map<BrokerId, runtime::Address> brokers_;
    std::map<runtime::Address, std::unique_ptr<net::Channel>> channels_;
    bool asking_ = false;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
