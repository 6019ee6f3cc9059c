// handlers/failed_items.h
//
// Changes of topics of which nothing was done: each item is answered with the reason.
#pragma once

#include <cstdint>
#include <type_traits>

#include "handlers/error_map.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"

namespace millrace::handlers {

inline void fail_items(const protocol::CreateTopicsRequest& request,
                       protocol::CreateTopicsResponse& response, KafkaError error) {
    for (const auto& topic : request.topics) {
        auto& to = response.topics.emplace_back();
        to.name = topic.name;
        to.error_code = code_of(error);
        to.error_message = message_of(error);
    }
}

inline void fail_items(const protocol::DeleteTopicsRequest& request,
                       protocol::DeleteTopicsResponse& response, KafkaError error) {
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

inline void fail_items(const protocol::CreatePartitionsRequest& request,
                       protocol::CreatePartitionsResponse& response, KafkaError error) {
    for (const auto& topic : request.topics) {
        auto& to = response.results.emplace_back();
        to.name = topic.name;
        to.error_code = code_of(error);
    }
}

inline void fail_items(const protocol::ElectLeadersRequest& request,
                       protocol::ElectLeadersResponse& response, KafkaError error) {
    response.error_code = code_of(error);
    if (!request.topic_partitions) {
        return;
    }
    for (const auto& topic : *request.topic_partitions) {
        auto& to = response.replica_election_results.emplace_back();
        to.topic = topic.topic;
        for (const std::int32_t partition : topic.partitions) {
            to.partition_result.push_back({.partition_id = partition,
                                           .error_code = code_of(error),
                                           .error_message = message_of(error)});
        }
    }
}

inline void fail_items(const protocol::AlterPartitionReassignmentsRequest& request,
                       protocol::AlterPartitionReassignmentsResponse& response, KafkaError error) {
    response.error_code = code_of(error);
    response.error_message = message_of(error);
    for (const auto& topic : request.topics) {
        auto& to = response.responses.emplace_back();
        to.name = topic.name;
        for (const auto& partition : topic.partitions) {
            to.partitions.push_back({.partition_index = partition.partition_index,
                                     .error_code = code_of(error),
                                     .error_message = message_of(error)});
        }
    }
}

template <typename Request>
constexpr bool has_time = std::is_same_v<Request, protocol::CreateTopicsRequest> ||
                          std::is_same_v<Request, protocol::DeleteTopicsRequest> ||
                          std::is_same_v<Request, protocol::CreatePartitionsRequest> ||
                          std::is_same_v<Request, protocol::ElectLeadersRequest> ||
                          std::is_same_v<Request, protocol::AlterPartitionReassignmentsRequest>;

/// As with Kafka's controller, what gives it no time is not done, whatever else is right or wrong
/// with it. False: it is to be done.
template <typename Request, typename Response>
bool fail_without_time(const Request& request, Response& response, std::int16_t version) {
    static_assert(has_time<Request>);
    if (request.timeout_ms > 0) {
        return false;
    }
    fail_items(request, response, KafkaError::request_timed_out);
    if constexpr (std::is_same_v<Request, protocol::ElectLeadersRequest>) {
        if (version == 0) {  // which has no error for the whole
            response.error_code = 0;
        }
    }
    return true;
}

}  // namespace millrace::handlers
