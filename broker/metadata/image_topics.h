// metadata/image_topics.h
//
// The topics and partitions of an image.
#pragma once

#include <cstdint>
#include <string>

#include "metadata/persistent_map.h"
#include "metadata/ref.h"
#include "metadata/short_list.h"
#include "model/ids.h"

namespace millrace::metadata {

/// Kafka's reserved directory ids: nobody has said where yet; the directory failed; somewhere on a
/// broker that came from ZooKeeper.
inline constexpr Uuid unassigned_directory{0, 0};
inline constexpr Uuid lost_directory{0, 1};
inline constexpr Uuid migrating_directory{0, 2};

enum class LeaderRecovery : std::int8_t {
    recovered = 0,
    recovering = 1,  ///< The leader came from an unclean election and has not finished.
};

struct Partition : RefCounted {
    BrokerList replicas;  ///< In preferred order; those being added and removed included.
    BrokerList isr;
    BrokerList removing;
    BrokerList adding;
    BrokerList elr;             ///< Eligible leaders outside the ISR (KIP-966).
    BrokerList last_known_elr;  ///< Whom to ask once even the ELR is empty.
    DirectoryList directories;  ///< Where each of `replicas` keeps it, in that order.
    BrokerId leader = no_broker;
    LeaderEpoch leader_epoch = no_leader_epoch;
    PartitionEpoch epoch{-1};  ///< Grows with every change of anything here.
    LeaderRecovery recovery = LeaderRecovery::recovered;

    bool is_reassigning() const { return !adding.empty() || !removing.empty(); }
    bool has_preferred_leader() const { return !replicas.empty() && leader == replicas[0]; }
    /// unassigned_directory if `broker` holds no replica.
    Uuid directory_of(BrokerId broker) const;
    friend bool operator==(const Partition& a, const Partition& b);
};
using PartitionRef = Ref<const Partition>;
using Partitions = PersistentMap<PartitionIndex, PartitionRef>;

struct Topic : RefCounted {
    Uuid id;
    std::string name;
    Partitions partitions;

    const Partition* partition(PartitionIndex index) const {
        const PartitionRef* found = partitions.find(index);
        return found != nullptr ? found->get() : nullptr;
    }
    friend bool operator==(const Topic& a, const Topic& b);
};

class Topics {
public:
    const Topic* find(const Uuid& id) const {
        const Ref<Topic>* found = by_id_.find(id);
        return found != nullptr ? found->get() : nullptr;
    }
    const Topic* find(std::string_view name) const {
        const Uuid* id = ids_.find(name);
        return id != nullptr ? find(*id) : nullptr;
    }
    const Partition* partition(const TopicIdPartition& which) const {
        const Topic* topic = find(which.topic_id);
        return topic != nullptr ? topic->partition(which.partition) : nullptr;
    }
    std::size_t size() const { return ids_.size(); }
    std::int64_t partition_count() const { return partition_count_; }

    /// In order of name: {key: name, value: topic id}. lower_bound(name) starts a page.
    const PersistentMap<std::string, Uuid>& by_name() const { return ids_; }
    /// In order of id: {key: id, value: Ref<Topic>}.
    const PersistentMap<Uuid, Ref<Topic>>& by_id() const { return by_id_; }

    // How a delta changes it. Everyone else holds it const.
    void add(Uuid id, std::string name);
    bool remove(const Uuid& id);
    bool set_partition(const TopicIdPartition& which, PartitionRef partition);

    friend bool operator==(const Topics& a, const Topics& b);

private:
    PersistentMap<Uuid, Ref<Topic>> by_id_;
    PersistentMap<std::string, Uuid> ids_;
    std::int64_t partition_count_ = 0;
};

}  // namespace millrace::metadata
