// tests/sim/systems/mirror_watch.h
//
// Holds clusters and their links against what a mirror promises (I1 ... of the table in
// tests/unit/mirror/README.md), some of it after every event, some of it when the script asks.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "tests/sim/systems/mirror_world.h"

namespace millrace::simtest {

class MirrorWatch {
public:
    MirrorWatch(const MirrorWorld& world, runtime::sim::Simulation& simulation)
        : world_(world), simulation_(simulation) {
        for (ClusterIndex i = 0; i < world.topology.clusters; ++i) {
            names_.push_back(world.topology.names_at(i));
        }
        seen_.resize(world.topology.clusters);
    }

    using Broken = std::optional<std::string>;

    /// After every event, of whoever acted: nothing that came from here comes back (I12), a log is
    /// led in no epoch below its batches' (I5), and where a log jumps is noted for check_losses().
    Broken check();

    /// What the producers know: which incarnation of its topic holds a value, and which
    /// transactions were to be committed.
    void landed(std::uint32_t operation, int incarnation) { landed_[operation] = incarnation; }
    void to_commit(std::uint32_t operation) { to_commit_.insert(operation); }

    /// Every mirror's log against its source's: the same batches at the same offsets (I1), once and
    /// upwards (I2), of one incarnation (I11); what was promoted goes on above what was mirrored,
    /// in a later epoch (I4); read_committed shows what was committed at the source (I6), and the
    /// last stable offset is what a replay computes (I7).
    Broken check_logs();
    /// From now on topics are promoted: such a one begins a history of its own, and may go
    /// anywhere.
    void note_promotions() { promotions_ = true; }
    /// Nothing that was open where a mirrored history ended is undecided now (I6). At rest.
    Broken check_undecided() const;
    /// Every real loss is reported (I10). A report may be of none: a source that dies after it has
    /// deleted records may have them again. At rest.
    Broken check_losses() const;

    /// Every link has what it shall have, level with its source; else why not.
    Broken unsettled() const;
    /// Topics and settings of all clusters, but for what moves by itself.
    std::string settings() const;
    /// Where all mirrors end; none while one of them can't be asked.
    std::optional<std::string> ends() const;

    const DrawnLink* owner(ClusterIndex cluster, const mirror::LocalTopic& topic) const;

private:
    using Place = std::tuple<ClusterIndex, std::string, std::int32_t>;
    struct Seen {
        const metadata::Image* image = nullptr;
        metadata::ImagePtr keep;
        std::vector<std::pair<Place, TopicIdPartition>> partitions;
    };
    using Jumps = std::map<Offset, Offset>;  ///< From where to where.
    struct Tracked {
        Uuid id;
        Offset end = no_offset;
        Offset committed = no_offset;  ///< A crash may take the rest, and in a jump all of it.
        Jumps jumps;
    };

    Broken check_names(ClusterIndex cluster, Seen& seen);
    Broken check_partition(const Place& place, const TopicIdPartition& id);
    Broken check_log(ClusterIndex cluster, const mirror::LocalTopic& topic, std::int32_t partition);
    Broken check_batches(const mirror::LocalTopic& topic, std::int32_t partition,
                         const MirrorWorld::Log& log);
    Broken check_values(const MirrorWorld::Log& log) const;
    Broken check_transactions(const MirrorWorld::Log& log) const;
    Broken compare(const MirrorWorld::Log& theirs, const MirrorWorld::Log& ours, Offset end) const;
    Broken unsettled(const DrawnLink& drawn) const;
    Broken unsettled(const DrawnLink& drawn, const mirror::Link& link,
                     const mirror::LocalTopic& source) const;
    Broken behind(const DrawnLink& drawn, const std::string& source,
                  const mirror::LocalTopic& mirror) const;

    const MirrorWorld& world_;
    runtime::sim::Simulation& simulation_;
    std::vector<std::set<std::string>> names_;
    std::vector<Seen> seen_;
    std::map<Place, Tracked> tracked_;
    std::map<std::uint32_t, int> landed_;
    std::set<std::uint32_t> to_commit_;
    bool promotions_ = false;
};

/// What values look like, so that a checker knows whose they are.
struct Value {
    std::uint32_t operation = 0;
    bool in_transaction = false;
};
std::string value_text(const Value& value, std::size_t filler);
std::optional<Value> value_of(ByteView bytes);

}  // namespace millrace::simtest
