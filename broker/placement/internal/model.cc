#include "placement/internal/model.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "base/assert.h"

namespace millrace::placement {
namespace {

constexpr std::size_t dense_limit = 100'000'000;

/// Numbers of `size` things in the order of their keys.
template <typename Key>
std::vector<std::uint32_t> in_order(std::size_t size, Key key) {
    std::vector<std::uint32_t> order(size);
    std::iota(order.begin(), order.end(), 0U);
    std::sort(order.begin(), order.end(),
              [&](std::uint32_t a, std::uint32_t b) { return key(a) < key(b); });
    return order;
}

bool is_full(const Disk& disk, std::int64_t bytes, int percent) {
    return disk.capacity > 0 && disk.used + bytes > disk.capacity / 100 * percent;
}

std::int64_t room(const Disk& disk) {
    return disk.capacity > 0 ? disk.capacity - disk.used : std::numeric_limits<std::int64_t>::max();
}

}  // namespace

std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return mixed(hash);
}

TopicCounts::TopicCounts(std::size_t topics, std::size_t brokers) : brokers_(brokers) {
    if (topics * brokers <= dense_limit) {
        dense_.resize(topics * brokers);
    }
}

Model::Model(const Snapshot& snapshot, const Desired& desired, const Limits& given)
    : limits(given) {
    take_brokers(snapshot);
    topic_counts = TopicCounts(snapshot.topics.size(), brokers.size());
    take_partitions(snapshot, desired);
}

void Model::take_brokers(const Snapshot& snapshot) {
    std::map<std::string, std::uint32_t> rack_numbers;
    for (const BrokerState& broker : snapshot.brokers) {
        rack_numbers.emplace(broker.rack, 0);
    }
    for (auto& [name, number] : rack_numbers) {
        number = static_cast<std::uint32_t>(racks.size());
        racks.push_back(name);
    }
    rack_members.resize(racks.size());
    for (const std::uint32_t i : in_order(
             snapshot.brokers.size(), [&](std::uint32_t n) { return snapshot.brokers[n].id; })) {
        const BrokerState& state = snapshot.brokers[i];
        Broker broker;
        broker.id = state.id;
        broker.rack = rack_numbers.at(state.rack);
        broker.standing = state.standing;
        broker.weight = state.weight > 0 ? state.weight : 1;
        broker.disks = state.disks;
        broker.hash = mixed(static_cast<std::uint64_t>(state.id.value) + 1);
        rack_members[broker.rack].push_back(static_cast<BrokerIndex>(brokers.size()));
        brokers.push_back(std::move(broker));
    }
    for (const auto& members : rack_members) {
        const auto has = [&](auto counts) {
            return std::any_of(members.begin(), members.end(),
                               [&](BrokerIndex b) { return counts(brokers[b]); });
        };
        live_racks_ += has([](const Broker& one) { return !one.must_be_empty(); }) ? 1 : 0;
        racks_before_ += has([](const Broker& one) { return one.standing != Standing::lost; });
    }
}

void Model::take_partitions(const Snapshot& snapshot, const Desired& desired) {
    std::unordered_map<BrokerId, BrokerIndex> numbers;
    for (BrokerIndex b = 0; b < brokers.size(); ++b) {
        numbers.emplace(brokers[b].id, b);
    }
    std::size_t total = 0;
    for (const TopicState& topic : snapshot.topics) {
        total += topic.partitions.size();
    }
    partitions.reserve(total);
    slots_.reserve(total * 3);
    for (const std::uint32_t t :
         in_order(snapshot.topics.size(),
                  [&](std::uint32_t n) -> const std::string& { return snapshot.topics[n].name; })) {
        const TopicState& topic = snapshot.topics[t];
        const auto number = static_cast<std::uint32_t>(topics.size());
        topics.push_back(topic.name);
        for (const std::uint32_t p : in_order(topic.partitions.size(), [&](std::uint32_t n) {
                 return topic.partitions[n].index;
             })) {
            take_partition(number, topic.partitions[p], desired, numbers);
        }
    }
    before_ = slots_;
    for (Broker& broker : brokers) {
        broker.count_before = broker.count;
        broker.leaders_before = broker.leaders;
        broker.bytes_before = broker.bytes;
    }
}

void Model::take_partition(std::uint32_t topic, const PartitionState& state, const Desired& desired,
                           const std::unordered_map<BrokerId, BrokerIndex>& numbers) {
    const std::string& name = topics[topic];
    Partition partition;
    partition.topic = topic;
    partition.index = state.index;
    partition.first = static_cast<std::uint32_t>(slots_.size());
    partition.is_pinned = desired.pinned_topics.contains(name);
    partition.is_beyond_help =
        !state.replicas.empty() &&
        std::all_of(state.replicas.begin(), state.replicas.end(), [&](const Replica& replica) {
            const auto found = numbers.find(replica.broker);
            return found == numbers.end() || brokers[found->second].standing == Standing::lost;
        });
    partition.is_leaderless = !state.replicas.empty() && state.leader == no_broker;
    partition.is_frozen = state.is_moving || partition.is_pinned || partition.is_beyond_help ||
                          partition.is_leaderless;
    partition.bytes = state.bytes;
    partition.hash = mixed(hash_of(name) + static_cast<std::uint64_t>(state.index));
    for (const Replica& replica : state.replicas) {
        const auto found = numbers.find(replica.broker);
        if (found == numbers.end()) {
            continue;  // a broker that is not even known is as good as no replica
        }
        slots_.push_back(found->second);
        ++partition.size;
        arrive(partition, found->second, 1);
    }
    if (partition.size > 0) {
        ++brokers[slots_[partition.first]].leaders;
    }
    const auto wanted = desired.replication_factors.find(name);
    partition.size_before = partition.size;
    partition.factor = static_cast<std::uint16_t>(wanted != desired.replication_factors.end() &&
                                                          !partition.is_frozen
                                                      ? std::max(1, wanted->second)
                                                      : static_cast<int>(state.replicas.size()));
    while (slots_.size() < partition.first + std::max(partition.factor, partition.size)) {
        slots_.push_back(nobody);
    }
    partitions.push_back(partition);
}

void Model::arrive(const Partition& partition, BrokerIndex broker, std::int32_t by) {
    brokers[broker].count += by;
    brokers[broker].bytes += by * partition.bytes;
    topic_counts.change(partition.topic, broker, by);
}

bool Model::holds(const Partition& partition, BrokerIndex broker) const {
    const auto begin = slots_.begin() + partition.first;
    return std::find(begin, begin + partition.size, broker) != begin + partition.size;
}

bool Model::held_before(const Partition& partition, BrokerIndex broker) const {
    const auto begin = before_.begin() + partition.first;
    return std::find(begin, begin + partition.size_before, broker) != begin + partition.size_before;
}

std::size_t Model::in_rack(const Partition& partition, std::uint32_t rack) const {
    std::size_t count = 0;
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        count += brokers[replica(partition, slot)].rack == rack ? 1 : 0;
    }
    return count;
}

bool Model::fits(BrokerIndex broker, std::int64_t bytes) const {
    const std::vector<Disk>& disks = brokers[broker].disks;
    return disks.empty() || std::any_of(disks.begin(), disks.end(), [&](const Disk& disk) {
               return !disk.cordoned && !is_full(disk, bytes, limits.disk_percent);
           });
}

bool Model::another_rack_is_free(const Partition& partition, std::size_t slot,
                                 std::uint32_t beside) const {
    const auto is_taken = [&](std::uint32_t rack) {
        for (std::size_t i = 0; i < partition.size; ++i) {
            if (i != slot && brokers[replica(partition, i)].rack == rack) {
                return true;
            }
        }
        return false;
    };
    const BrokerIndex has_it_now = slot < partition.size ? replica(partition, slot) : nobody;
    for (std::uint32_t rack = 0; rack < racks.size(); ++rack) {
        if (rack == beside || is_taken(rack)) {
            continue;
        }
        for (const BrokerIndex b : rack_members[rack]) {
            if (b == has_it_now ? !brokers[b].must_be_empty()
                                : brokers[b].receives() &&
                                      (held_before(partition, b) || fits(b, partition.bytes))) {
                return true;
            }
        }
    }
    return false;
}

bool Model::may_place(const Partition& partition, std::size_t slot, BrokerIndex to) const {
    const Broker& broker = brokers[to];
    if (!broker.receives()) {
        return false;
    }
    std::size_t here = 0;
    for (std::size_t i = 0; i < partition.size; ++i) {
        const BrokerIndex other = replica(partition, i);
        if (other == to) {
            return false;
        }
        here += i != slot && brokers[other].rack == broker.rack ? 1 : 0;
    }
    if (here >= rack_cap(partition) ||
        (here > 0 && another_rack_is_free(partition, slot, broker.rack))) {
        return false;
    }
    // What it held before it never has to copy again, nor to find room for.
    return held_before(partition, to) || fits(to, partition.bytes);
}

void Model::occupy(BrokerIndex broker, std::int64_t bytes) {
    std::vector<Disk>& disks = brokers[broker].disks;
    Disk* best = nullptr;
    for (Disk& disk : disks) {
        if (!disk.cordoned && (best == nullptr || room(disk) > room(*best))) {
            best = &disk;
        }
    }
    if (best != nullptr) {
        best->used += bytes;
    }
}

void Model::note(Partition& partition, Reason reason) {
    partition.reason = partition.is_changed ? std::min(partition.reason, reason) : reason;
    partition.is_changed = true;
}

void Model::replace(Partition& partition, std::size_t slot, BrokerIndex to, Reason reason) {
    BrokerIndex& at = slots_[partition.first + slot];
    MR_ASSERT(at != to && !partition.is_frozen);
    if (slot == 0) {
        --brokers[at].leaders;
        ++brokers[to].leaders;
    }
    arrive(partition, at, -1);
    at = to;
    arrive(partition, at, 1);
    if (!held_before(partition, to)) {
        occupy(to, partition.bytes);
    }
    note(partition, reason);
}

void Model::add(Partition& partition, BrokerIndex to, Reason reason) {
    MR_ASSERT(partition.size < std::max(partition.factor, partition.size_before));
    slots_[partition.first + partition.size] = to;
    brokers[to].leaders += partition.size == 0 ? 1 : 0;
    ++partition.size;
    arrive(partition, to, 1);
    if (!held_before(partition, to)) {
        occupy(to, partition.bytes);
    }
    note(partition, reason);
}

void Model::remove(Partition& partition, std::size_t slot, Reason reason) {
    const auto begin = slots_.begin() + partition.first;
    arrive(partition, begin[static_cast<std::ptrdiff_t>(slot)], -1);
    const BrokerIndex leader = *begin;
    std::rotate(begin + static_cast<std::ptrdiff_t>(slot),
                begin + static_cast<std::ptrdiff_t>(slot) + 1, begin + partition.size);
    --partition.size;
    if (slot == 0) {
        --brokers[leader].leaders;
        brokers[*begin].leaders += partition.size > 0 ? 1 : 0;
    }
    note(partition, reason);
}

void Model::make_first(Partition& partition, std::size_t slot, Reason reason) {
    const auto begin = slots_.begin() + partition.first;
    --brokers[*begin].leaders;
    std::swap(*begin, begin[static_cast<std::ptrdiff_t>(slot)]);
    ++brokers[*begin].leaders;
    note(partition, reason);
}

void Model::revert(Partition& partition) {
    const auto begin = slots_.begin() + partition.first;
    if (partition.size > 0) {
        --brokers[*begin].leaders;
    }
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        arrive(partition, replica(partition, slot), -1);
    }
    partition.size = partition.size_before;
    std::copy_n(before_.begin() + partition.first, partition.size, begin);
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        arrive(partition, replica(partition, slot), 1);
    }
    if (partition.size > 0) {
        ++brokers[*begin].leaders;
    }
    partition.is_changed = false;
}

std::vector<std::vector<PartitionNumber>> Model::partitions_by_broker() const {
    std::vector<std::vector<PartitionNumber>> lists(brokers.size());
    for (BrokerIndex b = 0; b < brokers.size(); ++b) {
        lists[b].reserve(static_cast<std::size_t>(brokers[b].count));
    }
    const auto order = in_order(partitions.size(),
                                [&](std::uint32_t n) { return std::pair(partitions[n].hash, n); });
    for (const PartitionNumber number : order) {
        const Partition& partition = partitions[number];
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            lists[replica(partition, slot)].push_back(number);
        }
    }
    return lists;
}

}  // namespace millrace::placement
