// AssignReplicasToDirs (KIP-858): a broker says in which directory each replica lies.
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/assign_replicas_to_dirs_request.h"
#include "protocol/messages/assign_replicas_to_dirs_response.h"

namespace millrace::metadata {
namespace {

KafkaError assign(Draft& draft, const Context& context, const Broker& broker, const Uuid& directory,
                  const TopicIdPartition& which) {
    const Topic* topic = draft.image().topics.find(which.topic_id);
    if (topic == nullptr) {
        return KafkaError::unknown_topic_id;
    }
    const Partition* partition = topic->partition(which.partition);
    if (partition == nullptr) {
        return KafkaError::unknown_topic_or_partition;
    }
    if (!partition->replicas.contains(broker.id)) {
        return KafkaError::not_leader_or_follower;
    }
    Electorate electorate(draft.image());
    PartitionChange change(which, *partition);
    change.directories[broker.id] = directory;
    if (!broker.has_online_directory(directory)) {
        // The directory failed before anyone knew that this replica lies in it.
        std::erase(change.isr, broker.id);
        electorate.without(broker.id);
        if (topic_rules(draft.image(), context.options, topic->name).unclean_election) {
            change.election = Election::unclean;
        }
    }
    add_change(draft, context, change, electorate);
    return KafkaError::none;
}

}  // namespace

Decision<protocol::AssignReplicasToDirsResponse> assign_replicas_to_dirs(
    Context& context, const protocol::AssignReplicasToDirsRequest& request) {
    Decision<protocol::AssignReplicasToDirsResponse> decision(context);
    decision.atomic = false;
    const Broker* broker = context.image.cluster.broker(BrokerId{request.broker_id});
    KafkaError error = KafkaError::none;
    if (!context.image.metadata_version().has_directories()) {
        error = KafkaError::unsupported_version;
    } else if (broker == nullptr || broker->epoch.value != request.broker_epoch) {
        error = KafkaError::stale_broker_epoch;
    }
    decision.answer.error_code = code_of(error);
    if (error != KafkaError::none) {
        return decision;
    }
    for (const auto& asked : request.directories) {
        auto& directory = decision.answer.directories.emplace_back();
        directory.id = asked.id;
        for (const auto& asked_topic : asked.topics) {
            auto& topic = directory.topics.emplace_back();
            topic.topic_id = asked_topic.topic_id;
            for (const auto& asked_partition : asked_topic.partitions) {
                auto& partition = topic.partitions.emplace_back();
                partition.partition_index = asked_partition.partition_index;
                partition.error_code = code_of(assign(
                    decision.draft, context, *broker, asked.id,
                    {asked_topic.topic_id, PartitionIndex{asked_partition.partition_index}}));
            }
        }
    }
    return decision;
}

}  // namespace millrace::metadata
