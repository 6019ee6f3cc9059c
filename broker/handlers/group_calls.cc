#include "handlers/group_calls.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "handlers/repeats.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/offset_fetch_request.h"

namespace millrace::handlers {
namespace {

constexpr auto as_it_is = [](std::string_view group) { return group; };

using FetchGroup = protocol::OffsetFetchRequest::OffsetFetchRequestGroup;
using FetchTopic = protocol::OffsetFetchRequest::OffsetFetchRequestTopics;

/// A topic of a group, wherever in the request it is named.
struct TopicOfGroup {
    std::string_view group;
    FetchTopic* topic;
};

bool asks_for_nothing(const FetchGroup& group) {
    return group.topics &&
           std::all_of(group.topics->begin(), group.topics->end(),
                       [](const FetchTopic& topic) { return topic.partition_indexes.empty(); });
}

/// A group may be named for each of its topics. What is asked of it again is left out, and so is a
/// further mention that asks for nothing else.
void drop_repeated_groups(std::vector<FetchGroup>& groups) {
    std::vector<TopicOfGroup> topics;
    for (FetchGroup& group : groups) {
        for (std::size_t t = 0; group.topics && t < group.topics->size(); ++t) {
            topics.push_back({group.group_id, &group.topics->at(t)});
        }
    }
    keep_distinct_partitions(
        topics,
        [](const TopicOfGroup& one) {
            return std::tuple(one.group, one.topic->topic_id, one.topic->name);
        },
        [](const TopicOfGroup& one) -> auto& { return one.topic->partition_indexes; });
    std::set<std::string_view> named;
    std::set<std::string_view> with_all;
    std::erase_if(groups, [&](const FetchGroup& group) {
        const bool is_first = named.insert(group.group_id).second;
        const bool is_news =
            group.topics ? !asks_for_nothing(group) : with_all.insert(group.group_id).second;
        return !is_first && !is_news;
    });
}

}  // namespace

void drop_repeats(protocol::OffsetFetchRequest& request) {
    if (request.topics) {
        keep_distinct_partitions(
            *request.topics, [](const auto& topic) { return topic.name; },
            [](auto& topic) -> auto& { return topic.partition_indexes; });
    }
    drop_repeated_groups(request.groups);
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
