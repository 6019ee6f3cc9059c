#include <algorithm>
#include <fmt/core.h>
#include <map>
#include <optional>
#include <tuple>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

/// Which replica lies on which of a broker's disks, from the snapshot.
std::map<std::pair<std::string_view, std::int32_t>, std::int16_t> disks_on(const Snapshot& snapshot,
                                                                           BrokerId broker) {
    std::map<std::pair<std::string_view, std::int32_t>, std::int16_t> found;
    for (const TopicState& topic : snapshot.topics) {
        for (const PartitionState& partition : topic.partitions) {
            for (const Replica& replica : partition.replicas) {
                if (replica.broker == broker) {
                    found[{topic.name, partition.index}] = replica.disk;
                }
            }
        }
    }
    return found;
}

double fullness(const Model::Broker& broker) {
    double capacity = 0;
    double used = 0;
    for (const Disk& disk : broker.disks) {
        capacity += static_cast<double>(disk.capacity);
        used += static_cast<double>(disk.used);
    }
    return capacity > 0 ? used / capacity : 0;
}

struct Load {
    std::int64_t capacity = 0;
    std::int64_t used = 0;
    std::int16_t disk = -1;
};

std::optional<Load> load_of(const Model::Broker& broker, const Relief& relief) {
    Load load;
    for (std::size_t i = 0; i < broker.disks.size(); ++i) {
        const Disk& disk = broker.disks[i];
        if (relief.disk && disk.id != *relief.disk) {
            continue;
        }
        load.capacity += disk.capacity;
        load.used += disk.used;
        load.disk = relief.disk ? static_cast<std::int16_t>(i) : std::int16_t{-1};
    }
    return load.capacity > 0 ? std::optional(load) : std::nullopt;
}

BrokerIndex emptiest(const Model& model, const Model::Partition& partition, std::size_t slot,
                     double limit) {
    BrokerIndex found = nobody;
    for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
        const double full = fullness(model.brokers[b]);
        if (full < limit && model.may_place(partition, slot, b) &&
            (found == nobody || full < fullness(model.brokers[found]))) {
            found = b;
        }
    }
    return found;
}

}  // namespace

void relieve(Model& model, const Snapshot& snapshot, const std::vector<Relief>& wanted,
             Complaints& complaints) {
    for (const Relief& relief : wanted) {
        const auto broker =
            std::find_if(model.brokers.begin(), model.brokers.end(),
                         [&](const Model::Broker& one) { return one.id == relief.broker; });
        const auto load = broker == model.brokers.end() ? std::nullopt : load_of(*broker, relief);
        if (!load) {
            complaints.add("capacity", fmt::format("broker {}: its capacity is not known",
                                                   relief.broker.value));
            continue;
        }
        const auto from = static_cast<BrokerIndex>(broker - model.brokers.begin());
        std::int64_t excess = load->used - load->capacity / 100 * relief.until_percent;
        const auto disks = disks_on(snapshot, relief.broker);
        auto held = model.partitions_by_broker()[from];
        std::sort(held.begin(), held.end(), [&](PartitionNumber a, PartitionNumber b) {
            const Model::Partition& one = model.partitions[a];
            const Model::Partition& other = model.partitions[b];
            return std::tuple(-one.bytes, one.hash, a) < std::tuple(-other.bytes, other.hash, b);
        });
        for (const PartitionNumber number : held) {
            Model::Partition& partition = model.partitions[number];
            const auto disk = disks.find({model.topics[partition.topic], partition.index});
            if (excess <= 0 || partition.bytes == 0) {
                break;
            }
            if (partition.is_frozen || partition.is_changed ||
                (load->disk >= 0 && (disk == disks.end() || disk->second != load->disk))) {
                continue;
            }
            std::size_t slot = 0;
            while (model.replica(partition, slot) != from) {
                ++slot;
            }
            const BrokerIndex to = emptiest(model, partition, slot, relief.until_percent / 100.0);
            if (to != nobody) {
                model.replace(partition, slot, to, Reason::disk);
                excess -= partition.bytes;
            }
        }
        if (excess > 0) {
            complaints.add("capacity",
                           fmt::format("broker {} keeps {} bytes above {} %: no other broker has "
                                       "room for more of its replicas",
                                       relief.broker.value, excess, relief.until_percent));
        }
    }
}

}  // namespace millrace::placement
