// What changes of the metadata count for.
#include "app/internal/change_counts.h"

#include <gtest/gtest.h>

namespace millrace::app {
namespace {

constexpr BrokerId self{1};
constexpr BrokerId other{2};
const Uuid topic{7, 7};

metadata::Image with(metadata::Partition partition, std::int32_t epoch = 1) {
    metadata::Image image;
    image.provenance.epoch = QuorumEpoch{epoch};
    image.topics.add(topic, "orders");
    image.topics.set_partition({topic, PartitionIndex{0}},
                               make_ref<metadata::Partition>(std::move(partition)));
    return image;
}

metadata::Partition partition(BrokerId leader, metadata::BrokerList isr) {
    metadata::Partition made;
    made.replicas = {self, other};
    made.leader = leader;
    made.isr = std::move(isr);
    return made;
}

ChangeCounts counts(metadata::Partition from, metadata::Partition to) {
    return count_changes(metadata::Delta::between(with(std::move(from)), with(std::move(to))),
                         self);
}

TEST(ChangeCounts, who_leaves_and_joins_the_in_sync_set_is_counted_by_the_leader) {
    EXPECT_EQ(counts(partition(self, {self, other}), partition(self, {self})).isr_shrinks, 1U);
    EXPECT_EQ(counts(partition(self, {self}), partition(self, {self, other})).isr_expands, 1U);
    EXPECT_EQ(counts(partition(other, {self, other}), partition(other, {other})), ChangeCounts{});
}

TEST(ChangeCounts, a_new_leader_from_the_in_sync_set_is_a_clean_election) {
    const ChangeCounts found = counts(partition(other, {self, other}), partition(self, {self}));
    EXPECT_EQ(found.elections, 1U);
    EXPECT_EQ(found.unclean_elections, 0U);
}

TEST(ChangeCounts, a_leader_from_the_eligible_replicas_is_no_unclean_election) {
    metadata::Partition from = partition(no_broker, {});
    from.elr = {self};
    const ChangeCounts found = counts(from, partition(self, {self}));
    EXPECT_EQ(found.elections, 1U);
    EXPECT_EQ(found.unclean_elections, 0U);
}

TEST(ChangeCounts, a_leader_that_has_to_recover_was_elected_uncleanly) {
    metadata::Partition to = partition(self, {self});
    to.recovery = metadata::LeaderRecovery::recovering;
    EXPECT_EQ(counts(partition(no_broker, {other}), to).unclean_elections, 1U);
}

TEST(ChangeCounts, losing_the_leader_and_a_new_partition_are_no_elections) {
    EXPECT_EQ(counts(partition(self, {self}), partition(no_broker, {self})).elections, 0U);
    const auto created =
        metadata::Delta::between(metadata::Image{}, with(partition(self, {self, other})));
    EXPECT_EQ(count_changes(created, self), ChangeCounts{});
}

TEST(ChangeCounts, a_new_epoch_is_an_election_of_the_quorum) {
    const auto same = partition(self, {self});
    const auto delta = metadata::Delta::between(with(same, 3), with(same, 4));
    EXPECT_EQ(count_changes(delta, self).quorum_elections, 1U);
}

}  // namespace
}  // namespace millrace::app
