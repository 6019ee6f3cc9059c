// AlterPartition: the compare-and-set of ISRs, eligibility, ELR and recovery.
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct AlterPartition : ::testing::Test {
    AlterPartition() {
        for (const int id : {1, 2, 3, 4}) {
            world.bring_up(id);
        }
        topic = world.create("t", {{1, 2, 3}}, {{"min.insync.replicas", "2"}});
    }
    const Partition& partition() const { return world.partition(topic); }
    protocol::AlterPartitionRequest::PartitionData& data(protocol::AlterPartitionRequest& request) {
        return request.topics[0].partitions[0];
    }

    World world;
    Uuid topic;
};

TEST_F(AlterPartition, shrinks_and_grows_the_isr_without_a_new_leader_epoch) {
    EXPECT_EQ(world.propose_isr(topic, {1, 2}), KafkaError::none);
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2)));
    EXPECT_EQ(partition().leader_epoch, LeaderEpoch{0});
    EXPECT_EQ(partition().epoch, PartitionEpoch{1});
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::none);
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2), b(3)));
}

TEST_F(AlterPartition, answers_the_new_state) {
    const auto answer =
        world.apply(alter_partition(*world.borrow(), world.proposal(topic, {1, 3})));
    const auto& outcome = answer.topics.at(0).partitions.at(0);
    EXPECT_EQ(outcome.leader_id, 1);
    EXPECT_THAT(outcome.isr, ElementsAre(1, 3));
    EXPECT_EQ(outcome.partition_epoch, 1);
    EXPECT_EQ(outcome.leader_epoch, 0);
}

TEST_F(AlterPartition, lets_one_of_two_proposals_win) {  // case 15
    const auto first = world.proposal(topic, {1, 2});
    const auto second = world.proposal(topic, {1, 3});
    EXPECT_EQ(world.propose(first), KafkaError::none);
    EXPECT_EQ(world.propose(second), KafkaError::invalid_update_version);
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2)));
}

// What a leader asked for and was never answered may arrive after all; this is how it takes it
// back.
TEST_F(AlterPartition, with_the_isr_as_it_is_ends_what_was_proposed_before) {
    const auto lost = world.proposal(topic, {1, 2});
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::none);
    EXPECT_EQ(partition().epoch, PartitionEpoch{1});
    EXPECT_EQ(world.propose(lost), KafkaError::invalid_update_version);
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2), b(3)));
}

TEST_F(AlterPartition, from_an_older_leader_epoch_is_fenced) {
    auto request = world.proposal(topic, {1, 2});
    world.fence(1);
    world.come_back(1, 0);
    request.broker_epoch = world.image.cluster.broker(b(1))->epoch.value;
    EXPECT_EQ(world.propose(request), KafkaError::fenced_leader_epoch);
}

TEST_F(AlterPartition, from_the_future_means_that_we_are_not_the_controller) {
    auto request = world.proposal(topic, {1, 2});
    data(request).leader_epoch = 5;
    EXPECT_EQ(world.propose(request), KafkaError::not_controller);
    request = world.proposal(topic, {1, 2});
    data(request).partition_epoch = 5;
    EXPECT_EQ(world.propose(request), KafkaError::not_controller);
}

TEST_F(AlterPartition, of_a_restarted_leader_is_stale) {
    auto request = world.proposal(topic, {1, 2});
    --request.broker_epoch;
    EXPECT_EQ(world.propose(request), KafkaError::stale_broker_epoch);
}

TEST_F(AlterPartition, from_someone_who_doesnt_lead_is_invalid) {
    auto request = world.proposal(topic, {1, 2});
    request.broker_id = 2;
    request.broker_epoch = world.image.cluster.broker(b(2))->epoch.value;
    EXPECT_EQ(world.propose(request), KafkaError::invalid_request);
}

TEST_F(AlterPartition, with_an_impossible_isr_is_invalid) {
    EXPECT_EQ(world.propose_isr(topic, {1, 4}), KafkaError::invalid_request);     // no replica
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 2}), KafkaError::invalid_request);  // twice
    EXPECT_EQ(world.propose_isr(topic, {2, 3}), KafkaError::invalid_request);     // no leader
}

TEST_F(AlterPartition, of_something_unknown_says_so) {
    auto request = world.proposal(topic, {1, 2});
    data(request).partition_index = 9;
    EXPECT_EQ(world.propose(request), KafkaError::unknown_topic_or_partition);
    request = world.proposal(topic, {1, 2});
    request.topics[0].topic_id = Uuid{8, 8};
    EXPECT_EQ(world.propose(request), KafkaError::unknown_topic_id);
}

TEST_F(AlterPartition, admits_no_fenced_or_leaving_broker) {  // case 19
    world.fence(3);
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::ineligible_replica);
    world.heartbeat(3);
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::none);
    auto stop = world.heartbeat_of(2);
    world.create("led-by-2", {{2, 1}});
    stop.want_shut_down = true;
    world.apply(broker_heartbeat(*world.borrow(), stop));
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::ineligible_replica);
}

TEST_F(AlterPartition, admits_no_incarnation_but_the_one_that_caught_up) {  // case 20
    EXPECT_EQ(world.propose_isr(topic, {1, 2}), KafkaError::none);
    auto request = world.proposal(topic, {1, 2, 3});
    world.fence(3);
    world.come_back(3, 0);
    EXPECT_EQ(world.propose(request), KafkaError::ineligible_replica);
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3}), KafkaError::none);
}

TEST_F(AlterPartition, of_version_2_carries_no_epochs) {
    auto request = world.proposal(topic, {});
    data(request).new_isr = {1, 2};
    EXPECT_EQ(world.propose(request), KafkaError::none);
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2)));
}

TEST_F(AlterPartition, below_min_isr_makes_those_who_leave_eligible_leaders) {  // KIP-966
    EXPECT_EQ(world.propose_isr(topic, {1, 2}), KafkaError::none);
    EXPECT_THAT(partition().elr, IsEmpty());
    EXPECT_EQ(world.propose_isr(topic, {1}), KafkaError::none);
    EXPECT_THAT(partition().elr, ElementsAre(b(2)));
    EXPECT_EQ(world.propose_isr(topic, {1, 3}), KafkaError::none);
    EXPECT_THAT(partition().elr, IsEmpty());
}

TEST_F(AlterPartition, members_of_the_elr_lead_when_the_isr_is_empty) {
    world.propose_isr(topic, {1, 2});
    world.propose_isr(topic, {1});
    world.fence(1);
    EXPECT_EQ(partition().leader, b(2));
    EXPECT_THAT(partition().isr, ElementsAre(b(2)));
    EXPECT_THAT(partition().elr, ElementsAre(b(1)));
    EXPECT_EQ(partition().recovery, LeaderRecovery::recovered);  // no unclean election (case 24)
}

TEST_F(AlterPartition, ends_the_recovery_after_an_unclean_election) {
    world.fence(3);
    world.propose_isr(topic, {1});
    world.fence(1);
    world.fence(2);
    world.come_back(2, 0);
    world.come_back(3, 0);
    EXPECT_EQ(partition().leader, no_broker);
    protocol::ElectLeadersRequest elect;
    elect.election_type = 1;
    auto& which = elect.topic_partitions->emplace_back();
    which.topic = "t";
    which.partitions = {0};
    world.apply(elect_leaders(*world.borrow(), elect));
    ASSERT_NE(partition().leader, no_broker);
    EXPECT_EQ(partition().recovery, LeaderRecovery::recovering);
    const int leader = partition().leader.value;
    // While it recovers nobody else is in the ISR.
    auto request = world.proposal(topic, {2, 3});
    data(request).leader_recovery_state = 1;
    EXPECT_EQ(world.propose(request), KafkaError::invalid_request);
    EXPECT_EQ(world.propose_isr(topic, {leader}), KafkaError::none);
    EXPECT_EQ(partition().recovery, LeaderRecovery::recovered);
    request = world.proposal(topic, {leader});
    data(request).leader_recovery_state = 1;
    EXPECT_EQ(world.propose(request), KafkaError::invalid_request);
}

TEST_F(AlterPartition, without_elr_keeps_the_last_member_in_the_isr) {
    World old(1, {{std::string(feature::eligible_leader_replicas), std::int16_t{0}}});
    for (const int id : {1, 2}) {
        old.bring_up(id);
    }
    const Uuid id = old.create("t", {{1, 2}}, {{"min.insync.replicas", "2"}});
    old.fence(1);
    EXPECT_THAT(old.partition(id).isr, ElementsAre(b(2)));
    EXPECT_THAT(old.partition(id).elr, IsEmpty());
    old.fence(2);
    EXPECT_THAT(old.partition(id).isr, ElementsAre(b(2)));
    EXPECT_EQ(old.partition(id).leader, no_broker);
    old.heartbeat(1);
    EXPECT_EQ(old.partition(id).leader, no_broker);
    old.heartbeat(2);
    EXPECT_EQ(old.partition(id).leader, b(2));
}

}  // namespace
}  // namespace millrace::metadata::testing
