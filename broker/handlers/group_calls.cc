#include "handlers/group_calls.h"

#include "handlers/repeats.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/offset_fetch_request.h"

namespace millrace::handlers {
namespace {

constexpr auto as_it_is = [](std::string_view group) { return group; };

template <typename Topics>
void drop_repeated_partitions(Topics& topics) {
    keep_distinct_partitions(
        topics,
        [](const auto& topic) {
            if constexpr (requires { topic.topic_id; }) {
                return std::pair(topic.topic_id, topic.name);
            } else {
                return topic.name;
            }
        },
        [](auto& topic) -> auto& { return topic.partition_indexes; });
}

}  // namespace

void drop_repeats(protocol::OffsetFetchRequest& request) {
    if (request.topics) {
        drop_repeated_partitions(*request.topics);
    }
    keep_distinct(request.groups, [](const auto& group) { return group.group_id; });
    for (auto& group : request.groups) {
        if (group.topics) {
            drop_repeated_partitions(*group.topics);
        }
    }
}

void drop_repeats(protocol::DescribeGroupsRequest& request) {
    keep_distinct(request.groups, as_it_is);
}

void drop_repeats(protocol::ConsumerGroupDescribeRequest& request) {
    keep_distinct(request.group_ids, as_it_is);
}

void drop_repeats(protocol::DeleteGroupsRequest& request) {
    keep_distinct(request.groups_names, as_it_is);
}

}  // namespace millrace::handlers
