// Groups and offsets of a cluster: each broker is asked for what it coordinates or leads.
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/delete_records_request.h"
#include "protocol/messages/delete_records_response.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/find_coordinator_response.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/metadata_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/offset_fetch_response.h"
#include "tests/unit/admin/kafka_calls.h"

namespace millrace::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Key;
using testing::UnorderedElementsAre;

constexpr BrokerId here{3};
constexpr BrokerId there{4};

class GroupCallsTest : public KafkaCallsTest {
protected:
    /// "billing" is coordinated here, "audit" by the other broker.
    void coordinators() {
        protocol::FindCoordinatorResponse found;
        found.coordinators.resize(2);
        found.coordinators[0].key = "billing";
        found.coordinators[0].node_id = here.value;
        found.coordinators[1].key = "audit";
        found.coordinators[1].node_id = there.value;
        answer(found);
    }
    /// Partition 0 of "orders" is led here, 1 by the other broker, 2 by nobody.
    void leaders() {
        protocol::MetadataResponse found;
        auto& topic = found.topics.emplace_back();
        topic.name = "orders";
        for (const std::int32_t leader : {here.value, there.value, -1}) {
            auto& partition = topic.partitions.emplace_back();
            partition.partition_index = static_cast<std::int32_t>(topic.partitions.size()) - 1;
            partition.leader_id = leader;
        }
        answer(found);
    }
    /// Each leader holds records 10 to 42 of its partition, the first of them at time 1,000.
    void offsets() {
        leaders();
        for (const BrokerId broker : {here, there}) {
            answers_[{protocol::ListOffsetsRequest::api_key, broker}] = [this](
                                                                            std::int16_t version) {
                const auto request = decoded<protocol::ListOffsetsRequest>(doors_.calls_.back());
                protocol::ListOffsetsResponse response;
                for (const auto& topic : request.topics) {
                    auto& to = response.topics.emplace_back();
                    to.name = topic.name;
                    for (const auto& partition : topic.partitions) {
                        auto& one = to.partitions.emplace_back();
                        one.partition_index = partition.partition_index;
                        one.offset = partition.timestamp == -1     ? 42
                                     : partition.timestamp == -2   ? 10
                                     : partition.timestamp <= 1000 ? 10
                                                                   : -1;
                    }
                }
                return encoded(response, version);
            };
        }
    }
    void commits(std::string_view group, std::int64_t offset, BrokerId coordinator) {
        protocol::OffsetFetchResponse commits;
        auto& one = commits.groups.emplace_back();
        one.group_id = group;
        auto& topic = one.topics.emplace_back();
        topic.name = "orders";
        for (const std::int32_t index : {0, 1, 2}) {
            auto& partition = topic.partitions.emplace_back();
            partition.partition_index = index;
            partition.committed_offset = offset;
        }
        answer(commits, coordinator);
    }
    static v1::NewOffset& add(v1::AlterGroupOffsetsRequest& request, std::int32_t partition) {
        auto& one = *request.add_offsets();
        one.set_topic("orders");
        one.set_partition(partition);
        return one;
    }
    /// The coordinator takes the commits of partitions, each with this error.
    void takes_commits(std::int16_t error) {
        protocol::OffsetCommitResponse response;
        auto& topic = response.topics.emplace_back();
        topic.name = "orders";
        topic.partitions.emplace_back().error_code = error;
        answer(response);
    }
};

protocol::ListGroupsResponse groups_named(std::string_view name) {
    protocol::ListGroupsResponse groups;
    groups.groups.emplace_back().group_id = name;
    return groups;
}

TEST_F(GroupCallsTest, lists_the_groups_of_every_broker) {
    answer(groups_named("billing"), here);
    answer(groups_named("audit"), there);
    const auto response = ask(&calls::ListGroups, v1::ListGroupsRequest{});
    ASSERT_EQ(response->groups_size(), 2);
    EXPECT_EQ(response->groups(0).id(), "audit");
    EXPECT_EQ(response->groups(0).coordinator_id(), there.value);
    EXPECT_EQ(response->groups(1).coordinator_id(), here.value);
    EXPECT_THAT(response->silent_brokers(), IsEmpty());
}

TEST_F(GroupCallsTest, names_the_brokers_that_did_not_say_their_groups) {
    answer(groups_named("billing"), here);
    const auto response = ask(&calls::ListGroups, v1::ListGroupsRequest{});
    EXPECT_EQ(response->groups_size(), 1);
    EXPECT_THAT(response->silent_brokers(), ElementsAre(there.value));
}

TEST_F(GroupCallsTest, has_no_list_when_nobody_said_anything) {
    protocol::ListGroupsResponse loading;
    loading.error_code = code_of(KafkaError::coordinator_load_in_progress);
    answer(loading);
    const auto response = ask(&calls::ListGroups, v1::ListGroupsRequest{});
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code(), Code::unavailable);
}

TEST_F(GroupCallsTest, asks_about_a_group_in_the_old_protocol_when_the_new_does_not_know_it) {
    coordinators();
    protocol::ConsumerGroupDescribeResponse modern;
    modern.groups.resize(1);
    modern.groups[0].group_id = "billing";
    modern.groups[0].group_state = "Stable";
    answer(modern, here);
    modern.groups[0].group_id = "audit";
    modern.groups[0].error_code = code_of(KafkaError::group_id_not_found);
    answer(modern, there);
    protocol::DescribeGroupsResponse classic;
    classic.groups.resize(1);
    classic.groups[0].group_id = "audit";
    classic.groups[0].group_state = "Empty";
    answer(classic, there);
    v1::DescribeGroupsRequest request;
    request.add_groups("billing");
    request.add_groups("audit");
    const auto response = ask(&calls::DescribeGroups, request);
    EXPECT_EQ(response->groups(0).type(), "consumer");
    EXPECT_EQ(response->groups(0).coordinator_id(), here.value);
    EXPECT_EQ(response->groups(1).type(), "classic");
    EXPECT_EQ(response->groups(1).state(), "Empty");
    EXPECT_EQ(response->groups(1).coordinator_id(), there.value);
    EXPECT_EQ(response->groups(1).error().kafka_error(), 0);
}

TEST_F(GroupCallsTest, describes_what_it_can_when_a_coordinator_is_silent) {
    coordinators();
    protocol::ConsumerGroupDescribeResponse modern;
    modern.groups.resize(1);
    modern.groups[0].group_id = "billing";
    answer(modern, here);
    v1::DescribeGroupsRequest request;
    request.add_groups("billing");
    request.add_groups("audit");
    const auto response = ask(&calls::DescribeGroups, request);
    EXPECT_EQ(response->groups(0).error().kafka_error(), 0);
    EXPECT_THAT(response->groups(1).error().message(), HasSubstr("broker 4 is silent"));
}

TEST_F(GroupCallsTest, computes_lag_over_all_leaders_and_says_what_it_does_not_know) {
    answer(groups_named("billing"), here);
    answer(protocol::ListGroupsResponse{}, there);
    commits("billing", 30, here);
    offsets();
    v1::GroupLagRequest request;
    request.set_with_partitions(true);
    const auto response = ask(&calls::GroupLag, request);
    ASSERT_EQ(response->groups_size(), 1);
    EXPECT_EQ(response->groups(0).total_records(), 24);
    EXPECT_EQ(response->groups(0).partitions(0).records(), 12);
    EXPECT_EQ(response->groups(0).partitions(1).records(), 12);
    EXPECT_EQ(response->groups(0).partitions(2).records(), -1);  // nobody leads it
    EXPECT_THAT(asked<protocol::ListOffsetsRequest>(), UnorderedElementsAre(Key(here), Key(there)));
}

/// What a consumer's leader sends: partitions of "orders" for one member.
Buffer assignment_of(std::vector<std::int32_t> partitions) {
    Buffer bytes;
    protocol::Writer writer(bytes);
    writer.int16(protocol::ConsumerProtocolAssignment::max_version);
    protocol::ConsumerProtocolAssignment assignment;
    auto& topic = assignment.assigned_partitions.emplace_back();
    topic.topic = "orders";
    topic.partitions = std::move(partitions);
    assignment.encode(writer, protocol::ConsumerProtocolAssignment::max_version);
    return bytes;
}

TEST_F(GroupCallsTest, says_who_reads_each_partition_of_a_group_of_the_old_protocol) {
    coordinators();
    offsets();
    commits("audit", 30, there);
    protocol::ConsumerGroupDescribeResponse unknown;
    auto& none = unknown.groups.emplace_back();
    none.group_id = "audit";
    none.error_code = code_of(KafkaError::group_id_not_found);
    answer(unknown, there);
    const std::vector<Buffer> assigned{assignment_of({0}), assignment_of({2})};
    protocol::DescribeGroupsResponse classic;
    auto& group = classic.groups.emplace_back();
    group.group_id = "audit";
    group.protocol_type = "consumer";
    for (const Buffer& bytes : assigned) {
        auto& member = group.members.emplace_back();
        member.member_id = group.members.size() == 1 ? "first" : "second";
        member.member_assignment = bytes;
    }
    answer(classic, there);
    v1::GroupLagRequest request;
    request.add_groups("audit");
    request.set_with_partitions(true);
    const auto response = ask(&calls::GroupLag, request);
    ASSERT_EQ(response->groups(0).partitions_size(), 3);
    EXPECT_EQ(response->groups(0).partitions(0).member_id(), "first");
    EXPECT_EQ(response->groups(0).partitions(1).member_id(), "");
    EXPECT_EQ(response->groups(0).partitions(2).member_id(), "second");
}

TEST_F(GroupCallsTest, has_each_coordinator_delete_its_own_groups) {
    coordinators();
    protocol::DeleteGroupsResponse deleted;
    deleted.results.resize(1);
    deleted.results[0].group_id = "billing";
    deleted.results[0].error_code = code_of(KafkaError::non_empty_group);
    answer(deleted, here);
    v1::DeleteGroupsRequest request;
    request.add_groups("billing");
    request.add_groups("audit");
    const auto response = ask(&calls::DeleteGroups, request);
    EXPECT_EQ(response->groups(0).group(), "audit");
    EXPECT_EQ(response->groups(0).error().kafka_error(), code_of(KafkaError::network_exception));
    EXPECT_EQ(response->groups(1).error().kafka_error(), code_of(KafkaError::non_empty_group));
    EXPECT_THAT(asked<protocol::DeleteGroupsRequest>().at(there).groups_names,
                ElementsAre("audit"));
}

TEST_F(GroupCallsTest, moves_a_group_to_where_it_is_told) {
    coordinators();
    offsets();
    commits("audit", 20, there);
    takes_commits(0);
    v1::AlterGroupOffsetsRequest request;
    request.set_group("audit");
    add(request, 0).set_timestamp_ms(1000);
    add(request, 1).set_latest(true);
    add(request, 2).set_earliest(true);
    const auto response = ask(&calls::AlterGroupOffsets, request);
    EXPECT_EQ(response->offsets(0).before(), 20);
    EXPECT_EQ(response->offsets(0).after(), 10);
    EXPECT_EQ(response->offsets(1).after(), 42);
    EXPECT_EQ(response->offsets(2).error().kafka_error(),
              code_of(KafkaError::leader_not_available));
    const auto sent = asked<protocol::OffsetCommitRequest>().at(there);
    EXPECT_EQ(sent.generation_id_or_member_epoch, -1);
    ASSERT_EQ(sent.topics.at(0).partitions.size(), 2u);
    EXPECT_EQ(sent.topics[0].partitions[1].committed_offset, 42);
}

TEST_F(GroupCallsTest, goes_on_at_the_end_where_nothing_is_as_young_as_the_timestamp) {
    coordinators();
    offsets();
    commits("audit", 20, there);
    v1::AlterGroupOffsetsRequest request;
    request.mutable_guard()->set_dry_run(true);
    request.set_group("audit");
    add(request, 0).set_timestamp_ms(2000);
    const auto response = ask(&calls::AlterGroupOffsets, request);
    EXPECT_EQ(response->offsets(0).after(), 42);
    EXPECT_THAT(asked<protocol::OffsetCommitRequest>(), IsEmpty());
}

TEST_F(GroupCallsTest, refuses_an_offset_that_the_partition_does_not_have) {
    coordinators();
    offsets();
    commits("audit", 20, there);
    v1::AlterGroupOffsetsRequest request;
    request.set_group("audit");
    add(request, 0).set_offset(43);
    const auto response = ask(&calls::AlterGroupOffsets, request);
    EXPECT_THAT(response->offsets(0).error().message(), HasSubstr("43 is not within 10 to 42"));
    EXPECT_EQ(response->offsets(0).after(), -1);
    EXPECT_THAT(asked<protocol::OffsetCommitRequest>(), IsEmpty());
}

TEST_F(GroupCallsTest, forgets_an_offset) {
    coordinators();
    commits("audit", 20, there);
    protocol::OffsetDeleteResponse deleted;
    answer(deleted, there);
    v1::AlterGroupOffsetsRequest request;
    request.set_group("audit");
    add(request, 1).set_forget(true);
    const auto response = ask(&calls::AlterGroupOffsets, request);
    EXPECT_EQ(response->offsets(0).before(), 20);
    EXPECT_EQ(response->offsets(0).after(), -1);
    const auto sent = asked<protocol::OffsetDeleteRequest>().at(there);
    EXPECT_EQ(sent.topics.at(0).partitions.at(0).partition_index, 1);
}

TEST_F(GroupCallsTest, leaves_a_group_alone_that_has_members) {
    coordinators();
    offsets();
    commits("audit", 20, there);
    takes_commits(code_of(KafkaError::unknown_member_id));
    v1::AlterGroupOffsetsRequest request;
    request.set_group("audit");
    add(request, 0).set_latest(true);
    const auto response = ask(&calls::AlterGroupOffsets, request);
    ASSERT_FALSE(response.has_value());
    EXPECT_EQ(response.error().code(), Code::fenced);
    EXPECT_THAT(response.error().message(), HasSubstr("audit has members"));
}

TEST_F(GroupCallsTest, wants_to_know_where_a_group_is_to_go) {
    v1::AlterGroupOffsetsRequest request;
    EXPECT_THAT(ask(&calls::AlterGroupOffsets, request).error().message(), HasSubstr("group:"));
    request.set_group("audit");
    add(request, 0);
    EXPECT_THAT(ask(&calls::AlterGroupOffsets, request).error().message(),
                HasSubstr("orders-0: say where to"));
    request.mutable_offsets(0)->set_latest(true);
    add(request, 0).set_earliest(true);
    EXPECT_THAT(ask(&calls::AlterGroupOffsets, request).error().message(), HasSubstr("twice"));
    EXPECT_TRUE(doors_.calls_.empty());
}

v1::DeleteRecordsRequest records_before(std::int64_t offset) {
    v1::DeleteRecordsRequest request;
    for (const std::int32_t partition : {0, 1, 2, 3}) {
        auto& one = *request.add_partitions();
        one.set_topic("orders");
        one.set_partition(partition);
        one.set_before_offset(offset);
    }
    return request;
}

TEST_F(GroupCallsTest, has_each_leader_delete_records) {
    leaders();
    protocol::DeleteRecordsResponse deleted;
    auto& topic = deleted.topics.emplace_back();
    topic.name = "orders";
    topic.partitions.emplace_back().low_watermark = 20;
    answer(deleted, here);
    topic.partitions[0].partition_index = 1;
    topic.partitions[0].error_code = code_of(KafkaError::offset_out_of_range);
    answer(deleted, there);
    const auto response = ask(&calls::DeleteRecords, records_before(20));
    EXPECT_EQ(response->partitions(0).start_offset(), 20);
    EXPECT_EQ(response->partitions(1).error().kafka_error(),
              code_of(KafkaError::offset_out_of_range));
    EXPECT_EQ(response->partitions(2).error().kafka_error(),
              code_of(KafkaError::leader_not_available));
    EXPECT_EQ(response->partitions(3).error().kafka_error(),
              code_of(KafkaError::unknown_topic_or_partition));
    EXPECT_EQ(
        asked<protocol::DeleteRecordsRequest>().at(there).topics.at(0).partitions.at(0).offset, 20);
}

TEST_F(GroupCallsTest, tries_a_deletion_of_records_without_doing_it) {
    offsets();
    auto request = records_before(-1);
    request.mutable_guard()->set_dry_run(true);
    request.mutable_partitions(1)->set_before_offset(50);
    const auto response = ask(&calls::DeleteRecords, request);
    EXPECT_EQ(response->partitions(0).start_offset(), 42);
    EXPECT_THAT(response->partitions(1).error().message(), HasSubstr("50 is not within 10 to 42"));
    EXPECT_THAT(asked<protocol::DeleteRecordsRequest>(), IsEmpty());
}

}  // namespace
}  // namespace millrace::admin
