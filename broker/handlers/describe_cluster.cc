// DescribeCluster: the cluster as this listener's clients may reach it.

#include "handlers/authorized_operations.h"
#include "handlers/handlers.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"

namespace millrace::handlers {
namespace {

constexpr std::int8_t brokers_endpoint = 1;
constexpr std::int8_t controllers_endpoint = 2;

using ClusterCall = Call<protocol::DescribeClusterRequest, protocol::DescribeClusterResponse>;

/// Refuses who asks for endpoints of a kind that this listener does not know.
bool is_refused(ClusterCall& call, std::int8_t served, std::string_view remedy) {
    const std::int8_t asked = call.request().endpoint_type;
    if (asked == served) {
        return false;
    }
    protocol::DescribeClusterResponse response;
    response.error_code = code_of(asked == brokers_endpoint || asked == controllers_endpoint
                                      ? KafkaError::mismatched_endpoint_type
                                      : KafkaError::unsupported_endpoint_type);
    response.error_message = remedy;
    response.endpoint_type = served;
    call.answer(response);
    return true;
}

}  // namespace

void describe_controllers(const Doors& doors, ClusterCall call) {
    if (is_refused(call, controllers_endpoint,
                   "this listener knows controllers; ask a broker for brokers")) {
        return;
    }
    protocol::DescribeClusterResponse response;
    response.cluster_id = doors.cluster_id;
    response.endpoint_type = controllers_endpoint;
    const metadata::ImagePtr image = doors.image->current();
    // This listener is served by the control loop, where the quorum lives.
    const std::vector<VoterAddress> voters = doors.quorum->voters(call.meta().listener);
    for (const auto& entry : image->cluster.controllers) {
        const metadata::Endpoint* endpoint = entry.value->endpoint(call.meta().listener);
        if (endpoint != nullptr) {
            auto& to = response.brokers.emplace_back();
            to.broker_id = entry.key.value;
            to.host = endpoint->host;
            to.port = endpoint->port;
        }
    }
    // Who has not registered, or can't in this metadata.version, is where the quorum knows it.
    for (const VoterAddress& voter : voters) {
        if (!image->cluster.controllers.contains(voter.id)) {
            auto& to = response.brokers.emplace_back();
            to.broker_id = voter.id.value;
            to.host = voter.host;
            to.port = voter.port;
        }
    }
    response.controller_id = doors.quorum->leader().value;
    if (call.request().include_cluster_authorized_operations) {
        response.cluster_authorized_operations = all_cluster_operations;
    }
    call.answer(response);
}

void describe_cluster(const Doors& doors, ClusterCall call) {
    if (is_refused(call, brokers_endpoint,
                   "this listener knows brokers; ask a controller for controllers")) {
        return;
    }
    protocol::DescribeClusterResponse response;
    response.cluster_id = doors.cluster_id;
    const metadata::ImagePtr image = doors.image->current();
    for (const auto& entry : image->cluster.brokers) {
        const metadata::Broker& broker = *entry.value;
        const metadata::Endpoint* endpoint = broker.endpoint(call.meta().listener);
        if (endpoint == nullptr || (broker.fenced && !call.request().include_fenced_brokers)) {
            continue;
        }
        auto& to = response.brokers.emplace_back();
        to.broker_id = broker.id.value;
        to.host = endpoint->host;
        to.port = endpoint->port;
        to.is_fenced = broker.fenced;
        if (broker.rack) {
            to.rack = *broker.rack;
        }
        if (response.controller_id == -1 && !broker.fenced) {
            response.controller_id = broker.id.value;
        }
    }
    if (call.request().include_cluster_authorized_operations) {
        response.cluster_authorized_operations = all_cluster_operations;
    }
    call.answer(response);
}

}  // namespace millrace::handlers
