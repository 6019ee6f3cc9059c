// placement/internal/model.h
//
// The cluster as the passes of the planner see it: brokers and partitions by dense numbers, in an
// order that doesn't depend on the input's, replicas in one flat array. replace(), add() and
// remove() keep every count; what they are asked for, the passes have checked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <unordered_map>
#include <vector>

#include "placement/plan.h"

namespace millrace::placement {

using BrokerIndex = std::uint32_t;
using PartitionNumber = std::uint32_t;
inline constexpr BrokerIndex nobody = std::numeric_limits<BrokerIndex>::max();

/// Spreads bits, so that neighbours don't stay neighbours.
constexpr std::uint64_t mixed(std::uint64_t value) {
    value ^= value >> 33;
    value *= 0xff51afd7ed558ccdULL;
    value ^= value >> 33;
    value *= 0xc4ceb9fe1a85ec53ULL;
    return value ^ (value >> 33);
}
std::uint64_t hash_of(std::string_view text);

/// Replicas of each topic on each broker.
class TopicCounts {
public:
    TopicCounts(std::size_t topics, std::size_t brokers);
    std::int32_t of(std::uint32_t topic, BrokerIndex broker) const {
        const std::size_t at = std::size_t{topic} * brokers_ + broker;
        if (!dense_.empty()) {
            return dense_[at];
        }
        const auto found = sparse_.find(at);
        return found != sparse_.end() ? found->second : 0;
    }
    void change(std::uint32_t topic, BrokerIndex broker, std::int32_t by) {
        const std::size_t at = std::size_t{topic} * brokers_ + broker;
        (dense_.empty() ? sparse_[at] : dense_[at]) += by;
    }

private:
    std::size_t brokers_;
    std::vector<std::int32_t> dense_;  ///< While that is a matter of some hundred megabytes.
    std::unordered_map<std::size_t, std::int32_t> sparse_;
};

class Model {
public:
    struct Broker {
        BrokerId id;
        std::uint32_t rack = 0;
        Standing standing = Standing::active;
        double weight = 1;
        std::vector<Disk> disks;
        std::uint64_t hash = 0;
        std::int64_t count = 0;
        std::int64_t leaders = 0;
        std::int64_t bytes = 0;
        std::int64_t count_before = 0;
        std::int64_t leaders_before = 0;
        std::int64_t bytes_before = 0;

        bool receives() const { return standing == Standing::active; }
        bool must_be_empty() const {
            return standing == Standing::lost || standing == Standing::draining;
        }
        bool may_lead() const {
            return standing == Standing::active || standing == Standing::cordoned;
        }
    };
    struct Partition {
        std::uint32_t topic = 0;
        std::int32_t index = 0;
        std::uint32_t first = 0;  ///< Of its slots.
        std::uint16_t size = 0;   ///< Replicas now.
        std::uint16_t size_before = 0;
        std::uint16_t factor = 0;     ///< Replicas wanted.
        bool is_frozen = false;       ///< Looked at, not touched: for one of the reasons below.
        bool is_beyond_help = false;  ///< Every replica is on a lost broker.
        bool is_leaderless = false;   ///< Nobody can copy it now.
        bool is_changed = false;
        bool is_pinned = false;
        Reason reason = Reason::count;  ///< The most pressing of its changes.
        std::int64_t bytes = 0;
        std::uint64_t hash = 0;
    };

    Model(const Snapshot& snapshot, const Desired& desired, const Limits& limits);

    BrokerIndex replica(const Partition& partition, std::size_t slot) const {
        return slots_[partition.first + slot];
    }
    BrokerIndex replica_before(const Partition& partition, std::size_t slot) const {
        return before_[partition.first + slot];
    }
    bool holds(const Partition& partition, BrokerIndex broker) const;
    bool held_before(const Partition& partition, BrokerIndex broker) const;
    std::size_t in_rack(const Partition& partition, std::uint32_t rack) const;
    /// Most replicas of the partition that one rack may have.
    std::size_t rack_cap(const Partition& partition) const {
        const std::size_t racks = std::max<std::size_t>(1, live_racks_);
        return (partition.factor + racks - 1) / racks;
    }
    /// The same while those that are to be emptied still counted.
    std::size_t rack_cap_before(const Partition& partition) const {
        const std::size_t racks = std::max<std::size_t>(1, racks_before_);
        return (partition.factor + racks - 1) / racks;
    }
    std::size_t live_racks() const { return live_racks_; }
    /// Room for it on one of the broker's disks, nothing that leaves being counted as gone.
    bool fits(BrokerIndex broker, std::int64_t bytes) const;
    /// Is there a rack, not `beside`, that has none of the partition and could have one? The
    /// replica in `slot` is left out; `slot` == size leaves out none.
    bool another_rack_is_free(const Partition& partition, std::size_t slot,
                              std::uint32_t beside) const;
    /// May `to` have the replica in place of the one in `slot`; `slot` == size asks about one more.
    bool may_place(const Partition& partition, std::size_t slot, BrokerIndex to) const;

    void replace(Partition& partition, std::size_t slot, BrokerIndex to, Reason reason);
    void add(Partition& partition, BrokerIndex to, Reason reason);
    void remove(Partition& partition, std::size_t slot, Reason reason);
    void make_first(Partition& partition, std::size_t slot, Reason reason);
    /// As it was at the start.
    void revert(Partition& partition);

    /// The numbers of the partitions on each broker, those with small hashes first. A picture of
    /// now: it isn't kept while replicas move.
    std::vector<std::vector<PartitionNumber>> partitions_by_broker() const;

    std::vector<Broker> brokers;
    std::vector<std::string> racks;
    std::vector<std::vector<BrokerIndex>> rack_members;
    std::vector<std::string> topics;
    std::vector<Partition> partitions;
    TopicCounts topic_counts{0, 0};
    Limits limits;

private:
    void take_brokers(const Snapshot& snapshot);
    void take_partitions(const Snapshot& snapshot, const Desired& desired);
    void take_partition(std::uint32_t topic, const PartitionState& state, const Desired& desired,
                        const std::unordered_map<BrokerId, BrokerIndex>& numbers);
    void arrive(const Partition& partition, BrokerIndex broker, std::int32_t by);
    void occupy(BrokerIndex broker, std::int64_t bytes);
    void note(Partition& partition, Reason reason);

    std::vector<BrokerIndex> slots_;
    std::vector<BrokerIndex> before_;
    std::size_t live_racks_ = 0;
    std::size_t racks_before_ = 0;
};

}  // namespace millrace::placement
