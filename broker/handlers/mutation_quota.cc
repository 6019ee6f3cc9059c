// CreateTopics, CreatePartitions and DeleteTopics under controller_mutation_rate (KIP-599): what
// they change is counted in partitions before the controller is asked. Requests of a version that
// knows the error are refused while a client has nothing left; older ones only wait behind their
// answer.

#include <algorithm>

#include "handlers/failed_items.h"
#include "handlers/forwarded.h"
#include "handlers/handlers.h"

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

template <typename Request, typename Response, std::int16_t first_with_error>
void forward_bounded(const Doors& doors, Call<Request, Response> call) {
    const RequestMeta& meta = call.meta();
    quotas::Meter* const meter = meta.quota ? meta.quota->meter(quotas::Kind::mutation) : nullptr;
    if (meter != nullptr) {
        const Instant now = meta.home->clock().now();
        if (call.version() >= first_with_error && !meter->is_open(now)) {
            Response response;
            fail_items(call.request(), response, KafkaError::throttling_quota_exceeded);
            call.throttle(meter->closed_for(now));
            call.answer(response);
            return;
        }
        meter->spend_lump(static_cast<double>(mutations_of(call.request(), doors)), now);
        call.throttle(meter->closed_for(now));
    }
    forward<Request, Response, fail_items>(doors, std::move(call));
}

}  // namespace

void create_topics(const Doors& doors, Call<CreateTopicsRequest, CreateTopicsResponse> call) {
    forward_bounded<CreateTopicsRequest, CreateTopicsResponse, 6>(doors, std::move(call));
}

void delete_topics(const Doors& doors, Call<DeleteTopicsRequest, DeleteTopicsResponse> call) {
    forward_bounded<DeleteTopicsRequest, DeleteTopicsResponse, 5>(doors, std::move(call));
}

void create_partitions(const Doors& doors,
                       Call<CreatePartitionsRequest, CreatePartitionsResponse> call) {
    forward_bounded<CreatePartitionsRequest, CreatePartitionsResponse, 3>(doors, std::move(call));
}

}  // namespace millrace::handlers
