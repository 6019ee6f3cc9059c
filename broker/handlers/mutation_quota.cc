// CreateTopics, CreatePartitions and DeleteTopics under controller_mutation_rate (KIP-599): what
// they change is counted in partitions before the controller is asked. Requests of a version that
// knows the error are refused while a client has nothing left; older ones only wait behind their
// answer.

#include <algorithm>

#include "handlers/forwarded.h"
#include "handlers/handlers.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"

namespace millrace::handlers {
namespace {

using protocol::CreatePartitionsRequest;
using protocol::CreatePartitionsResponse;
using protocol::CreateTopicsRequest;
using protocol::CreateTopicsResponse;
using protocol::DeleteTopicsRequest;
using protocol::DeleteTopicsResponse;

std::size_t partitions_of(const metadata::Topic* topic) {
    return topic == nullptr ? 0 : topic->partitions.size();
}

std::size_t mutations_of(const CreateTopicsRequest& request, const Doors& doors) {
    const auto usual =
        doors.topics->current()->config().broker().get(config::broker_option::num_partitions);
    std::size_t count = 0;
    for (const auto& topic : request.topics) {
        count +=
            topic.assignments.empty()
                ? static_cast<std::size_t>(topic.num_partitions > 0 ? topic.num_partitions : usual)
                : topic.assignments.size();
    }
    return count;
}

std::size_t mutations_of(const CreatePartitionsRequest& request, const Doors& doors) {
    const metadata::ImagePtr image = doors.image->current();
    std::size_t count = 0;
    for (const auto& topic : request.topics) {
        const auto wanted = static_cast<std::size_t>(std::max(0, topic.count));
        count += wanted - std::min(wanted, partitions_of(image->topics.find(topic.name)));
    }
    return count;
}

std::size_t mutations_of(const DeleteTopicsRequest& request, const Doors& doors) {
    const metadata::ImagePtr image = doors.image->current();
    std::size_t count = 0;
    for (const auto& topic : request.topics) {
        count += partitions_of(topic.name ? image->topics.find(*topic.name)
                                          : image->topics.find(topic.topic_id));
    }
    for (const auto& name : request.topic_names) {
        count += partitions_of(image->topics.find(name));
    }
    return count;
}

void fail_create_topics(const CreateTopicsRequest& request, CreateTopicsResponse& response,
                        KafkaError error) {
    for (const auto& topic : request.topics) {
        auto& to = response.topics.emplace_back();
        to.name = topic.name;
        to.error_code = code_of(error);
        to.error_message = message_of(error);
    }
}

void fail_delete_topics(const DeleteTopicsRequest& request, DeleteTopicsResponse& response,
                        KafkaError error) {
    for (const auto& topic : request.topics) {
        auto& to = response.responses.emplace_back();
        to.name = topic.name;
        to.topic_id = topic.topic_id;
        to.error_code = code_of(error);
    }
    for (const auto& name : request.topic_names) {
        auto& to = response.responses.emplace_back();
        to.name = name;
        to.error_code = code_of(error);
    }
}

void fail_create_partitions(const CreatePartitionsRequest& request,
                            CreatePartitionsResponse& response, KafkaError error) {
    for (const auto& topic : request.topics) {
        auto& to = response.results.emplace_back();
        to.name = topic.name;
        to.error_code = code_of(error);
    }
}

template <typename Request, typename Response, std::int16_t first_with_error,
          FailAll<Request, Response> fail_all>
void forward_bounded(const Doors& doors, Call<Request, Response> call) {
    const RequestMeta& meta = call.meta();
    quotas::Meter* const meter = meta.quota ? meta.quota->meter(quotas::Kind::mutation) : nullptr;
    if (meter != nullptr) {
        const Instant now = meta.home->clock().now();
        if (call.version() >= first_with_error && !meter->is_open(now)) {
            Response response;
            fail_all(call.request(), response, KafkaError::throttling_quota_exceeded);
            call.throttle(meter->closed_for(now));
            call.answer(response);
            return;
        }
        meter->spend_lump(static_cast<double>(mutations_of(call.request(), doors)), now);
        call.throttle(meter->closed_for(now));
    }
    forward<Request, Response, fail_all>(doors, std::move(call));
}

}  // namespace

void create_topics(const Doors& doors, Call<CreateTopicsRequest, CreateTopicsResponse> call) {
    forward_bounded<CreateTopicsRequest, CreateTopicsResponse, 6, fail_create_topics>(
        doors, std::move(call));
}

void delete_topics(const Doors& doors, Call<DeleteTopicsRequest, DeleteTopicsResponse> call) {
    forward_bounded<DeleteTopicsRequest, DeleteTopicsResponse, 5, fail_delete_topics>(
        doors, std::move(call));
}

void create_partitions(const Doors& doors,
                       Call<CreatePartitionsRequest, CreatePartitionsResponse> call) {
    forward_bounded<CreatePartitionsRequest, CreatePartitionsResponse, 3, fail_create_partitions>(
        doors, std::move(call));
}

}  // namespace millrace::handlers
