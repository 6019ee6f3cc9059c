// tests/sim/systems/cluster_watch.h
//
// Looks into whole brokers after every event and holds them against what a cluster promises:
//
//   one leader            a partition's leader epoch has one leader, a quorum epoch has one too
//   committed prefix      what lies below a high watermark is the same on whoever says so
//   leader completeness   who leads in a new epoch has all that was committed
//   synced before acked   min.insync.replicas disks have what a leader calls committed
//   monotone              a high watermark never goes back during a broker's life
//   metadata              the same at the same offset everywhere; ISR and ELR by their rules
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "metadata/image.h"
#include "runtime/sim/simulation.h"
#include "storage/leader_epoch_cache.h"
#include "tests/sim/systems/cluster_broker.h"

namespace millrace::simtest {

class ClusterWatch {
public:
    struct Options {
        std::size_t brokers = 3;  ///< The first so many nodes of the simulation.
        std::string topic;
        std::int32_t partitions = 1;
        std::size_t min_insync = 2;
        bool synced = true;
    };

    ClusterWatch(Options options, runtime::sim::Simulation& simulation)
        : options_(std::move(options)),
          simulation_(simulation),
          nodes_(options_.brokers),
          partitions_(static_cast<std::size_t>(options_.partitions)) {}

    /// The invariant: what the last event broke.
    std::optional<std::string> check();
    /// One past the last offset that some leader called committed.
    Offset committed(std::int32_t partition) const {
        return partitions_[static_cast<std::size_t>(partition)].committed;
    }
    /// Everybody serves, every controller is registered, every replica is in its ISR and has the
    /// whole log.
    bool is_whole() const;
    /// A disk was emptied and no quorum has ever met.
    bool was_emptied_unformed() const;
    /// A disk was emptied that was the only one in the ISR, before anything was committed there.
    bool lost_an_only_member() const;
    std::string state() const;  ///< For a person, when it does not become whole.

private:
    struct Replica {  ///< As last seen, also after its broker's death.
        Offset high_watermark = no_offset;
        Offset synced_end = no_offset;  ///< What its disk has, whatever it knows of that itself.
        Offset end = no_offset;
        Offset said_synced = no_offset;  ///< The last end up to which it had everything synced.
        LeaderEpoch leads_in = no_leader_epoch;
        std::map<Uuid, Offset> emptied;  ///< What it had in directories that are gone.
    };
    struct Node {
        runtime::sim::LifeId life = 0;
        Uuid directory;           ///< Of its life's disk.
        std::uint64_t wipes = 0;  ///< Of its disk, as far as noticed.
        std::set<Uuid> emptied;   ///< Directories that are gone with all that they had.
        const metadata::Image* image = nullptr;
        metadata::ImagePtr keep;
        QuorumEpoch quorum_epoch{-1};
        std::map<std::int32_t, Replica> replicas;
    };
    struct Partition {
        Offset committed{0};
        LeaderEpoch committed_in = no_leader_epoch;
        storage::LeaderEpochCache epochs;  ///< Of what is committed.
        std::map<LeaderEpoch, std::size_t> leaders;
        std::vector<std::size_t> members;  ///< ISR and ELR as the newest metadata has them.
    };
    using Broken = std::optional<std::string>;

    BrokerProgram* program(std::size_t node) const;
    Uuid seen_directory(std::size_t node) const { return nodes_[node].directory; }
    /// An emptied disk is nobody's fault until somebody can know of it: its broker's registration
    /// names another directory then.
    void note_emptied_disks();
    /// The disk with which `image` has the broker registered, if that one is empty now.
    std::optional<Uuid> emptied_disk(std::size_t index, const metadata::Image& image) const;
    Broken check_quorum(std::size_t index, const app::BrokerView& view);
    Broken check_image(Node& node, const app::BrokerView& view);
    Broken check_partition(std::size_t index, std::int32_t partition, const app::BrokerView& view);
    Broken check_leader(std::size_t index, Partition& model, Replica& seen,
                        const replication::ShardReplicas::View& now,
                        const storage::LeaderEpochCache& epochs);
    /// "Leader candidate completeness": whoever may be elected without asking has all that is
    /// committed, and for synced topics on its disk.
    Broken check_member(std::size_t index, std::int32_t partition) const;
    Broken check_members(std::int32_t partition) const;
    Broken take_newest(const metadata::Image& image);
    Broken commit(std::size_t index, std::int32_t partition, Offset to,
                  const storage::LeaderEpochCache& epochs, LeaderEpoch in);
    bool has_replica(std::size_t index, std::int32_t partition, const metadata::Image& image) const;
    std::string digest(const metadata::Image& image) const;

    const Options options_;
    runtime::sim::Simulation& simulation_;
    Uuid topic_id_;
    std::vector<Node> nodes_;
    std::vector<Partition> partitions_;
    std::map<std::int64_t, std::string> images_;  ///< Digest by end offset.
    metadata::ImagePtr newest_;
    std::map<QuorumEpoch, std::size_t> controllers_;
};

}  // namespace millrace::simtest
