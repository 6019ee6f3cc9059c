// What people ask of brokers: to take no new replica, to give their leaders away, to be forgotten.
#include "metadata/standing.h"

#include "metadata/copies.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;

struct Standing : ::testing::Test {
    Standing() {
        for (const int id : {1, 2, 3}) {
            world.bring_up(id);
        }
    }
    void set(int broker, std::string_view name, std::optional<std::string> value) {
        set(std::to_string(broker), name, std::move(value));
    }
    void set(const std::string& id, std::string_view name, std::optional<std::string> value) {
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = static_cast<std::int8_t>(ConfigResourceType::broker);
        resource.resource_name = id;
        auto& config = resource.configs.emplace_back();
        config.name = name;
        config.config_operation = value ? 0 : 1;
        config.value = value;
        const auto answer = world.apply(incremental_alter_configs(*world.borrow(), request));
        ASSERT_EQ(answer.responses.at(0).error_code, 0)
            << answer.responses[0].error_message.value_or("");
    }
    void drain(int broker) {
        set(broker, setting::drained_epoch,
            std::to_string(world.image.cluster.broker(b(broker))->epoch.value));
    }
    KafkaError create_on(std::string_view name, std::vector<std::int32_t> replicas) {
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = -1;
        topic.replication_factor = -1;
        auto& partition = topic.assignments.emplace_back();
        partition.broker_ids = std::move(replicas);
        const auto answer = world.apply(create_topics(*world.borrow(), request, {}));
        return static_cast<KafkaError>(answer.topics.at(0).error_code);
    }
    KafkaError create(std::string_view name, std::int16_t factor) {
        protocol::CreateTopicsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        topic.num_partitions = 4;
        topic.replication_factor = factor;
        const auto answer = world.apply(create_topics(*world.borrow(), request, {}));
        return static_cast<KafkaError>(answer.topics.at(0).error_code);
    }
    KafkaError reassign(std::string_view name, std::vector<std::int32_t> target) {
        protocol::AlterPartitionReassignmentsRequest request;
        auto& topic = request.topics.emplace_back();
        topic.name = name;
        auto& partition = topic.partitions.emplace_back();
        partition.replicas = std::move(target);
        const auto answer = world.apply(alter_partition_reassignments(*world.borrow(), request));
        return static_cast<KafkaError>(answer.responses.at(0).partitions.at(0).error_code);
    }
    KafkaError unregister(int broker, bool only_if_unused) {
        protocol::UnregisterBrokerRequest request;
        request.broker_id = broker;
        if (only_if_unused) {
            request.unknown_tags.push_back({.tag = only_if_unused_tag, .data = {}});
        }
        return static_cast<KafkaError>(
            world.apply(unregister_broker(*world.borrow(), request)).error_code);
    }

    World world;
};

TEST_F(Standing, brokers_that_take_replicas_bound_how_many_a_topic_gets_that_does_not_say) {
    const auto replicas_of = [&](std::string_view name) {
        EXPECT_EQ(create(name, -1), KafkaError::none);
        return world.image.topics.find(name)->partition(PartitionIndex{0})->replicas.size();
    };
    world.options.default_copies = {.wished = 5, .otherwise = 1};
    EXPECT_EQ(replicas_of("all"), 3U);
    set(2, setting::cordoned, "true");
    EXPECT_EQ(replicas_of("others"), 2U);
    set("", setting::default_copies, "1");
    EXPECT_EQ(replicas_of("one"), 1U);
    set("", setting::default_copies, "0");  // default.replication.factor again, bounded by nobody
    world.options.default_copies.otherwise = 3;
    EXPECT_EQ(create("too-many", -1), KafkaError::invalid_replication_factor);
}

TEST_F(Standing, a_cordoned_broker_gets_no_replica_of_a_new_topic) {
    set(2, setting::cordoned, "true");
    EXPECT_EQ(create("t", 2), KafkaError::none);
    EXPECT_EQ(world.index.load_of(b(2)).replicas, 0);
    EXPECT_EQ(world.index.load_of(b(1)).replicas, 4);
    EXPECT_EQ(create("u", 3), KafkaError::invalid_replication_factor);
    set(2, setting::cordoned, std::nullopt);
    EXPECT_EQ(create("u", 3), KafkaError::none);
}

TEST_F(Standing, a_cordoned_broker_is_refused_as_a_new_place_by_name_too) {
    set(2, setting::cordoned, "true");
    EXPECT_EQ(create_on("t", {1, 2}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(create_on("t", {1, 3}), KafkaError::none);
    EXPECT_EQ(reassign("t", {1, 2}), KafkaError::invalid_replica_assignment);
}

TEST_F(Standing, what_a_cordoned_broker_holds_may_stay_and_change_its_place_in_the_order) {
    world.create("t", {{1, 2}});
    set(2, setting::cordoned, "true");
    EXPECT_EQ(reassign("t", {2, 1}), KafkaError::none);
    EXPECT_EQ(reassign("t", {2, 3}), KafkaError::none);
}

TEST_F(Standing, a_cordon_outlives_the_brokers_restart) {
    set(2, setting::cordoned, "true");
    world.stop_cleanly(2);
    world.come_back(2, -1);
    EXPECT_TRUE(is_cordoned(world.image, *world.image.cluster.broker(b(2))));
}

TEST_F(Standing, a_drained_broker_leads_only_what_nobody_else_can) {
    const Uuid topic = world.create("t", {{1, 2}, {1, 3}});
    const Uuid alone = world.create("alone", {{1}});
    drain(1);
    world.apply(drain_leaders(*world.borrow()));
    EXPECT_EQ(world.partition(topic, 0).leader, b(2));
    EXPECT_EQ(world.partition(topic, 1).leader, b(3));
    EXPECT_EQ(world.partition(alone).leader, b(1));
    EXPECT_TRUE(drain_leaders(*world.borrow()).draft.records().empty());
    world.fence(2);
    EXPECT_EQ(world.partition(topic, 0).leader, b(1));
}

TEST_F(Standing, leadership_stays_away_from_a_drained_broker_until_it_is_undone) {
    const Uuid topic = world.create("t", {{1, 2}});
    drain(1);
    world.apply(drain_leaders(*world.borrow()));
    EXPECT_TRUE(balance_leaders(*world.borrow()).draft.records().empty());
    protocol::ElectLeadersRequest request;
    request.topic_partitions = std::nullopt;
    EXPECT_TRUE(elect_leaders(*world.borrow(), request).draft.records().empty());
    set(1, setting::drained_epoch, std::nullopt);
    world.apply(balance_leaders(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, b(1));
}

TEST_F(Standing, a_new_start_of_a_drained_broker_may_lead_again) {
    const Uuid topic = world.create("t", {{1, 2}});
    drain(1);
    world.apply(drain_leaders(*world.borrow()));
    world.fence(1);
    auto start = world.registration(1);
    start.incarnation_id = Uuid{7, 7};  // another process
    EXPECT_EQ(world.apply(register_broker(*world.borrow(), start)).error_code, 0);
    world.heartbeat(1);
    EXPECT_TRUE(drained_brokers(world.image).empty());
    EXPECT_EQ(world.propose_isr(topic, {2, 1}), KafkaError::none);
    world.apply(balance_leaders(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, b(1));
}

// Older clients replace all settings of a resource; what it was ordered to do is none of those.
TEST_F(Standing, orders_outlive_a_replacement_of_all_settings) {
    drain(1);
    const std::string epoch =
        *world.image.configs.find(broker_settings(b(1)), setting::drained_epoch);
    set("", setting::plan, "a plan");
    protocol::AlterConfigsRequest request;
    for (const std::string_view name : {"1", ""}) {
        auto& resource = request.resources.emplace_back();
        resource.resource_type = static_cast<std::int8_t>(ConfigResourceType::broker);
        resource.resource_name = name;
        auto& config = resource.configs.emplace_back();
        config.name = name.empty() ? "min.insync.replicas" : "log.cleaner.threads";
        config.value = "1";
    }
    const auto answer = world.apply(alter_configs(*world.borrow(), request));
    for (const auto& response : answer.responses) {
        EXPECT_EQ(response.error_code, 0) << response.error_message.value_or("");
    }
    const std::string* drained =
        world.image.configs.find(broker_settings(b(1)), setting::drained_epoch);
    ASSERT_NE(drained, nullptr);
    EXPECT_EQ(*drained, epoch);
    EXPECT_NE(world.image.configs.find({ConfigResourceType::broker, {}}, setting::plan), nullptr);
}

TEST_F(Standing, a_new_partition_is_not_led_by_a_drained_broker) {
    drain(1);
    EXPECT_EQ(world.partition(world.create("t", {{1, 2}})).leader, b(2));
    EXPECT_EQ(world.partition(world.create("u", {{1}})).leader, b(1));
}

TEST_F(Standing, a_broker_with_replicas_is_forgotten_only_when_asked_regardless) {
    world.create("t", {{1, 2}});
    EXPECT_EQ(unregister(2, true), KafkaError::ineligible_replica);
    EXPECT_NE(world.image.cluster.broker(b(2)), nullptr);
    EXPECT_EQ(unregister(3, true), KafkaError::none);
    EXPECT_EQ(unregister(2, false), KafkaError::none);
    EXPECT_EQ(world.image.cluster.broker(b(2)), nullptr);
}

TEST_F(Standing, the_next_broker_with_the_id_of_a_forgotten_one_starts_clean) {
    set(3, setting::cordoned, "true");
    EXPECT_EQ(unregister(3, true), KafkaError::none);
    world.bring_up(3);
    EXPECT_FALSE(is_cordoned(world.image, *world.image.cluster.broker(b(3))));
}

TEST_F(Standing, cordoned_directories_outlive_a_restart_until_the_broker_says_anew) {
    auto beat = world.heartbeat_of(2);
    beat.cordoned_log_dirs = std::vector<Uuid>{directory_of(2)};
    world.apply(broker_heartbeat(*world.borrow(), beat));
    ASSERT_TRUE(is_cordoned(world.image, *world.image.cluster.broker(b(2))));
    world.fence(2);
    world.register_broker(2);
    EXPECT_TRUE(is_cordoned(world.image, *world.image.cluster.broker(b(2))));
    beat = world.heartbeat_of(2);
    beat.cordoned_log_dirs = std::vector<Uuid>{};
    world.apply(broker_heartbeat(*world.borrow(), beat));
    EXPECT_FALSE(is_cordoned(world.image, *world.image.cluster.broker(b(2))));
}

}  // namespace
}  // namespace millrace::metadata::testing
