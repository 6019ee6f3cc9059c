#include "client/cluster.h"

#include <algorithm>
#include <utility>

#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::client {
namespace {

using protocol::MetadataRequest;
using protocol::MetadataResponse;

std::shared_ptr<const ClusterInfo> info_of(const MetadataResponse& response) {
    auto info = std::make_shared<ClusterInfo>();
    info->cluster_id = response.cluster_id.value_or("");
    for (const auto& broker : response.brokers) {
        info->brokers[BrokerId{broker.node_id}] = {std::string(broker.host),
                                                   static_cast<std::uint16_t>(broker.port)};
    }
    for (const auto& from : response.topics) {
        TopicInfo topic;
        topic.name = from.name.value_or("");
        topic.id = from.topic_id;
        topic.is_internal = from.is_internal;
        topic.error = static_cast<KafkaError>(from.error_code);
        for (const auto& partition : from.partitions) {
            topic.partitions.push_back({PartitionIndex{partition.partition_index},
                                        static_cast<KafkaError>(partition.error_code),
                                        BrokerId{partition.leader_id},
                                        LeaderEpoch{partition.leader_epoch}});
        }
        std::sort(topic.partitions.begin(), topic.partitions.end(),
                  [](const auto& a, const auto& b) { return a.index < b.index; });
        std::string name = topic.name;
        info->topics.emplace(std::move(name), std::move(topic));
    }
    return info;
}

}  // namespace

struct Cluster::Inside : std::enable_shared_from_this<Cluster::Inside> {
    Inside(ClusterOptions options_in, runtime::Shard shard_in, const Logger& log_in)
        : options(std::move(options_in)), shard(shard_in), log(log_in) {}

    Connection& at(const runtime::Address& address) {
        auto& connection = connections[address];
        if (!connection) {
            connection = std::make_unique<Connection>(options_for(address), shard, log);
        }
        return *connection;
    }

    ConnectionOptions options_for(runtime::Address address) const {
        ConnectionOptions one;
        one.address = std::move(address);
        one.client_id = options.client_id;
        one.sasl = options.sasl;
        one.wrap = options.wrap;
        one.server_name = options.server_name;
        return one;
    }

    std::vector<runtime::Address> addresses() const {
        std::vector<runtime::Address> all = options.bootstrap;
        if (info) {
            for (const auto& [id, address] : info->brokers) {
                if (std::find(all.begin(), all.end(), address) == all.end()) {
                    all.push_back(address);
                }
            }
        }
        return all;
    }

    struct Refresh {
        std::vector<runtime::Address> left;
        Refreshed done;
    };

    void try_next(std::shared_ptr<Refresh> refresh, const Error& why) {
        if (refresh->left.empty()) {
            refresh->done(why);
            return;
        }
        last_good = refresh->left.back();
        refresh->left.pop_back();
        ask<MetadataRequest, MetadataResponse>(
            at(last_good), options.request_timeout,
            [](std::int16_t version) {
                MetadataRequest request;
                if (version > 0) {
                    request.topics = std::nullopt;
                }
                request.allow_auto_topic_creation = false;
                return request;
            },
            [weak = weak_from_this(), refresh](const Result<MetadataResponse>& response,
                                               std::int16_t) {
                auto self = weak.lock();
                if (!self) {
                    refresh->done(Error(Code::cancelled, "cluster closed"));
                    return;
                }
                if (!response) {
                    self->try_next(refresh, response.error());
                    return;
                }
                self->info = info_of(*response);
                self->forget_lost();
                refresh->done(self->info);
            });
    }

    /// Connections to brokers that are not there any more.
    void forget_lost() {
        const auto all = addresses();
        for (auto one = connections.begin(); one != connections.end();) {
            const bool known = std::find(all.begin(), all.end(), one->first) != all.end();
            one = known ? std::next(one) : connections.erase(one);
        }
    }

    ClusterOptions options;
    runtime::Shard shard;
    Logger log;
    ClusterInfoPtr info;
    runtime::Address last_good;
    std::map<runtime::Address, std::unique_ptr<Connection>> connections;
};

Cluster::Cluster(ClusterOptions options, runtime::Shard shard, const Logger& log)
    : inside_(std::make_shared<Inside>(std::move(options), shard, log)) {
    MR_ASSERT(!inside_->options.bootstrap.empty());
    inside_->last_good = inside_->options.bootstrap.front();
}

Cluster::~Cluster() = default;

void Cluster::refresh(Refreshed done) {
    auto refresh = std::make_shared<Inside::Refresh>();
    refresh->left = inside_->addresses();
    // Whoever answered last comes first (they are taken from the back).
    const auto good = std::find(refresh->left.begin(), refresh->left.end(), inside_->last_good);
    if (good != refresh->left.end()) {
        std::rotate(good, good + 1, refresh->left.end());
    }
    refresh->done = std::move(done);
    inside_->try_next(std::move(refresh), Error(Code::unavailable, "no broker is known"));
}

ClusterInfoPtr Cluster::info() const {
    return inside_->info;
}

Connection* Cluster::broker(BrokerId id) {
    if (!inside_->info) {
        return nullptr;
    }
    const auto found = inside_->info->brokers.find(id);
    return found == inside_->info->brokers.end() ? nullptr : &inside_->at(found->second);
}

Connection& Cluster::any() {
    return inside_->at(inside_->last_good);
}

ConnectionOptions Cluster::connection_options(runtime::Address address) const {
    return inside_->options_for(std::move(address));
}

Duration Cluster::request_timeout() const {
    return inside_->options.request_timeout;
}

void Cluster::find_coordinator(const std::string& group,
                               UniqueFunction<void(Result<BrokerId>)> done) {
    using protocol::FindCoordinatorRequest;
    using protocol::FindCoordinatorResponse;
    constexpr Versions one_key_each{1, 3};
    ask<FindCoordinatorRequest, FindCoordinatorResponse>(
        any(), inside_->options.request_timeout,
        [group](std::int16_t) {
            FindCoordinatorRequest request;
            request.key = group;
            request.key_type = 0;
            return request;
        },
        [done = std::move(done)](const Result<FindCoordinatorResponse>& response,
                                 std::int16_t) mutable {
            if (!response) {
                done(response.error());
            } else if (response->error_code != 0) {
                done(Error::make(Code::unavailable, "{}",
                                 static_cast<KafkaError>(response->error_code)));
            } else {
                done(BrokerId{response->node_id});
            }
        },
        one_key_each);
}

}  // namespace millrace::client
