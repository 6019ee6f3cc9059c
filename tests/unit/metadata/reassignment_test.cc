// Reassignments: started, finished on the record that brings the last target in, cancelled,
// replaced.
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/list_partition_reassignments_request.h"
#include "protocol/messages/list_partition_reassignments_response.h"
#include "tests/unit/metadata/world.h"

namespace millrace::metadata::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Reassignment : ::testing::Test {
    Reassignment() {
        for (const int id : {1, 2, 3, 4, 5}) {
            world.bring_up(id);
        }
        topic = world.create("t", {{1, 2, 3}}, {{"min.insync.replicas", "2"}});
    }
    KafkaError reassign(std::optional<std::vector<std::int32_t>> replicas, std::int32_t index = 0,
                        std::string_view name = "t", bool may_change_factor = true) {
        protocol::AlterPartitionReassignmentsRequest request;
        request.allow_replication_factor_change = may_change_factor;
        auto& asked = request.topics.emplace_back();
        asked.name = name;
        auto& partition = asked.partitions.emplace_back();
        partition.partition_index = index;
        partition.replicas = std::move(replicas);
        const auto answer = world.apply(alter_partition_reassignments(*world.borrow(), request));
        return static_cast<KafkaError>(answer.responses.at(0).partitions.at(0).error_code);
    }
    const Partition& partition() const { return world.partition(topic); }

    World world;
    Uuid topic;
};

TEST_F(Reassignment, adds_first_and_removes_in_the_end) {
    EXPECT_EQ(reassign({{1, 2, 4}}), KafkaError::none);
    EXPECT_THAT(partition().replicas, ElementsAre(b(1), b(2), b(4), b(3)));
    EXPECT_THAT(partition().adding, ElementsAre(b(4)));
    EXPECT_THAT(partition().removing, ElementsAre(b(3)));
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3, 4}), KafkaError::none);
    EXPECT_FALSE(partition().is_reassigning());
    EXPECT_THAT(partition().replicas, ElementsAre(b(1), b(2), b(4)));
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2), b(4)));
    EXPECT_EQ(partition().leader_epoch, LeaderEpoch{1});  // fences what the removed one still sends
}

TEST_F(Reassignment, is_not_over_before_every_target_is_in_sync) {  // case 26
    EXPECT_EQ(reassign({{1, 4, 5}}), KafkaError::none);
    world.propose_isr(topic, {1, 2, 3, 4});
    EXPECT_TRUE(partition().is_reassigning());
    // All that is added is in sync, but a target that was there before is not.
    world.propose_isr(topic, {1, 2, 3});
    EXPECT_EQ(reassign({{2, 3, 4}}), KafkaError::none);
    world.propose_isr(topic, {1, 2, 4});
    EXPECT_TRUE(partition().is_reassigning());
    world.propose_isr(topic, {1, 2, 4, 3});
    EXPECT_FALSE(partition().is_reassigning());
}

TEST_F(Reassignment, that_removes_the_leader_elects_another_and_tells_it) {
    EXPECT_EQ(reassign({{4, 2, 3}}), KafkaError::none);
    EXPECT_EQ(world.propose_isr(topic, {1, 2, 3, 4}), KafkaError::new_leader_elected);
    EXPECT_EQ(partition().leader, b(4));
    EXPECT_THAT(partition().replicas, ElementsAre(b(4), b(2), b(3)));
}

TEST_F(Reassignment, cancelled_leads_back_to_the_original_replicas) {  // case 27
    EXPECT_EQ(reassign(std::nullopt), KafkaError::no_reassignment_in_progress);
    reassign({{1, 4, 5}});
    world.propose_isr(topic, {1, 2, 3, 4});
    EXPECT_EQ(reassign(std::nullopt), KafkaError::none);
    EXPECT_THAT(partition().replicas.to_vector(),
                ::testing::UnorderedElementsAre(b(1), b(2), b(3)));
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2), b(3)));
    EXPECT_FALSE(partition().is_reassigning());
}

TEST_F(Reassignment, is_not_cancelled_when_only_new_replicas_are_in_sync) {
    reassign({{4, 5, 1}});
    world.propose_isr(topic, {1, 4});
    world.fence(1);  // 4 leads
    ASSERT_EQ(partition().leader, b(4));
    EXPECT_EQ(reassign(std::nullopt), KafkaError::invalid_replica_assignment);
}

TEST_F(Reassignment, replaced_by_another_still_knows_the_original_replicas) {  // case 28
    reassign({{1, 2, 4}});
    world.propose_isr(topic, {1, 2, 3, 4});
    // Finished; now one that is replaced before it ends.
    reassign({{1, 2, 5}});
    EXPECT_EQ(reassign({{1, 2, 3}}), KafkaError::none);
    EXPECT_THAT(partition().replicas, ElementsAre(b(1), b(2), b(3), b(4)));
    EXPECT_THAT(partition().adding, ElementsAre(b(3)));
    EXPECT_THAT(partition().removing, ElementsAre(b(4)));
    EXPECT_EQ(reassign(std::nullopt), KafkaError::none);
    EXPECT_THAT(partition().replicas, ElementsAre(b(1), b(2), b(4)));
}

TEST_F(Reassignment, replaced_keeps_a_new_replica_that_the_isr_cant_do_without) {
    reassign({{1, 2, 4}});
    world.propose_isr(topic, {1, 4});
    EXPECT_EQ(reassign({{1, 2, 5}}), KafkaError::none);
    EXPECT_TRUE(partition().isr.contains(b(4)));
    EXPECT_TRUE(partition().removing.contains(b(4)));
}

TEST_F(Reassignment, to_the_original_replicas_is_a_cancel) {
    reassign({{1, 4, 5}});
    EXPECT_EQ(reassign({{1, 2, 3}}), KafkaError::none);
    EXPECT_FALSE(partition().is_reassigning());
    EXPECT_THAT(partition().replicas, ElementsAre(b(1), b(2), b(3)));
}

TEST_F(Reassignment, of_the_order_alone_is_done_at_once) {
    EXPECT_EQ(reassign({{3, 2, 1}}), KafkaError::none);
    EXPECT_THAT(partition().replicas, ElementsAre(b(3), b(2), b(1)));
    EXPECT_FALSE(partition().is_reassigning());
    EXPECT_EQ(partition().leader, b(1));
}

TEST_F(Reassignment, to_fewer_replicas_waits_for_those_that_stay) {
    world.propose_isr(topic, {1, 3});
    EXPECT_EQ(reassign({{1, 2}}), KafkaError::none);
    EXPECT_TRUE(partition().is_reassigning());
    world.propose_isr(topic, {1, 3, 2});
    EXPECT_FALSE(partition().is_reassigning());
    EXPECT_THAT(partition().isr, ElementsAre(b(1), b(2)));
}

TEST_F(Reassignment, may_be_held_to_the_replication_factor) {
    EXPECT_EQ(reassign({{1, 2}}, 0, "t", false), KafkaError::invalid_replication_factor);
    EXPECT_EQ(reassign({{1, 2, 4}}, 0, "t", false), KafkaError::none);
    EXPECT_EQ(reassign({{1, 2, 5}}, 0, "t", false), KafkaError::none);
}

TEST_F(Reassignment, to_impossible_replicas_is_refused) {
    EXPECT_EQ(reassign(std::vector<std::int32_t>{}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(reassign({{1, 1}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(reassign({{1, 77}}), KafkaError::invalid_replica_assignment);
    EXPECT_EQ(reassign({{1, 2}}, 9), KafkaError::unknown_topic_or_partition);
    EXPECT_EQ(reassign({{1, 2}}, 0, "u"), KafkaError::unknown_topic_or_partition);
}

TEST_F(Reassignment, of_the_first_partition_does_not_count_for_new_ones) {
    ASSERT_EQ(reassign({{3, 4, 5}}), KafkaError::none);
    ASSERT_EQ(partition().replicas.size(), 5U);
    protocol::CreatePartitionsRequest request;
    auto& growth = request.topics.emplace_back();
    growth.name = "t";
    growth.count = 2;
    growth.assignments.reset();
    ASSERT_EQ(world.apply(create_partitions(*world.borrow(), request)).results.at(0).error_code, 0);
    EXPECT_EQ(world.partition(topic, 1).replicas.size(), 3U);
    growth.count = 3;
    growth.assignments.emplace().emplace_back().broker_ids = {1, 2, 5};
    ASSERT_EQ(world.apply(create_partitions(*world.borrow(), request)).results.at(0).error_code, 0);
    EXPECT_THAT(world.partition(topic, 2).replicas, ElementsAre(b(1), b(2), b(5)));
}

TEST_F(Reassignment, is_listed_while_it_lasts) {
    const auto listed = [&](std::optional<std::string_view> name) {
        protocol::ListPartitionReassignmentsRequest request;
        if (name) {
            auto& asked = request.topics.emplace().emplace_back();
            asked.name = *name;
            asked.partition_indexes = {0, 5};
        }
        return world.apply(list_partition_reassignments(*world.borrow(), request));
    };
    EXPECT_THAT(listed(std::nullopt).topics, IsEmpty());
    reassign({{1, 2, 4}});
    for (const auto& answer : {listed(std::nullopt), listed("t")}) {
        ASSERT_EQ(answer.topics.size(), 1U);
        EXPECT_EQ(answer.topics[0].name, "t");
        ASSERT_EQ(answer.topics[0].partitions.size(), 1U);
        EXPECT_THAT(answer.topics[0].partitions[0].replicas, ElementsAre(1, 2, 4, 3));
        EXPECT_THAT(answer.topics[0].partitions[0].adding_replicas, ElementsAre(4));
        EXPECT_THAT(answer.topics[0].partitions[0].removing_replicas, ElementsAre(3));
    }
    EXPECT_THAT(listed("u").topics, IsEmpty());
}

TEST_F(Reassignment, goes_on_through_the_loss_of_its_target) {  // case 28
    reassign({{1, 2, 4}});
    world.propose_isr(topic, {1, 2, 3});
    world.fence(4);
    world.fence(1);
    EXPECT_EQ(partition().leader, b(2));
    EXPECT_TRUE(partition().is_reassigning());
    EXPECT_EQ(reassign(std::nullopt), KafkaError::none);
    EXPECT_FALSE(partition().is_reassigning());
}

}  // namespace
}  // namespace millrace::metadata::testing
