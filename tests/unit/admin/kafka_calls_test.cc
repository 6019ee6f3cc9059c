// Calls that are answered by requests of the Kafka protocol: what is asked, and what becomes of the
// answer.
#include "tests/unit/admin/kafka_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/messages/describe_topic_partitions_response.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/list_partition_reassignments_response.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Uuid orders_id{7, 8};

protocol::MetadataResponse metadata() {
    protocol::MetadataResponse response;
    const auto add = [&](std::string_view name, Uuid id, bool internal) {
        protocol::MetadataResponse::MetadataResponseTopic topic;
        topic.name = name;
        topic.topic_id = id;
        topic.is_internal = internal;
        protocol::MetadataResponse::MetadataResponsePartition partition;
        partition.leader_id = 3;
        partition.replica_nodes = {3, 4};
        partition.isr_nodes = {3};
        topic.partitions.push_back(partition);
        response.topics.push_back(topic);
    };
    add("orders", orders_id, false);
    add("clicks", Uuid{9, 9}, false);
    add("__consumer_offsets", Uuid{1, 1}, true);
    return response;
}

TEST_F(KafkaCallsTest, creates_topics_with_the_clusters_defaults_where_nothing_is_said) {
    protocol::CreateTopicsResponse made;
    made.topics.resize(2);
    made.topics[0].name = "a";
    made.topics[0].topic_id = orders_id;
    made.topics[0].num_partitions = 3;
    made.topics[1].name = "b";
    made.topics[1].error_code = 36;
    answer(made);
    v1::CreateTopicsRequest request;
    request.mutable_guard()->set_dry_run(true);
    auto& topic = *request.add_topics();
    topic.set_name("a");
    (*topic.mutable_configs())["retention.ms"] = "5";
    request.add_topics()->set_name("b");
    const auto response = ask(&calls::CreateTopics, request);
    const auto sent = decoded<protocol::CreateTopicsRequest>(doors_.calls_.at(0));
    EXPECT_TRUE(sent.validate_only);
    EXPECT_EQ(sent.topics[0].num_partitions, -1);
    EXPECT_EQ(sent.topics[0].replication_factor, -1);
    EXPECT_EQ(sent.topics[0].configs[0].name, "retention.ms");
    EXPECT_EQ(response->topics(0).id(), orders_id.to_string());
    EXPECT_EQ(response->topics(1).error().kafka_error(), 36);
    EXPECT_NE(response->topics(1).error().message(), "");
}

TEST_F(KafkaCallsTest, deletes_by_id_and_only_the_topic_that_is_meant) {
    answer(metadata());
    answer(protocol::DeleteTopicsResponse{});
    v1::DeleteTopicsRequest request;
    request.add_topics()->set_name("orders");
    auto& other = *request.add_topics();
    other.set_name("clicks");
    other.set_expected_id(orders_id.to_string());
    request.add_topics()->set_name("nowhere");
    const auto response = ask(&calls::DeleteTopics, request);
    EXPECT_THAT(apis_asked(), ElementsAre(3, 20));
    const auto sent = decoded<protocol::DeleteTopicsRequest>(doors_.calls_.at(1));
    ASSERT_EQ(sent.topics.size(), 1u);
    EXPECT_EQ(sent.topics[0].topic_id, orders_id);
    EXPECT_EQ(response->topics(0).error().kafka_error(), 0);
    EXPECT_EQ(response->topics(1).error().kafka_error(), 100);
    EXPECT_EQ(response->topics(2).error().kafka_error(), 3);
}

TEST_F(KafkaCallsTest, tries_a_deletion_without_doing_it) {
    answer(metadata());
    v1::DeleteTopicsRequest request;
    request.mutable_guard()->set_dry_run(true);
    request.add_topics()->set_name("orders");
    EXPECT_EQ(ask(&calls::DeleteTopics, request)->topics(0).error().kafka_error(), 0);
    EXPECT_THAT(apis_asked(), ElementsAre(3));
}

TEST_F(KafkaCallsTest, lists_topics_in_pages_by_name) {
    answer(metadata());
    v1::ListTopicsRequest request;
    request.mutable_page()->set_size(1);
    auto page = ask(&calls::ListTopics, request);
    EXPECT_EQ(page->topics(0).name(), "clicks");
    EXPECT_EQ(page->topics(0).under_replicated_partitions(), 1);
    request.mutable_page()->set_after(page->next());
    page = ask(&calls::ListTopics, request);
    EXPECT_EQ(page->topics(0).name(), "orders");
    EXPECT_EQ(page->next(), "");
    request.mutable_page()->Clear();
    request.set_with_internal(true);
    EXPECT_EQ(ask(&calls::ListTopics, request)->topics_size(), 3);
}

TEST_F(KafkaCallsTest, describes_a_topic_with_the_settings_it_has_of_its_own) {
    answer(metadata());
    protocol::DescribeConfigsResponse settings;
    settings.results.resize(1);
    settings.results[0].resource_name = "orders";
    settings.results[0].configs.resize(2);
    settings.results[0].configs[0].name = "retention.ms";
    settings.results[0].configs[0].value = "5";
    settings.results[0].configs[0].config_source = 1;
    settings.results[0].configs[1].name = "segment.ms";
    settings.results[0].configs[1].value = "7";
    settings.results[0].configs[1].config_source = 5;
    answer(settings);
    v1::DescribeTopicsRequest request;
    request.add_topics()->set_name("orders");
    request.add_topics()->set_name("nobody");
    const auto described = ask(&calls::DescribeTopics, request);
    EXPECT_EQ(described->topics(0).configs_size(), 1);
    EXPECT_EQ(described->topics(0).configs().at("retention.ms"), "5");
    EXPECT_EQ(described->topics(1).configs_size(), 0);
    // What isn't there isn't asked about.
    const auto asked = decoded<protocol::DescribeConfigsRequest>(doors_.calls_.at(1));
    EXPECT_EQ(asked.resources.size(), 1U);
}

TEST_F(KafkaCallsTest, adds_what_leaders_and_the_controller_know_of_a_topic_when_asked_to) {
    answer(metadata());
    answer(protocol::DescribeConfigsResponse{});
    protocol::DescribeTopicPartitionsResponse eligible;
    eligible.topics.resize(1);
    eligible.topics[0].name = "orders";
    eligible.topics[0].partitions.resize(1);
    eligible.topics[0].partitions[0].eligible_leader_replicas = {4};
    answer(eligible);
    protocol::ListPartitionReassignmentsResponse moves;
    moves.topics.resize(1);
    moves.topics[0].name = "orders";
    moves.topics[0].partitions.push_back({0, {3, 4, 5}, {5}, {4}});
    answer(moves);
    protocol::ListOffsetsResponse offsets;
    offsets.topics.resize(1);
    offsets.topics[0].name = "orders";
    offsets.topics[0].partitions.resize(1);
    offsets.topics[0].partitions[0].offset = 42;
    answer(offsets, BrokerId{3});
    protocol::DescribeLogDirsResponse sizes;
    sizes.results.resize(1);
    sizes.results[0].topics.resize(1);
    sizes.results[0].topics[0].name = "orders";
    sizes.results[0].topics[0].partitions.resize(1);
    sizes.results[0].topics[0].partitions[0].partition_size = 99;
    answer(sizes, BrokerId{3});
    v1::DescribeTopicsRequest request;
    request.add_topics()->set_name("orders");
    const auto plain = ask(&calls::DescribeTopics, request);
    EXPECT_EQ(plain->topics(0).partitions(0).end_offset(), -1);
    request.set_with_details(true);
    const auto described = ask(&calls::DescribeTopics, request);
    const auto& partition = described->topics(0).partitions(0);
    EXPECT_THAT(partition.elr(), ElementsAre(4));
    EXPECT_THAT(partition.adding(), ElementsAre(5));
    EXPECT_THAT(partition.removing(), ElementsAre(4));
    EXPECT_EQ(partition.end_offset(), 42);
    EXPECT_EQ(partition.size_bytes(), 99);
}

TEST_F(KafkaCallsTest, does_not_describe_a_topic_that_was_made_anew) {
    answer(metadata());
    answer(protocol::DescribeConfigsResponse{});
    v1::DescribeTopicsRequest request;
    auto& topic = *request.add_topics();
    topic.set_name("orders");
    topic.set_expected_id(Uuid{5, 5}.to_string());
    EXPECT_EQ(ask(&calls::DescribeTopics, request)->topics(0).error().kafka_error(), 100);
    topic.set_expected_id(orders_id.to_string());
    EXPECT_THAT(ask(&calls::DescribeTopics, request)->topics(0).partitions(0).isr(),
                ElementsAre(3));
}

protocol::DescribeLogDirsResponse directory_at(std::string_view path) {
    protocol::DescribeLogDirsResponse response;
    response.results.emplace_back().log_dir = path;
    return response;
}

TEST_F(KafkaCallsTest, describes_the_directories_of_every_broker) {
    answer(directory_at("/here"), BrokerId{3});
    answer(directory_at("/there"), BrokerId{4});
    const auto all = ask(&calls::DescribeLogDirs, v1::DescribeLogDirsRequest{});
    ASSERT_EQ(all->directories_size(), 2);
    EXPECT_EQ(all->directories(0).path(), "/here");
    EXPECT_EQ(all->directories(1).broker_id(), 4);
    v1::DescribeLogDirsRequest request;
    request.add_broker_ids(4);
    EXPECT_EQ(ask(&calls::DescribeLogDirs, request)->directories_size(), 1);
    request.add_broker_ids(5);
    answers_.erase({protocol::DescribeLogDirsRequest::api_key, BrokerId{4}});
    answer(directory_at("/far"), BrokerId{5});
    const auto some = ask(&calls::DescribeLogDirs, request);
    EXPECT_EQ(some->directories(0).path(), "/far");
    EXPECT_THAT(some->silent_brokers(), ElementsAre(4));
}

TEST_F(KafkaCallsTest, asks_about_the_partitions_of_the_topics_that_are_named) {
    answer(metadata());
    answer(directory_at("/here"));
    v1::DescribeLogDirsRequest request;
    request.add_topics("orders");
    ASSERT_TRUE(ask(&calls::DescribeLogDirs, request).has_value());
    const auto sent = asked<protocol::DescribeLogDirsRequest>().at(BrokerId{3});
    EXPECT_EQ(sent.topics->at(0).topic, "orders");
    EXPECT_THAT(sent.topics->at(0).partitions, ElementsAre(0));
}

TEST_F(KafkaCallsTest, asks_a_broker_for_its_own_settings) {
    protocol::DescribeConfigsResponse own;
    own.results.resize(1);
    own.results[0].resource_type = 4;
    own.results[0].resource_name = "4";
    own.results[0].configs.resize(1);
    own.results[0].configs[0].name = "log.dirs";
    answer(own, BrokerId{4});
    v1::DescribeConfigsRequest request;
    for (const char* name : {"3", "4"}) {
        request.add_resources()->set_type(v1::CONFIG_RESOURCE_TYPE_BROKER);
        request.mutable_resources()->rbegin()->set_name(name);
    }
    const auto response = ask(&calls::DescribeConfigs, request);
    ASSERT_EQ(response->resources_size(), 2);
    EXPECT_EQ(response->resources(0).error().kafka_error(), code_of(KafkaError::network_exception));
    EXPECT_EQ(response->resources(1).error().kafka_error(), 0);
    EXPECT_EQ(response->resources(1).entries(0).key(), "log.dirs");
}

TEST_F(KafkaCallsTest, wants_to_know_what_to_do_with_a_setting) {
    answer(protocol::IncrementalAlterConfigsResponse{});
    v1::AlterConfigsRequest request;
    request.add_resources()->add_alterations()->set_key("retention.ms");
    const auto response = ask(&calls::AlterConfigs, request);
    ASSERT_FALSE(response.has_value());
    EXPECT_THAT(response.error().message(), HasSubstr("retention.ms: say what to do"));
    EXPECT_TRUE(doors_.calls_.empty());
}

TEST_F(KafkaCallsTest, passes_on_that_the_broker_could_not_answer) {
    doors_.answer_ = [](const KafkaCall&) -> Result<Buffer> {
        return Error(Code::unavailable, "nobody leads");
    };
    EXPECT_EQ(ask(&calls::ListTopics, v1::ListTopicsRequest{}).error().message(), "nobody leads");
    doors_.answer_ = [](const KafkaCall&) -> Result<Buffer> { return Buffer(3); };
    EXPECT_FALSE(ask(&calls::ListTopics, v1::ListTopicsRequest{}).has_value());
}

}  // namespace
}  // namespace millrace::admin
