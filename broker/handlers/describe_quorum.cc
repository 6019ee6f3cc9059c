// DescribeQuorum: the leader of the metadata quorum knows; of anything else there is no quorum.

#include "handlers/forwarded.h"
#include "handlers/handlers.h"
#include "protocol/messages/describe_quorum_request.h"
#include "protocol/messages/describe_quorum_response.h"

namespace millrace::handlers {
namespace {

using protocol::DescribeQuorumRequest;
using protocol::DescribeQuorumResponse;

constexpr std::string_view metadata_topic = "__cluster_metadata";

bool asks_for_metadata(const DescribeQuorumRequest& request) {
    return request.topics.size() == 1 && request.topics[0].topic_name == metadata_topic &&
           request.topics[0].partitions.size() == 1 &&
           request.topics[0].partitions[0].partition_index == 0;
}

DescribeQuorumResponse unknown(const DescribeQuorumRequest& request) {
    DescribeQuorumResponse response;
    for (const auto& topic : request.topics) {
        auto& to = response.topics.emplace_back();
        to.topic_name = topic.topic_name;
        for (const auto& partition : topic.partitions) {
            auto& one = to.partitions.emplace_back();
            one.partition_index = partition.partition_index;
            one.error_code = code_of(KafkaError::unknown_topic_or_partition);
            one.error_message = message_of(KafkaError::unknown_topic_or_partition);
        }
    }
    return response;
}

}  // namespace

void describe_quorum(const Doors& doors, Call<DescribeQuorumRequest, DescribeQuorumResponse> call) {
    if (!asks_for_metadata(call.request())) {
        call.answer(unknown(call.request()));
        return;
    }
    forward<DescribeQuorumRequest, DescribeQuorumResponse,
            fail_at_top<DescribeQuorumRequest, DescribeQuorumResponse>>(doors, std::move(call));
}

}  // namespace millrace::handlers
