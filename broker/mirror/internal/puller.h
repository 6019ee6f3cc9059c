// mirror/internal/puller.h
//
// The pulling side of all links on one data shard: for each mirror partition that this shard leads,
// a PartitionCore, and for each source broker a few connections with one fetch in flight on each.
// What it must have decided or remembered elsewhere goes up to the control loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "client/connection.h"
#include "mirror/internal/lag_clock.h"
#include "mirror/internal/throttle.h"
#include "mirror/partition_core.h"
#include "mirror/state.h"
#include "mirror/topics_core.h"
#include "replication/replicas.h"
#include "runtime/node.h"

namespace millrace::mirror {

/// What a link has this shard do for one partition. Made anew by the control loop at each change.
struct PullJob {
    TopicIdPartition id;
    std::string topic;
    LeaderEpoch leader_epoch;  ///< That we lead in.
    std::string source_topic;
    Uuid source_topic_id;
    BrokerId source_leader = no_broker;
    runtime::Address source_address;
    LeaderEpoch source_epoch = no_leader_epoch;
    PartitionPolicy policy;
    ReadUpTo read_up_to = ReadUpTo::high_watermark;
    bool is_compacted = false;
    /// The mirror is promoted: take over nothing more, end the mirrored history.
    bool seal = false;
    /// The source is a topic of our own cluster: a mirror that is being archived.
    bool from_own = false;
    friend bool operator==(const PullJob&, const PullJob&) = default;
};

/// The control loop, from a shard: every member may be called from any thread.
struct Upwards {
    /// A loss is written down before the mirror goes on. `done` runs on the shard's loop.
    std::function<void(const std::string& link, const std::string& topic, const Report& report,
                       PartitionIndex partition, runtime::Executor& home,
                       UniqueFunction<void(bool)> done)>
        remember_loss;
    /// `sealed` without its time.
    std::function<void(const std::string& link, const std::string& topic, const Sealed& sealed,
                       runtime::Executor& home, UniqueFunction<void(bool)> done)>
        remember_seal;
    std::function<void(const std::string& link)> refresh_source;
    std::function<void(const std::string& link, const std::string& topic, HaltReason reason)> halt;
};

class Puller {
public:
    struct Link {
        client::ConnectionOptions connection;      ///< The address is each job's.
        client::ConnectionOptions own_connection;  ///< Of jobs that are `from_own`.
        /// Another one: who we are, or whom we trust, has changed. What stands goes too: it would
        /// come back with what it had.
        std::uint64_t source_generation = 0;
        std::int64_t bytes_per_second = 0;  ///< This shard's share; 0: no limit.
        std::size_t connections_per_broker = 4;
        std::vector<PullJob> jobs;
    };

    Puller(runtime::Shard shard, runtime::Node& node, replication::ShardReplicas& replicas,
           Upwards up, const Logger& log);
    ~Puller();
    Puller(const Puller&) = delete;
    Puller& operator=(const Puller&) = delete;

    /// Exactly these jobs from now on; what is under way for others changes nothing any more.
    void set_link(const std::string& id, Link link);
    void drop_link(const std::string& id);

    std::vector<PartitionView> partitions(const std::string& link);
    PullCounters counters(const std::string& link) const;
    std::size_t connections(const std::string& link) const;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::mirror
