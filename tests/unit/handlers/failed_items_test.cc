// Changes of topics that are not made: every item hears why.
#include "handlers/failed_items.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/record_frame.h"

namespace millrace::handlers {
namespace {

const auto timed_out = code_of(KafkaError::request_timed_out);

TEST(FailedItems, a_change_with_time_is_left_to_be_made) {
    protocol::CreateTopicsRequest request{.timeout_ms = 1};
    request.topics.push_back({.name = "t"});
    protocol::CreateTopicsResponse response;
    EXPECT_FALSE(fail_without_time(request, response, 7));
    EXPECT_TRUE(response.topics.empty());
}

TEST(FailedItems, a_change_without_time_is_not_made_and_each_topic_hears_it) {
    protocol::CreateTopicsRequest request{.timeout_ms = 0};
    request.topics.push_back({.name = "t"});
    request.topics.push_back({.name = "no name"});
    protocol::CreateTopicsResponse response;
    ASSERT_TRUE(fail_without_time(request, response, 7));
    ASSERT_EQ(response.topics.size(), 2u);
    EXPECT_EQ(response.topics[1].name, "no name");
    EXPECT_EQ(response.topics[1].error_code, timed_out);

    protocol::DeleteTopicsRequest removal{.timeout_ms = -1};
    removal.topic_names = {"t"};
    protocol::DeleteTopicsResponse removed;
    ASSERT_TRUE(fail_without_time(removal, removed, 5));
    EXPECT_EQ(removed.responses.at(0).error_code, timed_out);
}

TEST(FailedItems, partitions_and_the_whole_hear_it_as_far_as_the_version_can_say_it) {
    protocol::AlterPartitionReassignmentsRequest move{.timeout_ms = 0};
    move.topics.push_back({.name = "t", .partitions = {{.partition_index = 3}}});
    protocol::AlterPartitionReassignmentsResponse moved;
    ASSERT_TRUE(fail_without_time(move, moved, 0));
    EXPECT_EQ(moved.error_code, timed_out);
    EXPECT_EQ(moved.responses.at(0).partitions.at(0).partition_index, 3);
    EXPECT_EQ(moved.responses.at(0).partitions.at(0).error_code, timed_out);

    protocol::ElectLeadersRequest election;
    election.timeout_ms = 0;
    election.topic_partitions.emplace().push_back({.topic = "t", .partitions = {0}});
    for (const std::int16_t version : std::initializer_list<std::int16_t>{0, 1}) {
        protocol::ElectLeadersResponse elected;
        ASSERT_TRUE(fail_without_time(election, elected, version));
        EXPECT_EQ(elected.error_code, version == 0 ? 0 : timed_out);
        EXPECT_EQ(elected.replica_election_results.at(0).partition_result.at(0).error_code,
                  timed_out);
        EXPECT_TRUE(protocol::encode_whole(elected, version)) << version;
    }
}

}  // namespace
}  // namespace millrace::handlers
