#include "tests/sim/systems/mirror_world.h"

#include <functional>

#include "record/batch_view.h"

namespace millrace::simtest {
namespace {

std::string settings_of(ClusterIndex cluster) {
    return fmt::format(
        "node.id=1\nprocess.roles=broker,controller\n"
        "listeners=PLAINTEXT://c{0}:9092,CONTROLLER://c{0}:9093\n"
        "controller.listener.names=CONTROLLER\ncontroller.quorum.voters=1@c{0}:9093\n"
        "cluster.id={1}\nlog.dirs=/data\nlog.retention.ms=-1\n"
        "offsets.topic.num.partitions=1\noffsets.topic.replication.factor=1\n",
        cluster, cluster_id(cluster));
}

std::string drawn_alias(Random& random, ClusterIndex from) {
    // Also such as several links share on different clusters.
    return random.one_in(2) ? fmt::format("c{}", from) : fmt::format("x{}", from % 2);
}

/// No two links write one name at one cluster.
bool is_free(const std::vector<DrawnLink>& links, const DrawnLink& next) {
    for (const DrawnLink& one : links) {
        if (one.to == next.to &&
            (one.from == next.from || (!next.alias.empty() && one.alias == next.alias))) {
            return false;
        }
    }
    return true;
}

void add(Topology& topology, Random& random, ClusterIndex from, ClusterIndex to, bool prefix) {
    DrawnLink link{from, to, prefix ? drawn_alias(random, from) : ""};
    if (!is_free(topology.links, link)) {
        link.alias = fmt::format("c{}", from);
    }
    if (from != to && is_free(topology.links, link)) {
        topology.links.push_back(link);
    }
}

void draw_links(Topology& topology, Random& random) {
    const ClusterIndex n = topology.clusters;
    const bool prefix = random.one_in(2);
    switch (random.below(5)) {
        case 0:
            topology.kind = "chain";
            for (ClusterIndex i = 0; i + 1 < n; ++i) {
                add(topology, random, i, i + 1, prefix);
            }
            return;
        case 1:
            topology.kind = "fan-in";
            for (ClusterIndex i = 1; i < n; ++i) {
                add(topology, random, i, 0, true);
            }
            return;
        case 2:
            topology.kind = "active-active";
            topology.clusters = std::min<ClusterIndex>(n, 3);
            for (ClusterIndex i = 0; i < topology.clusters; ++i) {
                for (ClusterIndex k = 0; k < topology.clusters; ++k) {
                    add(topology, random, i, k, true);
                }
            }
            return;
        case 3:
            topology.kind = "ring";
            for (ClusterIndex i = 0; i < n; ++i) {
                add(topology, random, i, (i + 1) % n, prefix);
            }
            return;
        default:
            topology.kind = "random";
            for (ClusterIndex i = 0; i < n + 1; ++i) {
                const auto from = static_cast<ClusterIndex>(random.below(n));
                const auto to = static_cast<ClusterIndex>(random.below(n));
                add(topology, random, from, to, random.one_in(2));
            }
            add(topology, random, 0, 1, prefix);
    }
}

}  // namespace

mirror::LinkSpec DrawnLink::spec() const {
    mirror::LinkSpec spec;
    spec.name = name();
    spec.bootstrap_servers = {fmt::format("c{}:9092", from)};
    spec.topics_include = {"*"};
    spec.groups_include = {"*"};
    spec.groups_interval_ms = 1000;
    spec.configs_interval_ms = 2000;
    spec.naming = alias.empty() ? mirror::Naming::identity : mirror::Naming::prefix;
    spec.alias = alias;
    return spec;
}

Topology Topology::draw(Random& random) {
    Topology topology;
    topology.clusters = static_cast<ClusterIndex>(random.between(2, most_clusters));
    draw_links(topology, random);
    topology.origins.insert(topology.links.front().from);
    for (ClusterIndex i = 0; i < topology.clusters; ++i) {
        if (random.one_in(3)) {
            topology.origins.insert(i);
        }
    }
    return topology;
}

std::set<std::string> Topology::names_at(ClusterIndex cluster) const {
    std::set<std::string> names;
    std::set<ClusterIndex> passed;
    const std::function<void(ClusterIndex, const std::string&)> walk =
        [&](ClusterIndex at, const std::string& name) {
            if (at == cluster) {
                names.insert(name);
            }
            passed.insert(at);
            for (const DrawnLink& link : links) {
                if (link.from == at && !passed.contains(link.to)) {
                    walk(link.to, link.spec().mirror_name(name));
                }
            }
            passed.erase(at);
        };
    for (const ClusterIndex origin : origins) {
        walk(origin, origin_topic(origin));
    }
    return names;
}

std::string origin_topic(ClusterIndex cluster) {
    return fmt::format("t{}", cluster);
}

std::string cluster_id(ClusterIndex cluster) {
    return fmt::format("SimulatedClusterAtc{}xx", cluster);
}

std::string without_archive(const std::string& topic) {
    const std::size_t at = topic.find(".archived.");
    return topic.substr(0, at);
}

void MirrorWorld::start(std::size_t data_shards) {
    for (ClusterIndex i = 0; i < most_clusters; ++i) {
        auto& machine =
            simulation_.add_node({.name = fmt::format("c{}", i), .data_shards = data_shards});
        if (i < topology.clusters) {
            machine.start([this, i](runtime::Node& node) {
                return std::make_unique<BrokerProgram>(
                    node, settings_of(i),
                    [this, i](const std::string& why) { end_and_restart(i, why); });
            });
        }
    }
}

void MirrorWorld::end_and_restart(ClusterIndex cluster, const std::string& why) {
    simulation_.note(&simulation_.node(cluster), "ends by itself: " + why);
    simulation_.in(Duration{}, [this, cluster] {
        runtime::sim::SimNode& node = simulation_.node(cluster);
        if (node.is_running()) {
            node.kill();
        }
        simulation_.in(300ms, [&node] {
            if (!node.is_running() && node.has_power()) {
                node.restart();
            }
        });
    });
}

const app::BrokerView* MirrorWorld::view(ClusterIndex cluster) const {
    auto* program = static_cast<BrokerProgram*>(simulation_.node(cluster).program());
    return program == nullptr || !program->is_ready() ? nullptr : program->view();
}

metadata::ImagePtr MirrorWorld::image(ClusterIndex cluster) const {
    const app::BrokerView* now = view(cluster);
    return now == nullptr ? nullptr : now->doors->image->current();
}

std::optional<replication::ShardReplicas::View> MirrorWorld::replica(ClusterIndex cluster,
                                                                     const std::string& topic,
                                                                     std::int32_t partition) const {
    const app::BrokerView* now = view(cluster);
    const metadata::ImagePtr known = image(cluster);
    const metadata::Topic* found =
        known == nullptr ? nullptr : known->topics.find(std::string_view(topic));
    if (found == nullptr) {
        return std::nullopt;
    }
    const TopicIdPartition id{found->id, PartitionIndex{partition}};
    auto& shard = now->doors->replicas->here(now->doors->replicas->shard_of(id));
    auto facts = shard.view(id);
    return facts && facts->is_leader ? facts : std::nullopt;
}

std::optional<MirrorWorld::Log> MirrorWorld::read(ClusterIndex cluster, const std::string& topic,
                                                  std::int32_t partition) const {
    const auto facts = replica(cluster, topic, partition);
    if (!facts) {
        return std::nullopt;
    }
    const replication::Replicas& replicas = *view(cluster)->doors->replicas;
    auto& shard = replicas.here(replicas.shard_of(facts->id));
    Log log{*facts, {}, {}};
    replication::FetchPosition position;
    position.id = facts->id;
    position.from = facts->start;
    position.max_bytes = 1 << 30;
    const auto stable =
        shard.fetch({position}, {.level = replication::ReadLevel::committed}, 1 << 30);
    if (stable.front().error != KafkaError::none) {
        return std::nullopt;
    }
    log.aborted = stable.front().aborted;
    while (position.from < facts->high_watermark) {
        auto results = shard.fetch({position}, {}, 1 << 30);
        const storage::ReadSlice& slice = results.front().slice;
        if (results.front().error != KafkaError::none || slice.empty()) {
            return std::nullopt;
        }
        const std::size_t had = log.bytes.size();
        log.bytes.resize(had + slice.length);
        const auto got = slice.file->read_at(slice.position, MutableBytes(log.bytes).subspan(had));
        if (!got || *got != slice.length) {
            return std::nullopt;
        }
        const Offset before = position.from;
        record::BatchRange range(ByteView(log.bytes).subspan(had));
        while (const auto batch = range.next()) {
            position.from = batch->next_offset();
        }
        if (position.from == before) {
            return std::nullopt;
        }
    }
    return log;
}

std::vector<mirror::LocalTopic> MirrorWorld::mirrors(ClusterIndex cluster) const {
    std::vector<mirror::LocalTopic> all;
    const metadata::ImagePtr known = image(cluster);
    if (known == nullptr) {
        return all;
    }
    for (const auto& entry : known->topics.by_name()) {
        auto local = mirror::local_topic(*known, entry.key);
        if (local && !local->link.empty()) {
            all.push_back(*std::move(local));
        }
    }
    return all;
}

std::optional<mirror::Link> MirrorWorld::link(const DrawnLink& drawn) const {
    const app::BrokerView* now = view(drawn.to);
    if (now == nullptr || now->mirrors == nullptr) {
        return std::nullopt;
    }
    for (const mirror::Link& one : now->mirrors->list()) {
        if (one.spec.name == drawn.name()) {
            return one;
        }
    }
    return std::nullopt;
}

}  // namespace millrace::simtest
