// ElectLeaders and the elections that the controller holds by itself.
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;

constexpr std::int8_t preferred = 0;
constexpr std::int8_t unclean = 1;

struct Elections : ::testing::Test {
    Elections() {
        for (const int id : {1, 2, 3}) {
            world.bring_up(id);
        }
        topic = world.create("t", {{1, 2}, {2, 3}}, {{"min.insync.replicas", "2"}});
    }
    KafkaError elect(std::int8_t type, std::int32_t partition, std::string_view name = "t") {
        protocol::ElectLeadersRequest request;
        request.election_type = type;
        auto& which = request.topic_partitions->emplace_back();
        which.topic = name;
        which.partitions = {partition};
        const auto answer = world.apply(elect_leaders(*world.borrow(), request));
        return static_cast<KafkaError>(
            answer.replica_election_results.at(0).partition_result.at(0).error_code);
    }
    /// Broker 1 went and came back in sync; broker 2 leads partition 0.
    void lose_preferred_leader() {
        world.fence(1);
        world.heartbeat(1);
        ASSERT_EQ(world.partition(topic).leader, b(2));
        world.propose_isr(topic, {2, 1});
    }
    void allow_unclean() {
        protocol::IncrementalAlterConfigsRequest request;
        auto& resource = request.resources.emplace_back();
        resource.resource_type = static_cast<std::int8_t>(ConfigResourceType::topic);
        resource.resource_name = "t";
        auto& config = resource.configs.emplace_back();
        config.name = "unclean.leader.election.enable";
        config.value = "true";
        EXPECT_EQ(world.apply(incremental_alter_configs(*world.borrow(), request))
                      .responses.at(0)
                      .error_code,
                  0);
    }
    /// Nobody in ISR or ELR of partition 0 is up; broker 1 is, and behind.
    void lose_everyone_in_sync() {
        world.propose_isr(topic, {1});
        world.fence(1);  // 2 leads out of the ELR
        world.propose_isr(topic, {2});
        world.fence(2);
        world.come_back(1, 0);  // unclean: neither in ISR nor in ELR
        ASSERT_EQ(world.partition(topic).leader, no_broker);
    }

    World world;
    Uuid topic;
};

TEST_F(Elections, of_the_preferred_leader_give_leadership_back) {
    EXPECT_EQ(elect(preferred, 0), KafkaError::election_not_needed);
    lose_preferred_leader();
    EXPECT_EQ(elect(preferred, 0), KafkaError::none);
    EXPECT_EQ(world.partition(topic).leader, b(1));
}

TEST_F(Elections, of_a_preferred_leader_that_is_not_in_sync_fail) {
    world.fence(1);
    world.heartbeat(1);
    EXPECT_EQ(elect(preferred, 0), KafkaError::preferred_leader_not_available);
    EXPECT_EQ(world.partition(topic).leader, b(2));
}

TEST_F(Elections, of_unknown_partitions_say_so) {
    EXPECT_EQ(elect(preferred, 7), KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(elect(preferred, 0, "u"), KafkaError::unknown_topic_or_partition);
}

TEST_F(Elections, of_an_unknown_kind_are_refused) {
    protocol::ElectLeadersRequest request;
    request.election_type = 7;
    EXPECT_EQ(world.apply(elect_leaders(*world.borrow(), request)).error_code,
              code(KafkaError::invalid_request));
}

TEST_F(Elections, for_all_partitions_mention_only_those_that_were_needed) {
    lose_preferred_leader();
    protocol::ElectLeadersRequest request;
    request.election_type = preferred;
    request.topic_partitions = std::nullopt;
    const auto answer = world.apply(elect_leaders(*world.borrow(), request));
    ASSERT_EQ(answer.replica_election_results.size(), 1U);
    ASSERT_EQ(answer.replica_election_results[0].partition_result.size(), 1U);
    EXPECT_EQ(answer.replica_election_results[0].partition_result[0].partition_id, 0);
}

TEST_F(Elections, that_are_unclean_happen_only_when_asked_for_or_allowed) {
    lose_everyone_in_sync();
    world.apply(elect_unclean_where_allowed(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, no_broker);
    EXPECT_EQ(elect(unclean, 0), KafkaError::none);
    EXPECT_EQ(world.partition(topic).leader, b(1));
    EXPECT_THAT(world.partition(topic).isr, ElementsAre(b(1)));
    EXPECT_EQ(world.partition(topic).recovery, LeaderRecovery::recovering);
    EXPECT_EQ(elect(unclean, 0), KafkaError::election_not_needed);
}

TEST_F(Elections, that_are_unclean_follow_a_setting_changed_at_run_time) {  // case 25
    lose_everyone_in_sync();
    allow_unclean();
    world.apply(elect_unclean_where_allowed(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, b(1));
}

TEST_F(Elections, with_nobody_up_find_no_leader) {
    world.fence(1);
    world.fence(2);
    EXPECT_EQ(elect(unclean, 0), KafkaError::eligible_leaders_not_available);
}

TEST_F(Elections, bring_leaders_back_to_their_first_replica_by_themselves) {
    lose_preferred_leader();
    world.apply(balance_leaders(*world.borrow()));
    EXPECT_EQ(world.partition(topic).leader, b(1));
    const Offset before = world.end;
    world.apply(balance_leaders(*world.borrow()));
    EXPECT_EQ(world.end, before);
}

}  // namespace
}  // namespace millrace::metadata::testing
