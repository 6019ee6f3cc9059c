#include "tests/unit/metadata/world.h"

#include "metadata/internal/topic_rules.h"

namespace millrace::metadata::testing {
namespace {

template <typename A, typename B>
bool is_subset(const A& a, const B& of) {
    return std::all_of(a.begin(), a.end(), [&](BrokerId id) { return of.contains(id); });
}

}  // namespace

void World::check_partition(const Topic& topic, std::int32_t number, const Partition& partition,
                            const Partition* before) const {
    SCOPED_TRACE(topic.name + "-" + std::to_string(number));
    const std::set<BrokerId> replicas(partition.replicas.begin(), partition.replicas.end());
    EXPECT_EQ(replicas.size(), partition.replicas.size());
    EXPECT_EQ(partition.directories.size(), partition.replicas.size());
    EXPECT_TRUE(is_subset(partition.isr, partition.replicas));
    EXPECT_TRUE(is_subset(partition.elr, partition.replicas));
    EXPECT_TRUE(is_subset(partition.adding, partition.replicas));
    EXPECT_TRUE(is_subset(partition.removing, partition.replicas));
    for (const BrokerId id : partition.elr) {
        EXPECT_FALSE(partition.isr.contains(id));
    }
    for (const BrokerId id : partition.adding) {
        EXPECT_FALSE(partition.removing.contains(id));
    }
    const std::size_t min_isr =
        std::min(topic_rules(image, options, topic.name).min_isr, partition.replicas.size());
    EXPECT_TRUE(partition.isr.size() < min_isr || partition.elr.empty());
    if (partition.leader != no_broker) {
        EXPECT_TRUE(partition.isr.contains(partition.leader));
        EXPECT_TRUE(image.cluster.is_active(partition.leader)) << partition.leader.value;
    }
    if (before != nullptr) {
        EXPECT_GE(partition.leader_epoch, before->leader_epoch);
        EXPECT_GE(partition.epoch, before->epoch);
        EXPECT_TRUE(partition == *before || partition.epoch > before->epoch);
        EXPECT_TRUE(partition.leader == before->leader ||
                    partition.leader_epoch > before->leader_epoch);
    }
}

void World::check_invariants(const Image& before) const {
    for (const auto& [id, topic] : image.topics.by_id()) {
        EXPECT_EQ(image.topics.find(std::string_view(topic->name)), topic.get());
        for (const auto& [number, partition] : topic->partitions) {
            check_partition(*topic, number.value, *partition,
                            before.topics.partition({id, number}));
        }
    }
    EXPECT_TRUE(index == ControllerIndex::of(image));
}

}  // namespace millrace::metadata::testing
