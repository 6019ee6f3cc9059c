// metadata/controller_index.h
//
// What the controller must find without walking every partition and topic: by broker, by what is
// wrong with a partition, by a name that differs only in '.' and '_'. A function of the image, kept
// beside it by apply(delta); persistent like it, so that a speculative state is thrown away for the
// price of a pointer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/persistent_map.h"

namespace millrace::metadata {

class ControllerIndex {
public:
    using PartitionSet = PersistentSet<TopicIdPartition>;
    struct Load {
        std::int64_t replicas = 0;
        std::int64_t preferred_leaders = 0;
        std::int64_t leaders = 0;
        friend bool operator==(const Load&, const Load&) = default;
    };

    static ControllerIndex of(const Image& image);
    void apply(const Delta& delta);

    /// Where the broker is in the ISR or the ELR (or leads).
    const PartitionSet& eligible_on(BrokerId broker) const;
    const PartitionSet& leaderless() const { return leaderless_; }
    const PartitionSet& reassigning() const { return reassigning_; }
    /// Led by another than the first replica.
    const PartitionSet& imbalanced() const { return imbalanced_; }
    Load load_of(BrokerId broker) const;
    /// The topic whose name is this one but for '.' and '_', if either has such a character.
    const Uuid* topic_like(std::string_view name) const;
    const Uuid* id_of(const Acl& acl) const { return acl_ids_.find(acl); }
    /// With '_' for '.'.
    static std::string folded(std::string_view name);

    friend bool operator==(const ControllerIndex& a, const ControllerIndex& b);

private:
    void add_name(const Uuid& id, std::string_view name);
    void change(const TopicIdPartition& which, const Partition* before, const Partition* after);
    void count(const Partition* partition, std::int64_t by);

    PersistentMap<std::string, Uuid> folded_names_;  ///< Of topics with '.' or '_'.
    PersistentMap<Acl, Uuid> acl_ids_;
    PersistentMap<BrokerId, PartitionSet> eligible_;
    PersistentMap<BrokerId, Load> load_;
    PartitionSet leaderless_;
    PartitionSet reassigning_;
    PartitionSet imbalanced_;
};

}  // namespace millrace::metadata
