// Metadata: brokers, topics and who leads what, from the image at hand. Topics that are missing are
// created on the way if the broker may and the client lets it; the answer then says "not yet".

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "handlers/authorized_operations.h"
#include "handlers/auto_create.h"
#include "handlers/handlers.h"
#include "handlers/offline_replicas.h"
#include "handlers/topic_names.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::handlers {
namespace {

using protocol::MetadataRequest;
using protocol::MetadataResponse;
using MetadataCall = Call<MetadataRequest, MetadataResponse>;

constexpr std::int16_t first_version_with_listener_error = 6;
constexpr std::int16_t first_version_with_null_for_all = 1;
constexpr std::int16_t first_metadata_asked_by_id = 12;

class Answerer {
public:
    Answerer(const Doors& doors, const MetadataCall& call)
        : doors_(doors), call_(call), image_(doors.image->current()) {}

    MetadataResponse answer() {
        MetadataResponse response;
        add_brokers(response);
        response.cluster_id = doors_.cluster_id;
        const MetadataRequest& request = call_.request();
        const bool all = !request.topics || (call_.version() < first_version_with_null_for_all &&
                                             request.topics->empty());
        if (all) {
            for (const auto& entry : image_->topics.by_name()) {
                if (const metadata::Topic* topic = image_->topics.find(entry.value)) {
                    add_topic(response, *topic);
                }
            }
        } else {
            std::set<std::pair<Uuid, std::string_view>> seen;  // asked twice, answered once
            const bool by_id = is_by_id();
            for (const auto& asked : *request.topics) {
                if (by_id && asked.topic_id.is_zero()) {
                    continue;  // who asks by id has said with that what is meant
                }
                if (seen.emplace(asked.topic_id, asked.name.value_or("")).second) {
                    add_asked(response, asked);
                }
            }
        }
        if (request.include_cluster_authorized_operations) {
            response.cluster_authorized_operations = all_cluster_operations;
        }
        return response;
    }

    const std::set<std::string>& missing() const { return missing_; }

    /// Versions 10 and 11 have a field for ids and no nameless topics, but ask by name alone.
    bool is_malformed() const {
        const MetadataRequest& request = call_.request();
        return request.topics && call_.version() < first_metadata_asked_by_id &&
               std::any_of(
                   request.topics->begin(), request.topics->end(),
                   [](const auto& topic) { return !topic.name || !topic.topic_id.is_zero(); });
    }

private:
    bool is_by_id() const {
        const auto& topics = *call_.request().topics;
        return std::any_of(topics.begin(), topics.end(),
                           [](const auto& topic) { return !topic.topic_id.is_zero(); });
    }

    void add_brokers(MetadataResponse& response) {
        for (const auto& entry : image_->cluster.brokers) {
            const metadata::Broker& broker = *entry.value;
            const metadata::Endpoint* endpoint = broker.endpoint(call_.meta().listener);
            if (broker.fenced || endpoint == nullptr) {
                continue;
            }
            auto& to = response.brokers.emplace_back();
            to.node_id = broker.id.value;
            to.host = endpoint->host;
            to.port = endpoint->port;
            if (broker.rack) {
                to.rack = *broker.rack;
            }
            if (response.controller_id == -1) {
                // Any live broker forwards to the controller, which clients can't reach themselves.
                response.controller_id = broker.id.value;
            }
        }
    }

    void add_asked(MetadataResponse& response, const MetadataRequest::MetadataRequestTopic& asked) {
        if (!asked.topic_id.is_zero()) {
            if (const metadata::Topic* topic = image_->topics.find(asked.topic_id)) {
                add_topic(response, *topic);
                return;
            }
            auto& to = response.topics.emplace_back();
            to.error_code = code_of(KafkaError::unknown_topic_id);
            to.topic_id = asked.topic_id;
            to.name.reset();
            return;
        }
        const std::string_view name = asked.name.value_or(std::string_view{});
        if (const metadata::Topic* topic = image_->topics.find(name)) {
            add_topic(response, *topic);
            return;
        }
        auto& to = response.topics.emplace_back();
        to.name = name;
        if (call_.request().include_topic_authorized_operations) {
            to.topic_authorized_operations = all_topic_operations;
        }
        if (!is_valid_topic_name(name)) {
            to.error_code = code_of(KafkaError::invalid_topic_exception);
            return;
        }
        to.is_internal = is_internal_topic(name);
        to.error_code = code_of(KafkaError::unknown_topic_or_partition);
        if (call_.request().allow_auto_topic_creation && creates_topics(doors_)) {
            missing_.insert(std::string(name));
        }
    }

    void add_topic(MetadataResponse& response, const metadata::Topic& topic) {
        auto& to = response.topics.emplace_back();
        to.name = topic.name;
        to.topic_id = topic.id;
        to.is_internal = is_internal_topic(topic.name);
        if (call_.request().include_topic_authorized_operations) {
            to.topic_authorized_operations = all_topic_operations;
        }
        for (const auto& entry : topic.partitions) {
            add_partition(to, entry.key, *entry.value);
        }
    }

    void add_partition(MetadataResponse::MetadataResponseTopic& topic, PartitionIndex index,
                       const metadata::Partition& partition) {
        auto& to = topic.partitions.emplace_back();
        to.partition_index = index.value;
        to.leader_epoch = partition.leader_epoch.value;
        to.leader_id = partition.leader.value;
        for (const BrokerId replica : partition.replicas) {
            if (is_offline(image_->cluster, partition, replica, call_.meta().listener)) {
                to.offline_replicas.push_back(replica.value);
            }
        }
        const bool all_replicas = add_known(to.replica_nodes, partition.replicas);
        const bool all_in_sync = add_known(to.isr_nodes, partition.isr);
        if (!all_replicas || !all_in_sync) {
            to.error_code = code_of(KafkaError::replica_not_available);
        }
        if (partition.leader == no_broker || !image_->cluster.is_unfenced(partition.leader)) {
            to.error_code = code_of(KafkaError::leader_not_available);
            to.leader_id = -1;
        } else if (!is_reachable(partition.leader)) {
            to.error_code = code_of(call_.version() >= first_version_with_listener_error
                                        ? KafkaError::listener_not_found
                                        : KafkaError::leader_not_available);
            to.leader_id = -1;
        }
    }

    /// Version 0 knows no replicas that can't be reached: it leaves them out, and says so.
    bool add_known(std::vector<std::int32_t>& to, const metadata::BrokerList& replicas) const {
        for (const BrokerId replica : replicas) {
            if (call_.version() > 0 || is_reachable(replica)) {
                to.push_back(replica.value);
            }
        }
        return to.size() == replicas.size();
    }

    bool is_reachable(BrokerId id) const {
        const metadata::Broker* broker = image_->cluster.broker(id);
        return broker != nullptr && !broker->fenced &&
               broker->endpoint(call_.meta().listener) != nullptr;
    }

    const Doors& doors_;
    const MetadataCall& call_;
    metadata::ImagePtr image_;
    std::set<std::string> missing_;
};

}  // namespace

void metadata_of(const Doors& doors, MetadataCall call) {
    Answerer answerer(doors, call);
    if (answerer.is_malformed()) {
        MetadataResponse refusal;
        for (const auto& asked : *call.request().topics) {
            auto& to = refusal.topics.emplace_back();
            to.name = asked.name.value_or(std::string_view{});
            to.topic_id = asked.topic_id;
            to.error_code = code_of(KafkaError::invalid_request);
        }
        call.answer(refusal);
        return;
    }
    const MetadataResponse response = answerer.answer();
    if (!answerer.missing().empty()) {
        auto_create(doors, answerer.missing(), call.meta().principal, call.home());
    }
    call.answer(response);
}

}  // namespace millrace::handlers
