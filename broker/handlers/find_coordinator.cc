// FindCoordinator: the leader of the partition that a key hashes to.

#include <string>
#include <vector>

#include "coordinator/key_hash.h"
#include "handlers/auto_create.h"
#include "handlers/handlers.h"
#include "handlers/topic_names.h"
#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"

namespace millrace::handlers {
namespace {

using protocol::FindCoordinatorRequest;
using protocol::FindCoordinatorResponse;
using FindCoordinatorCall = Call<FindCoordinatorRequest, FindCoordinatorResponse>;

constexpr std::int8_t group_key = 0;
constexpr std::int8_t transaction_key = 1;
constexpr std::int8_t share_key = 2;
constexpr std::int16_t first_version_with_batches = 4;

FindCoordinatorResponse::Coordinator not_yet(std::string_view key) {
    FindCoordinatorResponse::Coordinator answer;
    answer.key = key;
    answer.node_id = -1;
    answer.port = -1;
    answer.error_code = code_of(KafkaError::coordinator_not_available);
    answer.error_message = message_of(KafkaError::coordinator_not_available);
    return answer;
}

FindCoordinatorResponse::Coordinator find(const FindCoordinatorCall& call,
                                          const metadata::Image& image, std::string_view key) {
    FindCoordinatorResponse::Coordinator answer = not_yet(key);
    if (call.request().key_type < group_key || call.request().key_type > share_key) {
        answer.error_code = code_of(KafkaError::invalid_request);
        answer.error_message = "group, transaction and share are 0, 1 and 2";
        return answer;
    }
    if (call.request().key_type == transaction_key) {
        // Not "not yet": a producer would ask again until its own time is over, and not know why.
        answer.error_code = code_of(KafkaError::unsupported_version);
        answer.error_message = "transactions are not served here";
        return answer;
    }
    if (call.request().key_type != group_key) {
        return answer;
    }
    const metadata::Topic* topic = image.topics.find(offsets_topic);
    if (topic == nullptr) {
        return answer;
    }
    const PartitionIndex index =
        coordinator::partition_for_key(key, static_cast<std::int32_t>(topic->partitions.size()));
    const metadata::Partition* partition = topic->partition(index);
    const metadata::Broker* leader =
        partition == nullptr ? nullptr : image.cluster.broker(partition->leader);
    const metadata::Endpoint* endpoint =
        leader == nullptr ? nullptr : leader->endpoint(call.meta().listener);
    if (endpoint == nullptr || leader->fenced) {
        return answer;
    }
    answer.error_code = 0;
    // What Kafka says when all is well, which differs by layout.
    answer.error_message =
        call.version() >= first_version_with_batches ? std::string_view{} : "NONE";
    answer.node_id = leader->id.value;
    answer.host = endpoint->host;
    answer.port = endpoint->port;
    return answer;
}

}  // namespace

void find_coordinator(const Doors& doors, FindCoordinatorCall call) {
    const metadata::ImagePtr image = doors.image->current();
    const FindCoordinatorRequest& request = call.request();
    if (request.key_type == group_key && image->topics.find(offsets_topic) == nullptr) {
        auto_create(doors, {std::string(offsets_topic)}, call.meta().principal, call.home());
    }
    FindCoordinatorResponse response;
    if (call.version() >= first_version_with_batches) {
        for (const std::string_view key : request.coordinator_keys) {
            response.coordinators.push_back(find(call, *image, key));
        }
    } else {
        const auto found = find(call, *image, request.key);
        response.error_code = found.error_code;
        response.error_message = found.error_message;
        response.node_id = found.node_id;
        response.host = found.host;
        response.port = found.port;
    }
    call.answer(response);
}

}  // namespace millrace::handlers
