// DescribeCluster: the cluster as this listener's clients may reach it.

#include "handlers/authorized_operations.h"
#include "handlers/handlers.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"

namespace millrace::handlers {
namespace {

constexpr std::int8_t brokers_endpoint = 1;
constexpr std::int8_t controllers_endpoint = 2;

}  // namespace

void describe_cluster(
    const Doors& doors,
    Call<protocol::DescribeClusterRequest, protocol::DescribeClusterResponse> call) {
    protocol::DescribeClusterResponse response;
    response.cluster_id = doors.cluster_id;
    if (call.request().endpoint_type != brokers_endpoint) {
        response.cluster_id = {};
        response.error_code = code_of(call.request().endpoint_type == controllers_endpoint
                                          ? KafkaError::mismatched_endpoint_type
                                          : KafkaError::unsupported_endpoint_type);
        response.error_message = "this listener knows brokers; ask a controller for controllers";
        call.answer(response);
        return;
    }
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
