#include <fmt/format.h>

#include "metadata/internal/brokers.h"
#include "metadata/internal/replay.h"

namespace millrace::metadata {
namespace {

/// Before metadata.version 3.7-IV2 nobody kept directories: Kafka calls all of them "migrating".
Result<DirectoryList> directories_of(const std::vector<Uuid>& recorded, std::size_t replicas) {
    if (recorded.size() == replicas) {
        return DirectoryList(recorded);
    }
    for (const Uuid& directory : recorded) {
        if (directory != migrating_directory) {
            return Error::make(Code::corrupt, "{} directories for {} replicas", recorded.size(),
                               replicas);
        }
    }
    return DirectoryList(std::vector<Uuid>(replicas, migrating_directory));
}

Result<LeaderRecovery> recovery_of(std::int8_t value) {
    if (value != 0 && value != 1) {
        return Error::make(Code::corrupt, "leader recovery state {}", value);
    }
    return static_cast<LeaderRecovery>(value);
}

Result<Partition> merge(const Partition& before, const protocol::PartitionChangeRecord& record) {
    Partition after = before;
    const auto take = [](BrokerList& to, const std::optional<std::vector<std::int32_t>>& ids) {
        if (ids) {
            to = broker_list(*ids);
        }
    };
    take(after.replicas, record.replicas);
    take(after.isr, record.isr);
    take(after.removing, record.removing_replicas);
    take(after.adding, record.adding_replicas);
    take(after.elr, record.eligible_leader_replicas);
    take(after.last_known_elr, record.last_known_elr);
    const std::vector<Uuid> directories =
        record.directories ? *record.directories : before.directories.to_vector();
    MR_TRY(after.directories, directories_of(directories, after.replicas.size()));
    if (record.leader != no_leader_change) {
        after.leader = BrokerId{record.leader};
        ++after.leader_epoch;
    }
    if (record.leader_recovery_state != -1) {
        MR_TRY(after.recovery, recovery_of(record.leader_recovery_state));
    }
    ++after.epoch;
    return after;
}

}  // namespace

void Delta::Replayer::put_partition(const TopicIdPartition& which, Partition partition) {
    changes().partitions.insert(which);
    next().topics.set_partition(which, make_ref<Partition>(std::move(partition)));
}

Result<void> Delta::Replayer::operator()(const protocol::TopicRecord& record) {
    std::string name(record.name);
    if (next().topics.find(record.topic_id) != nullptr ||
        next().topics.find(std::string_view(name)) != nullptr) {
        return Error::make(Code::corrupt, "topic {} with id {} is there already", name,
                           record.topic_id);
    }
    changes().topics_created.insert(record.topic_id);
    next().topics.add(record.topic_id, std::move(name));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::RemoveTopicRecord& record) {
    const Topic* topic = next().topics.find(record.topic_id);
    if (topic == nullptr) {
        return Error::make(Code::corrupt, "removal of topic id {}, which is not there",
                           record.topic_id);
    }
    const ConfigResource resource{ConfigResourceType::topic, topic->name};
    if (next().configs.find(resource) != nullptr) {
        next().configs.erase(resource);
        changes().configs.insert(resource);
    }
    auto& touched = changes().partitions;
    touched.erase(touched.lower_bound({record.topic_id, PartitionIndex{0}}),
                  touched.upper_bound({record.topic_id, PartitionIndex{INT32_MAX}}));
    if (changes().topics_created.erase(record.topic_id) == 0) {
        changes().topics_deleted.emplace(record.topic_id, topic->name);
    }
    next().topics.remove(record.topic_id);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::PartitionRecord& record) {
    if (next().topics.find(record.topic_id) == nullptr || record.partition_id < 0) {
        return Error::make(Code::corrupt, "partition {} of topic id {}, which is not there",
                           record.partition_id, record.topic_id);
    }
    Partition partition;
    partition.replicas = broker_list(record.replicas);
    partition.isr = broker_list(record.isr);
    partition.removing = broker_list(record.removing_replicas);
    partition.adding = broker_list(record.adding_replicas);
    if (record.eligible_leader_replicas) {
        partition.elr = broker_list(*record.eligible_leader_replicas);
    }
    if (record.last_known_elr) {
        partition.last_known_elr = broker_list(*record.last_known_elr);
    }
    MR_TRY(partition.directories, directories_of(record.directories, partition.replicas.size()));
    MR_TRY(partition.recovery, recovery_of(record.leader_recovery_state));
    partition.leader = BrokerId{record.leader};
    partition.leader_epoch = LeaderEpoch{record.leader_epoch};
    partition.epoch = PartitionEpoch{record.partition_epoch};
    put_partition({record.topic_id, PartitionIndex{record.partition_id}}, std::move(partition));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::PartitionChangeRecord& record) {
    const TopicIdPartition which{record.topic_id, PartitionIndex{record.partition_id}};
    const Partition* before = next().topics.partition(which);
    if (before == nullptr) {
        return Error::make(Code::corrupt,
                           "change of partition {} of topic id {}, which is not there",
                           record.partition_id, record.topic_id);
    }
    MR_TRY(Partition after, merge(*before, record));
    put_partition(which, std::move(after));
    return {};
}

void Delta::Replayer::clear_elr(const Topic& topic) {
    const Partitions partitions = topic.partitions;  // the topic changes while we walk
    const Uuid id = topic.id;
    for (const auto& [index, partition] : partitions) {
        if (!partition->elr.empty() || !partition->last_known_elr.empty()) {
            Partition cleared = *partition;
            cleared.elr = {};
            cleared.last_known_elr = {};
            ++cleared.epoch;
            put_partition({id, index}, std::move(cleared));
        }
    }
}

Result<void> Delta::Replayer::operator()(const protocol::ClearElrRecord& record) {
    if (record.topic_name.empty()) {
        const Topics topics = next().topics;
        for (const auto& [id, topic] : topics.by_id()) {
            clear_elr(*topic);
        }
        return {};
    }
    const Topic* topic = next().topics.find(record.topic_name);
    if (topic == nullptr) {
        return Error::make(Code::corrupt, "clearing the ELR of topic {}, which is not there",
                           record.topic_name);
    }
    const Ref<const Topic> held = make_ref<Topic>(*topic);
    clear_elr(*held);
    return {};
}

}  // namespace millrace::metadata
