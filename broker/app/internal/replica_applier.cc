#include "app/internal/replica_applier.h"

#include <algorithm>

namespace millrace::app {
namespace {

std::vector<BrokerId> to_vector(const metadata::BrokerList& list) {
    return {list.begin(), list.end()};
}

bool holds(const metadata::Partition& partition, BrokerId broker) {
    return std::find(partition.replicas.begin(), partition.replicas.end(), broker) !=
           partition.replicas.end();
}

}  // namespace

void ReplicaApplier::on_publish(const metadata::Delta& delta, const metadata::ImagePtr& image) {
    for (const auto& [topic_id, name] : delta.changes().topics_deleted) {
        if (const metadata::Topic* topic = delta.before().topics.find(topic_id)) {
            for (const auto& entry : topic->partitions) {
                if (holds(*entry.value, self_)) {
                    unassign({topic_id, entry.key});
                }
            }
        }
    }
    for (const TopicIdPartition& id : delta.changes().partitions) {
        const metadata::Topic* topic = image->topics.find(id.topic_id);
        const metadata::Partition* partition =
            topic == nullptr ? nullptr : topic->partition(id.partition);
        if (partition == nullptr) {
            continue;
        }
        if (holds(*partition, self_)) {
            assign(*topic, id.partition, *partition);
            continue;
        }
        const metadata::Partition* before = delta.before().topics.partition(id);
        if (before != nullptr && holds(*before, self_)) {
            unassign(id);
        }
    }
}

void ReplicaApplier::assign(const metadata::Topic& topic, PartitionIndex index,
                            const metadata::Partition& partition) {
    replication::PartitionState state;
    state.id = {topic.id, index};
    state.topic = topic.name;
    state.replicas = to_vector(partition.replicas);
    state.isr = to_vector(partition.isr);
    state.adding = to_vector(partition.adding);
    state.removing = to_vector(partition.removing);
    state.leader = partition.leader;
    state.leader_epoch = partition.leader_epoch;
    state.partition_epoch = partition.epoch;
    state.directory = partition.directory_of(self_);
    auto rules = topics_.current()->rules(topic.name);
    replicas_.on_shard(replicas_.shard_of(state.id),
                       [state = std::move(state), rules = std::move(rules),
                        self = self_](replication::ShardReplicas& shard) {
                           shard.assign(state, rules->replication_of(state.id.partition, self));
                       });
}

void ReplicaApplier::unassign(const TopicIdPartition& id) {
    replicas_.on_shard(replicas_.shard_of(id),
                       [id](replication::ShardReplicas& shard) { shard.unassign(id); });
}

void ReplicaApplier::on_settings_changed(const metadata::Image& image) {
    for (const auto& entry : image.topics.by_id()) {
        change_settings(*entry.value);
    }
}

void ReplicaApplier::on_settings_changed(const metadata::Image& image,
                                         const std::vector<std::string>& topics) {
    for (const std::string& name : topics) {
        if (const metadata::Topic* topic = image.topics.find(std::string_view(name))) {
            change_settings(*topic);
        }
    }
}

void ReplicaApplier::change_settings(const metadata::Topic& topic) {
    const auto rules = topics_.current()->rules(topic.name);
    for (const auto& part : topic.partitions) {
        if (holds(*part.value, self_)) {
            const TopicIdPartition id{topic.id, part.key};
            replicas_.on_shard(replicas_.shard_of(id), [id, rules, self = self_](
                                                           replication::ShardReplicas& shard) {
                shard.change_settings(id, rules->replication_of(id.partition, self));
            });
        }
    }
}

}  // namespace millrace::app
