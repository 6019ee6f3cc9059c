// Calls that are answered by requests of the Kafka protocol: what is asked, and what becomes of the
// answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/internal/kafka_call.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/metadata_response.h"
#include "protocol/messages/offset_fetch_response.h"
#include "tests/unit/admin/fake_doors.h"

namespace millrace::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

template <typename Message>
Buffer encoded(const Message& message, std::int16_t version) {
    Buffer bytes;
    protocol::Writer writer(bytes);
    message.encode(writer, version);
    EXPECT_TRUE(writer.ok());
    return bytes;
}

template <typename Message>
Message decoded(const KafkaCall& call) {
    protocol::Reader reader(call.body);
    Message message;
    message.decode(reader, call.api_version);
    EXPECT_TRUE(reader.ok());
    return message;
}

class KafkaCallsTest : public testing::Test {
protected:
    template <typename Request, typename Response>
    Result<Response> ask(void (*call)(AdminDoors&, Caller, const Request&, Answer<Response>),
                         const Request& request) {
        std::optional<Result<Response>> outcome;
        call(doors_, Caller{}, request,
             [&](Result<Response> result) { outcome = std::move(result); });
        EXPECT_TRUE(outcome.has_value());
        return *outcome;
    }
    std::vector<std::int16_t> apis_asked() const {
        std::vector<std::int16_t> keys;
        for (const KafkaCall& call : doors_.calls_) {
            keys.push_back(call.api_key);
        }
        return keys;
    }
    /// Answers each API with an encoded message.
    template <typename Message>
    void answer(const Message& message) {
        answers_[Message::api_key] = [message](std::int16_t version) {
            return encoded(message, version);
        };
        doors_.answer_ = [this](const KafkaCall& call) -> Result<Buffer> {
            return answers_.at(call.api_key)(call.api_version);
        };
    }

    FakeDoors doors_;
    std::map<std::int16_t, std::function<Buffer(std::int16_t)>> answers_;
};

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

TEST_F(KafkaCallsTest, asks_about_a_group_in_the_old_protocol_when_the_new_does_not_know_it) {
    protocol::ConsumerGroupDescribeResponse modern;
    modern.groups.resize(2);
    modern.groups[0].group_id = "new";
    modern.groups[0].group_state = "Stable";
    modern.groups[1].group_id = "old";
    modern.groups[1].error_code = 69;
    answer(modern);
    protocol::DescribeGroupsResponse classic;
    classic.groups.resize(1);
    classic.groups[0].group_id = "old";
    classic.groups[0].group_state = "Empty";
    answer(classic);
    v1::DescribeGroupsRequest request;
    request.add_groups("new");
    request.add_groups("old");
    const auto response = ask(&calls::DescribeGroups, request);
    EXPECT_EQ(response->groups(0).type(), "consumer");
    EXPECT_EQ(response->groups(1).type(), "classic");
    EXPECT_EQ(response->groups(1).state(), "Empty");
    EXPECT_EQ(response->groups(1).error().kafka_error(), 0);
}

TEST_F(KafkaCallsTest, computes_lag_and_says_what_it_does_not_know) {
    protocol::ListGroupsResponse groups;
    groups.groups.resize(1);
    groups.groups[0].group_id = "billing";
    answer(groups);
    protocol::OffsetFetchResponse commits;
    commits.groups.resize(1);
    commits.groups[0].group_id = "billing";
    commits.groups[0].topics.resize(1);
    commits.groups[0].topics[0].name = "orders";
    commits.groups[0].topics[0].partitions.resize(2);
    commits.groups[0].topics[0].partitions[0].committed_offset = 30;
    commits.groups[0].topics[0].partitions[1].partition_index = 1;
    commits.groups[0].topics[0].partitions[1].committed_offset = 5;
    answer(commits);
    protocol::ListOffsetsResponse ends;
    ends.topics.resize(1);
    ends.topics[0].name = "orders";
    ends.topics[0].partitions.resize(2);
    ends.topics[0].partitions[0].offset = 42;
    ends.topics[0].partitions[1].partition_index = 1;
    ends.topics[0].partitions[1].error_code = 6;  // led elsewhere
    answer(ends);
    v1::GroupLagRequest request;
    request.set_with_partitions(true);
    const auto response = ask(&calls::GroupLag, request);
    EXPECT_EQ(response->groups(0).total_records(), 12);
    EXPECT_EQ(response->groups(0).partitions(0).records(), 12);
    EXPECT_EQ(response->groups(0).partitions(1).records(), -1);
    EXPECT_THAT(response->silent_brokers(), ElementsAre(4));
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
