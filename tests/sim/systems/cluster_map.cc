#include "tests/sim/systems/cluster_map.h"

#include <utility>

#include "model/kafka_error.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/metadata_request.h"
#include "tests/sim/systems/cluster_wire.h"

namespace millrace::simtest {

namespace {

constexpr std::int16_t metadata_version = 12;
constexpr std::int16_t create_version = 7;
constexpr Duration patience = 2s;
constexpr Duration pause = 200ms;

}  // namespace

ClusterMap::ClusterMap(runtime::Node& node, std::vector<runtime::Address> bootstrap, Topic topic)
    : shard_(node.control_shard()),
      log_(node.log()),
      bootstrap_(std::move(bootstrap)),
      topic_(std::move(topic)) {
    refresh();
}

ClusterMap::~ClusterMap() {
    *alive_ = false;
}

net::Channel& ClusterMap::channel_to(const runtime::Address& address) {
    auto& channel = channels_[address];
    if (!channel) {
        net::ChannelOptions options;
        options.address = address;
        channel = std::make_unique<net::Channel>(std::move(options), shard_, log_);
    }
    return *channel;
}

net::Channel& ClusterMap::anybody() {
    return channel_to(bootstrap_[shard_.random->below(bootstrap_.size())]);
}

ClusterMap::Leader ClusterMap::leader(std::int32_t partition) {
    const auto known = leaders_.find(partition);
    if (known == leaders_.end()) {
        return {};
    }
    const auto broker = brokers_.find(known->second.leader);
    if (broker == brokers_.end()) {
        return {};
    }
    return {&channel_to(broker->second), known->second.epoch};
}

ClusterMap::Leader ClusterMap::replica(std::int32_t partition, BrokerId broker) {
    const auto address = brokers_.find(broker);
    const auto known = leaders_.find(partition);
    if (address == brokers_.end() || known == leaders_.end()) {
        return {};
    }
    return {&channel_to(address->second), known->second.epoch};
}

void ClusterMap::later(Duration delay) {
    shard_.executor->after(delay, [this, alive = alive_] {
        if (*alive) {
            refresh();
        }
    });
}

void ClusterMap::refresh() {
    if (std::exchange(asking_, true)) {
        return;
    }
    protocol::MetadataRequest request;
    request.topics->push_back({.name = topic_.name});
    request.allow_auto_topic_creation = false;
    net::Channel& channel = anybody();
    ask<protocol::MetadataResponse>(
        channel, request, metadata_version, patience,
        [this, alive = alive_, &channel](Result<Answered<protocol::MetadataResponse>> answer) {
            if (!*alive) {
                return;
            }
            asking_ = false;
            if (answer) {
                on_metadata(answer->response);
            } else {
                if (answer.error().code() == Code::timed_out) {
                    channel.reset();  // maybe the other end forgot it
                }
                later(pause);
            }
        });
}

void ClusterMap::on_metadata(const protocol::MetadataResponse& response) {
    for (const auto& broker : response.brokers) {
        brokers_[BrokerId{broker.node_id}] = {std::string(broker.host),
                                              static_cast<std::uint16_t>(broker.port)};
    }
    bool is_whole = false;
    for (const auto& topic : response.topics) {
        if (topic.error_code == code_of(KafkaError::unknown_topic_or_partition) &&
            topic_id_.is_zero()) {
            create_topic();
            continue;
        }
        if (topic.error_code != 0) {
            continue;
        }
        topic_id_ = topic.topic_id;
        is_whole = topic.partitions.size() == static_cast<std::size_t>(topic_.partitions);
        for (const auto& partition : topic.partitions) {
            Known& known = leaders_[partition.partition_index];
            if (partition.leader_epoch >= known.epoch.value) {
                known = {BrokerId{partition.leader_id}, LeaderEpoch{partition.leader_epoch}};
            }
            is_whole = is_whole && known.leader != no_broker;
        }
    }
    if (!is_whole) {
        later(pause);
    }
}

void ClusterMap::create_topic() {
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = topic_.name;
    topic.num_partitions = topic_.partitions;
    topic.replication_factor = topic_.replication_factor;
    request.timeout_ms = 2'000;
    // Whether it worked shows in the metadata, which we ask for again in any case.
    ask<protocol::CreateTopicsResponse>(
        anybody(), request, create_version, patience,
        [](const Result<Answered<protocol::CreateTopicsResponse>>&) {});
}

}  // namespace millrace::simtest
