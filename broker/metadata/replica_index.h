// metadata/replica_index.h
//
// What the controller must find without walking every partition: by broker, and by what is wrong
// with a partition. A function of the image, kept beside it by apply(delta); persistent like it, so
// that a speculative state is thrown away for the price of a pointer.
#pragma once

#include <cstdint>

#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/persistent_map.h"

namespace millrace::metadata {

class ReplicaIndex {
public:
    using PartitionSet = PersistentSet<TopicIdPartition>;
    struct Load {
        std::int64_t replicas = 0;
        std::int64_t preferred_leaders = 0;
        friend bool operator==(const Load&, const Load&) = default;
    };

    static ReplicaIndex of(const Image& image);
    void apply(const Delta& delta);

    /// Where the broker is in the ISR or the ELR (or leads).
    const PartitionSet& eligible_on(BrokerId broker) const;
    const PartitionSet& leaderless() const { return leaderless_; }
    const PartitionSet& reassigning() const { return reassigning_; }
    /// Led by another than the first replica.
    const PartitionSet& imbalanced() const { return imbalanced_; }
    Load load_of(BrokerId broker) const;

    friend bool operator==(const ReplicaIndex& a, const ReplicaIndex& b);

private:
    void change(const TopicIdPartition& which, const Partition* before, const Partition* after);
    void count(const Partition* partition, std::int64_t by);

    PersistentMap<BrokerId, PartitionSet> eligible_;
    PersistentMap<BrokerId, Load> load_;
    PartitionSet leaderless_;
    PartitionSet reassigning_;
    PartitionSet imbalanced_;
};

}  // namespace millrace::metadata
