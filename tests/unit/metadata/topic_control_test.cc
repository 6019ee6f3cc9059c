// CreateTopics, CreatePartitions and DeleteTopics, with Kafka's error codes.
#include <algorithm>

#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

struct Topics : ::testing::Test {
    Topics() {
        world.bring_up(0, "a");
        world.bring_up(1, "b");
        world.bring_up(2, "c");
    }

    static protocol::CreateTopicsRequest request(std::string_view name, std::int32_t partitions,
                                                 std::int16_t replication_factor) {
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = partitions;
        topic.replication_factor = replication_factor;
        return request;
    }
    protocol::CreateTopicsResponse::CreatableTopicResult create(
        const protocol::CreateTopicsRequest& request) {
        return world.apply(create_topics(*world.borrow(), request, {"described"})).topics.at(0);
    }
    KafkaError outcome(const protocol::CreateTopicsRequest& request) {
        return static_cast<KafkaError>(create(request).error_code);
    }

    World world;
};

TEST_F(Topics, are_created_over_racks_with_everyone_in_sync) {
    const auto result = create(request("t", 6, 3));
    EXPECT_EQ(result.error_code, 0);
    EXPECT_FALSE(result.error_message.has_value());
    const Topic* topic = world.image.topics.find("t");
    ASSERT_NE(topic, nullptr);
    EXPECT_EQ(topic->id, result.topic_id);
    EXPECT_EQ(topic->partitions.size(), 6U);
    for (const auto& [index, partition] : topic->partitions) {
        EXPECT_THAT(partition->replicas.to_vector(), UnorderedElementsAre(b(0), b(1), b(2)));
        EXPECT_EQ(partition->isr, partition->replicas);
        EXPECT_EQ(partition->leader, partition->replicas[0]);
        EXPECT_EQ(partition->leader_epoch, LeaderEpoch{0});
        EXPECT_EQ(partition->epoch, PartitionEpoch{0});
        for (std::size_t i = 0; i < 3; ++i) {
            EXPECT_EQ(partition->directories[i], directory_of(partition->replicas[i].value));
        }
    }
}

TEST_F(Topics, with_minus_one_take_the_defaults) {  // trap 8 of e2e/parity/README.md
    world.options.default_partitions = 4;
    world.options.default_copies.otherwise = 2;
    create(request("t", -1, -1));
    const Topic* topic = world.image.topics.find("t");
    ASSERT_NE(topic, nullptr);
    EXPECT_EQ(topic->partitions.size(), 4U);
    EXPECT_EQ(topic->partition(PartitionIndex{0})->replicas.size(), 2U);
}

TEST_F(Topics, take_an_assignment_as_it_is) {
    const Uuid id = world.create("t", {{2, 0}, {1, 2}});
    EXPECT_THAT(world.partition(id, 0).replicas, ElementsAre(b(2), b(0)));
    EXPECT_THAT(world.partition(id, 1).replicas, ElementsAre(b(1), b(2)));
}

TEST_F(Topics, only_validated_leave_no_trace) {
    auto asked = request("t", 1, 1);
    asked.validate_only = true;
    EXPECT_EQ(outcome(asked), KafkaError::none);
    EXPECT_EQ(world.image.topics.find("t"), nullptr);
}

TEST_F(Topics, need_a_valid_name) {
    const std::string long_name(250, 'x');
    for (const std::string_view name :
         {std::string_view(""), std::string_view("."), std::string_view(".."),
          std::string_view("a/b"), std::string_view("ä"), std::string_view(long_name)}) {
        EXPECT_EQ(outcome(request(name, 1, 1)), KafkaError::invalid_topic_exception) << name;
    }
    EXPECT_EQ(outcome(request(std::string_view(long_name).substr(1), 1, 1)), KafkaError::none);
}

TEST_F(Topics, whose_names_differ_only_in_dot_and_underscore_collide) {
    EXPECT_EQ(outcome(request("a.b_c", 1, 1)), KafkaError::none);
    EXPECT_EQ(outcome(request("a_b.c", 1, 1)), KafkaError::invalid_topic_exception);
    EXPECT_EQ(outcome(request("a-b.c", 1, 1)), KafkaError::none);
    auto two = request("x.y", 1, 1);
    two.topics.push_back(request("x_y", 1, 1).topics[0]);
    const auto answer = world.apply(create_topics(*world.borrow(), two, {}));
    EXPECT_EQ(answer.topics[0].error_code, 0);
    EXPECT_EQ(answer.topics[1].error_code, code(KafkaError::invalid_topic_exception));
}

TEST_F(Topics, may_take_a_colliding_name_once_the_other_is_gone) {
    const Uuid id = world.create("a.b", {{0}});
    protocol::DeleteTopicsRequest gone;
    gone.topics.emplace_back().topic_id = id;
    world.apply(delete_topics(*world.borrow(), gone));
    EXPECT_EQ(outcome(request("a_b", 1, 1)), KafkaError::none);
}

TEST_F(Topics, that_exist_are_not_created_again) {
    world.create("t", {{0}});
    EXPECT_EQ(outcome(request("t", 1, 1)), KafkaError::topic_already_exists);
}

TEST_F(Topics, named_twice_in_a_request_are_refused_once) {
    auto asked = request("t", 1, 1);
    asked.topics.push_back(asked.topics[0]);
    asked.topics.push_back(request("u", 1, 1).topics[0]);
    const auto answer = world.apply(create_topics(*world.borrow(), asked, {}));
    ASSERT_EQ(answer.topics.size(), 2U);
    EXPECT_EQ(answer.topics[0].error_code, code(KafkaError::invalid_request));
    EXPECT_EQ(answer.topics[1].error_code, 0);
    EXPECT_EQ(world.image.topics.find("t"), nullptr);
}

TEST_F(Topics, of_the_quorum_itself_are_not_for_clients) {
    EXPECT_EQ(outcome(request("__cluster_metadata", 1, 1)), KafkaError::invalid_request);
}

TEST_F(Topics, with_impossible_counts_are_refused) {
    EXPECT_EQ(outcome(request("t", 1, 0)), KafkaError::invalid_replication_factor);
    EXPECT_EQ(outcome(request("t", 1, -2)), KafkaError::invalid_replication_factor);
    EXPECT_EQ(outcome(request("t", 0, 1)), KafkaError::invalid_partitions);
    EXPECT_EQ(outcome(request("t", -2, 1)), KafkaError::invalid_partitions);
    EXPECT_EQ(outcome(request("t", 1, 4)), KafkaError::invalid_replication_factor);
}

TEST_F(Topics, with_an_assignment_leave_both_counts_out) {
    auto asked = request("t", 1, -1);
    asked.topics[0].assignments.emplace_back().broker_ids = {0};
    EXPECT_EQ(outcome(asked), KafkaError::invalid_request);
    asked.topics[0].num_partitions = -1;
    asked.topics[0].replication_factor = 1;
    EXPECT_EQ(outcome(asked), KafkaError::invalid_request);
}

TEST_F(Topics, with_a_bad_assignment_are_refused) {
    const auto assigned = [&](std::vector<std::pair<int, std::vector<std::int32_t>>> partitions) {
        auto asked = request("t", -1, -1);
        for (auto& [index, brokers] : partitions) {
            auto& assignment = asked.topics[0].assignments.emplace_back();
            assignment.partition_index = index;
            assignment.broker_ids = brokers;
        }
        return outcome(asked);
    };
    EXPECT_EQ(assigned({{0, {}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {0, 0}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {9}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {0}}, {0, {1}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {0}}, {2, {1}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {0}}, {1, {1, 2}}}), KafkaError::invalid_replica_assignment);
    world.fence(0);
    EXPECT_EQ(assigned({{0, {0}}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(assigned({{0, {0, 1}}}), KafkaError::none);
    EXPECT_THAT(world.partition(world.image.topics.find("t")->id).isr, ElementsAre(b(1)));
}

TEST_F(Topics, with_bad_configs_are_refused) {
    const auto with_config = [&](std::string_view key, std::optional<std::string_view> value) {
        auto asked = request("t", 1, 1);
        auto& config = asked.topics[0].configs.emplace_back();
        config.name = key;
        config.value = value;
        return outcome(asked);
    };
    EXPECT_EQ(with_config("no.such.setting", "1"), KafkaError::invalid_config);
    EXPECT_EQ(with_config("retention.ms", "soon"), KafkaError::invalid_config);
    EXPECT_EQ(with_config("retention.ms", std::nullopt), KafkaError::invalid_config);
    EXPECT_EQ(with_config("retention.ms", "1000"), KafkaError::none);
    EXPECT_EQ(*world.image.topic_setting("t", "retention.ms"), "1000");
}

TEST_F(Topics, answer_their_settings_to_who_may_see_them) {
    auto asked = request("described", 2, 3);
    auto& config = asked.topics[0].configs.emplace_back();
    config.name = "cleanup.policy";
    config.value = "compact";
    const auto result = create(asked);
    EXPECT_EQ(result.num_partitions, 2);
    EXPECT_EQ(result.replication_factor, 3);
    ASSERT_TRUE(result.configs.has_value());
    const auto found = std::find_if(result.configs->begin(), result.configs->end(),
                                    [](const auto& c) { return c.name == "cleanup.policy"; });
    ASSERT_NE(found, result.configs->end());
    EXPECT_EQ(found->value, "compact");
    const auto hidden = create(request("hidden", 2, 3));
    EXPECT_EQ(hidden.topic_config_error_code, code(KafkaError::topic_authorization_failed));
    EXPECT_EQ(hidden.num_partitions, -1);
}

TEST_F(Topics, beyond_the_limit_of_one_operation_are_all_refused) {
    world.options.max_records_per_operation = 10;
    auto asked = request("small", 1, 1);
    asked.topics.push_back(request("large", 11, 1).topics[0]);
    const auto answer = world.apply(create_topics(*world.borrow(), asked, {}));
    EXPECT_EQ(answer.topics[0].error_code, code(KafkaError::policy_violation));
    EXPECT_EQ(answer.topics[1].error_code, code(KafkaError::policy_violation));
    EXPECT_EQ(world.image.topics.size(), 0U);
}

TEST_F(Topics, are_not_placed_on_cordoned_or_leaving_brokers) {  // KIP-1066
    auto beat = world.heartbeat_of(0);
    beat.cordoned_log_dirs = std::vector<Uuid>{directory_of(0)};
    world.apply(broker_heartbeat(*world.borrow(), beat));
    EXPECT_EQ(outcome(request("t", 1, 3)), KafkaError::invalid_replication_factor);
    EXPECT_EQ(outcome(request("t", 10, 2)), KafkaError::none);
    for (const auto& [index, partition] : world.image.topics.find("t")->partitions) {
        EXPECT_FALSE(partition->replicas.contains(b(0)));
    }
}

TEST_F(Topics, when_every_broker_is_down_are_refused) {
    for (const int id : {0, 1, 2}) {
        world.fence(id);
    }
    EXPECT_EQ(outcome(request("t", 1, 1)), KafkaError::invalid_replication_factor);
}

protocol::CreatePartitionsRequest growth(std::string_view name, std::int32_t count) {
    protocol::CreatePartitionsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = name;
    topic.count = count;
    topic.assignments = std::nullopt;
    return request;
}

TEST_F(Topics, grow_by_placed_and_by_assigned_partitions) {
    const Uuid id = world.create("t", {{0, 1}});
    const auto grow = [&](const protocol::CreatePartitionsRequest& request) {
        return world.apply(create_partitions(*world.borrow(), request)).results.at(0).error_code;
    };
    EXPECT_EQ(grow(growth("t", 3)), 0);
    EXPECT_EQ(world.image.topics.find(id)->partitions.size(), 3U);
    EXPECT_EQ(world.partition(id, 2).replicas.size(), 2U);
    auto assigned = growth("t", 4);
    assigned.topics[0].assignments.emplace().emplace_back().broker_ids = {2, 1};
    EXPECT_EQ(grow(assigned), 0);
    EXPECT_THAT(world.partition(id, 3).replicas, ElementsAre(b(2), b(1)));

    EXPECT_EQ(grow(growth("t", 4)), code(KafkaError::invalid_partitions));
    EXPECT_EQ(grow(growth("t", 1)), code(KafkaError::invalid_partitions));
    EXPECT_EQ(grow(growth("unknown", 4)), code(KafkaError::unknown_topic_or_partition));
    assigned.topics[0].count = 6;
    EXPECT_EQ(grow(assigned), code(KafkaError::invalid_replica_assignment));
    assigned.topics[0].count = 5;
    assigned.topics[0].assignments->at(0).broker_ids = {2};
    EXPECT_EQ(grow(assigned), code(KafkaError::invalid_replica_assignment));
    auto checked = growth("t", 9);
    checked.validate_only = true;
    EXPECT_EQ(grow(checked), 0);
    EXPECT_EQ(world.image.topics.find(id)->partitions.size(), 4U);
}

TEST_F(Topics, are_deleted_by_name_and_by_id_with_their_configs) {
    const Uuid by_id = world.create("by-id", {{0}}, {{"retention.ms", "5"}});
    world.create("by-name", {{0}});
    protocol::DeleteTopicsRequest request;
    request.topics.emplace_back().topic_id = by_id;
    request.topics.emplace_back().name = "by-name";
    request.topics.emplace_back().name = "unknown";
    request.topics.emplace_back().topic_id = Uuid{5, 5};
    request.topics.emplace_back();
    auto& both = request.topics.emplace_back();
    both.name = "by-id";
    both.topic_id = by_id;
    const auto answer = world.apply(delete_topics(*world.borrow(), request));
    std::vector<std::pair<std::string, std::int16_t>> outcomes;
    for (const auto& response : answer.responses) {
        outcomes.emplace_back(response.name.value_or("-"), response.error_code);
    }
    EXPECT_THAT(outcomes, UnorderedElementsAre(
                              std::pair("by-id", 0), std::pair("by-name", 0),
                              std::pair("unknown", code(KafkaError::unknown_topic_or_partition)),
                              std::pair("-", code(KafkaError::unknown_topic_id)),
                              std::pair("-", code(KafkaError::invalid_request)),
                              std::pair("by-id", code(KafkaError::invalid_request))));
    EXPECT_EQ(world.image.topics.size(), 0U);
    EXPECT_EQ(world.image.topics.partition_count(), 0);
    EXPECT_EQ(world.image.topic_setting("by-id", "retention.ms"), nullptr);
}

// A cluster of three of which one is down for its restart still takes a topic of three replicas.
TEST_F(Topics, count_a_broker_that_was_stopped_in_order_among_their_replicas) {
    const std::size_t all = world.image.cluster.brokers.size();
    world.create("led", {{1, 0}});
    auto stop = world.heartbeat_of(1);
    stop.want_shut_down = true;
    world.apply(broker_heartbeat(*world.borrow(), stop));
    world.fence(1);
    ASSERT_TRUE(world.image.cluster.broker(b(1))->in_controlled_shutdown);
    ASSERT_TRUE(world.image.cluster.broker(b(1))->fenced);
    protocol::CreateTopicsRequest request;
    auto& topic = request.topics.emplace_back();
    topic.name = "t";
    topic.num_partitions = 1;
    topic.replication_factor = static_cast<std::int16_t>(all);
    const auto answer = world.apply(create_topics(*world.borrow(), request, {}));
    EXPECT_EQ(answer.topics.at(0).error_code, 0) << answer.topics[0].error_message.value_or("");
    EXPECT_NE(world.partition(answer.topics[0].topic_id).leader, b(1));
}

TEST_F(Topics, are_not_deleted_where_that_is_off_be_they_there_or_not) {
    world.create("t", {{0}});
    world.options.delete_topics = false;
    protocol::DeleteTopicsRequest request;
    request.topics.emplace_back().name = "t";
    request.topics.emplace_back().name = "unknown";
    const auto answer = world.apply(delete_topics(*world.borrow(), request));
    ASSERT_EQ(answer.responses.size(), 2U);
    for (const auto& response : answer.responses) {
        EXPECT_EQ(response.error_code, code(KafkaError::topic_deletion_disabled));
    }
    EXPECT_EQ(world.image.topics.size(), 1U);
}

TEST_F(Topics, created_again_have_another_id) {  // case 29, trap 10 of e2e/parity/README.md
    const Uuid first = world.create("t", {{0}});
    protocol::DeleteTopicsRequest request;
    request.topics.emplace_back().name = "t";
    world.apply(delete_topics(*world.borrow(), request));
    EXPECT_NE(world.create("t", {{0}}), first);
}

}  // namespace
}  // namespace millrace::metadata::testing
