// tests/sim/systems/mirror_world.h
//
// Two to five clusters of one broker each, with links between them as a seed draws them, and a way
// to look into each: topics, links, logs. The script looks between events.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "mirror/topics_core.h"
#include "runtime/sim/simulation.h"
#include "tests/sim/systems/cluster_broker.h"

namespace millrace::simtest {

using ClusterIndex = std::uint32_t;
inline constexpr ClusterIndex most_clusters = 5;

struct DrawnLink {
    ClusterIndex from;
    ClusterIndex to;
    std::string alias;  ///< Empty: topics keep their names.

    std::string name() const { return fmt::format("from-c{}", from); }
    mirror::LinkSpec spec() const;
};

/// Who follows whom: a chain, many into one, everybody and everybody under prefixes, a ring, or
/// edges as they fall. Every cluster may have a topic of its own, `t<number>`.
struct Topology {
    std::string kind;
    ClusterIndex clusters = 2;
    std::vector<DrawnLink> links;
    std::set<ClusterIndex> origins;

    static Topology draw(Random& random);
    /// What a cluster may ever hold: each origin's topic, under what it is called after a way that
    /// comes through no cluster twice.
    std::set<std::string> names_at(ClusterIndex cluster) const;
};

std::string origin_topic(ClusterIndex cluster);
std::string cluster_id(ClusterIndex cluster);
/// An archive is named after what it keeps.
std::string without_archive(const std::string& topic);

class MirrorWorld {
public:
    MirrorWorld(runtime::sim::Simulation& simulation, Topology topology)
        : topology(std::move(topology)), simulation_(simulation) {}

    /// Adds five machines, the simulation's first, and starts as many as there are clusters.
    void start(std::size_t data_shards);

    /// Null while its broker is down or starting.
    const app::BrokerView* view(ClusterIndex cluster) const;
    metadata::ImagePtr image(ClusterIndex cluster) const;  ///< Null likewise.

    struct Log {
        replication::ShardReplicas::View facts;
        Buffer bytes;  ///< All that is committed.
        std::vector<storage::AbortedTransaction> aborted;
    };
    std::optional<replication::ShardReplicas::View> replica(ClusterIndex cluster,
                                                            const std::string& topic,
                                                            std::int32_t partition) const;
    /// None while it is not led there.
    std::optional<Log> read(ClusterIndex cluster, const std::string& topic,
                            std::int32_t partition) const;

    /// Every topic that is, or was until it was promoted, written by a link.
    std::vector<mirror::LocalTopic> mirrors(ClusterIndex cluster) const;
    std::optional<mirror::Link> link(const DrawnLink& drawn) const;

    const Topology topology;

private:
    void end_and_restart(ClusterIndex cluster, const std::string& why);

    runtime::sim::Simulation& simulation_;
};

}  // namespace millrace::simtest
