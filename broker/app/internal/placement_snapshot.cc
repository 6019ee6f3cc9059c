#include "app/internal/placement_snapshot.h"

#include <algorithm>

#include "metadata/standing.h"

namespace millrace::app {
namespace {

using placement::Standing;

template <typename List>
bool contains(const List& list, BrokerId broker) {
    return std::find(list.begin(), list.end(), broker) != list.end();
}

template <typename List>
std::vector<BrokerId> copied(const List& list) {
    return {list.begin(), list.end()};
}

Standing standing_of(const metadata::Image& image, const metadata::Broker& broker,
                     const std::set<BrokerId>& draining, const std::set<BrokerId>& lost) {
    if (lost.contains(broker.id)) {
        return Standing::lost;
    }
    if (draining.contains(broker.id)) {
        return Standing::draining;
    }
    if (metadata::is_drained(image, broker) || broker.in_controlled_shutdown) {
        return Standing::maintenance;
    }
    return broker.fenced || metadata::is_cordoned(image, broker) ? Standing::cordoned
                                                                 : Standing::active;
}

/// Where a broker keeps a replica, or will soon, and how large it is there.
struct Found {
    std::int64_t bytes = 0;
    std::int16_t disk = -1;
};
Found find(const ReplicaSizes& sizes, BrokerId broker, const std::string& topic,
           std::int32_t index) {
    Found found;
    const auto at = sizes.find(broker);
    for (std::size_t i = 0; at != sizes.end() && i < at->second.size(); ++i) {
        const DirectorySizes& directory = at->second[i];
        const auto arriving = directory.arriving.find(topic);
        if (arriving != directory.arriving.end() && arriving->second.contains(index)) {
            found.disk = static_cast<std::int16_t>(i);
        }
        const auto of_topic = directory.replicas.find(topic);
        if (of_topic == directory.replicas.end() || !of_topic->second.contains(index)) {
            continue;
        }
        found.bytes = of_topic->second.at(index);
        found.disk = found.disk < 0 ? static_cast<std::int16_t>(i) : found.disk;
    }
    return found;
}

std::vector<placement::Disk> disks_of(const ReplicaSizes& sizes, const metadata::Broker& broker) {
    std::vector<placement::Disk> disks;
    const auto found = sizes.find(broker.id);
    if (found == sizes.end()) {
        return disks;
    }
    for (std::size_t i = 0; i < found->second.size(); ++i) {
        const DirectorySizes& directory = found->second[i];
        placement::Disk disk;
        if (found->second.size() == broker.directories.size() && broker.directories.size() == 1) {
            disk.id = broker.directories.front();
        }
        disk.path = directory.path;
        disk.capacity = std::max<std::int64_t>(0, directory.total_bytes);
        disk.used = std::max<std::int64_t>(0, directory.total_bytes - directory.usable_bytes);
        disk.cordoned = directory.is_cordoned;
        disks.push_back(disk);
    }
    return disks;
}

placement::PartitionState state_of(const ReplicaSizes& sizes, const std::string& topic,
                                   std::int32_t index, const metadata::Partition& partition) {
    placement::PartitionState state;
    state.index = index;
    state.leader = partition.leader;
    state.is_moving = partition.is_reassigning();
    for (const BrokerId broker : partition.replicas) {
        const Found found = find(sizes, broker, topic, index);
        state.bytes = std::max(state.bytes, found.bytes);
        if (!contains(partition.removing, broker)) {
            state.replicas.push_back({broker, found.disk, partition.isr.contains(broker)});
        }
    }
    return state;
}

placement::PartitionNow now_of(const metadata::Partition& partition) {
    return {copied(partition.replicas), copied(partition.adding), copied(partition.removing)};
}

/// A replica on a broker that is down is not behind: no pause of moves brings it back.
std::int64_t replicas_behind(const metadata::Image& image, const metadata::Partition& partition) {
    return std::count_if(
        partition.replicas.begin(), partition.replicas.end(), [&](BrokerId replica) {
            const metadata::Broker* broker = image.cluster.broker(replica);
            return broker != nullptr && broker->is_active() &&
                   std::find(partition.isr.begin(), partition.isr.end(), replica) ==
                       partition.isr.end();
        });
}

}  // namespace

placement::Snapshot snapshot_of(const metadata::Image& image, const ReplicaSizes& sizes,
                                const std::set<BrokerId>& draining,
                                const std::set<BrokerId>& lost) {
    placement::Snapshot snapshot;
    for (const auto& [id, broker] : image.cluster.brokers) {
        placement::BrokerState state;
        state.id = id;
        state.rack = broker->rack.value_or("");
        state.disks = disks_of(sizes, *broker);
        state.standing = standing_of(image, *broker, draining, lost);
        snapshot.brokers.push_back(std::move(state));
    }
    for (const auto& [id, topic] : image.topics.by_id()) {
        placement::TopicState state;
        state.name = topic->name;
        for (const auto& [index, partition] : topic->partitions) {
            state.partitions.push_back(state_of(sizes, topic->name, index.value, *partition));
        }
        snapshot.topics.push_back(std::move(state));
    }
    return snapshot;
}

admin::PlacementView placement_view(const metadata::Image& image, const ReplicaSizes& sizes,
                                    const admin::PlacementQuestion& question) {
    admin::PlacementView view;
    view.epoch = image.provenance.epoch;
    view.metadata_offset = image.provenance.end;
    std::map<BrokerId, admin::BrokerLoad> loads;
    for (const auto& [id, broker] : image.cluster.brokers) {
        admin::BrokerLoad& load = loads[id];
        load.id = id;
        load.rack = broker->rack.value_or("");
        load.cordoned = metadata::is_cordoned(image, *broker);
        load.alive = !broker->fenced;
        for (const placement::Disk& disk : disks_of(sizes, *broker)) {
            load.disks.push_back({disk.id, disk.capacity, disk.used, 0});
        }
    }
    for (const auto& [id, topic] : image.topics.by_id()) {
        const bool is_asked =
            question.topics.empty() || std::find(question.topics.begin(), question.topics.end(),
                                                 topic->name) != question.topics.end();
        for (const auto& [index, partition] : topic->partitions) {
            const placement::PartitionState state =
                state_of(sizes, topic->name, index.value, *partition);
            for (const BrokerId broker : partition->replicas) {
                const auto load = loads.find(broker);
                if (load == loads.end()) {
                    continue;
                }
                const Found found = find(sizes, broker, topic->name, index.value);
                ++load->second.replicas;
                load->second.leaders += partition->leader == broker ? 1 : 0;
                load->second.bytes += found.bytes;
                if (found.disk >= 0) {
                    ++load->second.disks[static_cast<std::size_t>(found.disk)].replicas;
                }
            }
            if (question.with_partitions && is_asked) {
                view.partitions.push_back({{topic->name, index},
                                           copied(partition->replicas),
                                           partition->leader,
                                           copied(partition->isr),
                                           state.bytes,
                                           copied(partition->adding),
                                           copied(partition->removing)});
            }
        }
    }
    for (auto& [id, load] : loads) {
        view.brokers.push_back(std::move(load));
    }
    return view;
}

placement::WorldNow world_of(const metadata::ImagePtr& image) {
    placement::WorldNow world;
    world.partition = [image](const std::string& name,
                              std::int32_t index) -> std::optional<placement::PartitionNow> {
        const metadata::Topic* topic = image->topics.find(std::string_view(name));
        const metadata::Partition* partition =
            topic != nullptr ? topic->partition(PartitionIndex{index}) : nullptr;
        return partition != nullptr ? std::optional(now_of(*partition)) : std::nullopt;
    };
    world.takes_replicas = [image](BrokerId id) {
        const metadata::Broker* broker = image->cluster.broker(id);
        return broker != nullptr && broker->is_active() && !metadata::is_cordoned(*image, *broker);
    };
    for (const auto& [id, topic] : image->topics.by_id()) {
        for (const auto& [index, partition] : topic->partitions) {
            if (partition->is_reassigning()) {
                world.moving.push_back(now_of(*partition));
            } else if (partition->isr.size() < partition->replicas.size()) {
                world.behind += replicas_behind(*image, *partition);
            }
        }
    }
    return world;
}

bool matches(std::string_view glob, std::string_view text) {
    std::size_t g = 0;
    std::size_t t = 0;
    std::size_t star = std::string_view::npos;
    std::size_t resume = 0;
    while (t < text.size()) {
        if (g < glob.size() && (glob[g] == '?' || (glob[g] != '*' && glob[g] == text[t]))) {
            ++g;
            ++t;
        } else if (g < glob.size() && glob[g] == '*') {
            star = g++;
            resume = t;
        } else if (star != std::string_view::npos) {
            g = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (g < glob.size() && glob[g] == '*') {
        ++g;
    }
    return g == glob.size();
}

}  // namespace millrace::app
