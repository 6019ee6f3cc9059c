#include "metadata/internal/assignment.h"

#include <algorithm>
#include <map>
#include <set>

#include "metadata/internal/partition_change.h"
#include "metadata/standing.h"
#include "placement/initial.h"

namespace millrace::metadata {
namespace {

std::vector<placement::Candidate> candidates(const Context& context, const Image& image,
                                             const Topic* topic) {
    std::map<BrokerId, std::pair<std::int64_t, std::int64_t>> of_topic;  // replicas, leaders
    if (topic != nullptr) {
        for (const auto& [index, partition] : topic->partitions) {
            for (std::size_t i = 0; i < partition->replicas.size(); ++i) {
                auto& [replicas, leaders] = of_topic[partition->replicas[i]];
                ++replicas;
                leaders += i == 0 ? 1 : 0;
            }
        }
    }
    std::vector<placement::Candidate> all;
    for (const auto& [id, broker] : image.cluster.brokers) {
        // One that is leaving gives its replicas' leadership away; once it is gone it is like any
        // other that is down, and expected back.
        const bool is_leaving = broker->in_controlled_shutdown && !broker->fenced;
        if (is_leaving || is_cordoned(image, *broker)) {
            continue;
        }
        const ControllerIndex::Load load = context.index.load_of(id);
        const auto [replicas, leaders] = of_topic[id];
        all.push_back({id, broker->rack, broker->fenced, load.replicas, load.preferred_leaders,
                       replicas, leaders});
    }
    return all;
}

bool holds(std::span<const BrokerId> replicas, BrokerId broker) {
    return std::find(replicas.begin(), replicas.end(), broker) != replicas.end();
}

}  // namespace

MaybeRefusal check_named_replicas(const Image& image, const std::vector<std::int32_t>& brokers,
                                  std::optional<std::size_t> replication_factor,
                                  std::span<const BrokerId> already) {
    const auto refuse = [](std::string why) {
        return Refusal{KafkaError::invalid_replica_assignment, std::move(why)};
    };
    if (brokers.empty()) {
        return refuse("the assignment names no replicas");
    }
    std::set<std::int32_t> seen;
    for (const std::int32_t broker : brokers) {
        const Broker* registered = image.cluster.broker(BrokerId{broker});
        if (registered == nullptr) {
            return refuse(fmt::format("broker {} is not registered", broker));
        }
        if (is_cordoned(image, *registered) && !holds(already, BrokerId{broker})) {
            return refuse(fmt::format("broker {} is cordoned: it takes no new replica", broker));
        }
        if (!seen.insert(broker).second) {
            return refuse(fmt::format("broker {} is named twice", broker));
        }
    }
    if (replication_factor && brokers.size() != *replication_factor) {
        return refuse(fmt::format("{} replicas where the other partitions have {}", brokers.size(),
                                  *replication_factor));
    }
    return std::nullopt;
}

Assigned place(const Context& context, const Image& image, const Topic* topic,
               std::int32_t partitions, std::int16_t replication_factor) {
    auto placed = placement::place_new(candidates(context, image, topic), partitions,
                                       replication_factor, context.random.next());
    if (!placed) {
        return {{}, Refusal{KafkaError::invalid_replication_factor, placed.error().message()}};
    }
    return {*std::move(placed), std::nullopt};
}

std::size_t settled_replicas(const Partition& partition) {
    return partition.replicas.size() - partition.removing.size();
}

std::optional<Partition> new_partition(const Image& image, const std::vector<BrokerId>& replicas) {
    const Electorate electorate(image);
    std::vector<BrokerId> isr;
    std::vector<Uuid> directories;
    for (const BrokerId broker : replicas) {
        if (image.cluster.is_active(broker)) {
            isr.push_back(broker);
        }
        directories.push_back(electorate.default_directory(broker));
    }
    if (isr.empty()) {
        return std::nullopt;
    }
    Partition partition;
    partition.replicas = BrokerList(replicas);
    partition.isr = BrokerList(isr);
    partition.directories = DirectoryList(directories);
    const auto willing = std::find_if(
        isr.begin(), isr.end(), [&](BrokerId broker) { return !electorate.is_drained(broker); });
    partition.leader = willing != isr.end() ? *willing : isr.front();
    partition.leader_epoch = LeaderEpoch{0};
    partition.epoch = PartitionEpoch{0};
    return partition;
}

}  // namespace millrace::metadata
