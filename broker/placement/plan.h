// placement/plan.h
//
// From where replicas are to where they should be: plan() is a pure function of a snapshot, what is
// desired and what is allowed. No clock, no randomness, no I/O; the order of its input doesn't
// matter; the same input gives the same plan and the same hash, whoever computes it.
//
// Hard, in every mode, as far as it can be met: the replicas of a partition are on different
// brokers; their number is what is asked for; none stays on a lost or draining broker; a rack holds
// at most ceil(replicas / racks in service) of a partition, and no second one while another rack
// that could have one has none; a disk holds what it gets even before anything leaves it; nobody
// gets a replica who must not. What can't be met is said in `unmet`, with the reason. Then, in this
// order: even counts, topics spread, even leaders, even bytes, few bytes moved, moves within a
// rack.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/uuid.h"
#include "model/ids.h"

namespace millrace::placement {

enum class Standing {
    active,
    cordoned,     ///< Keeps what it has and gets nothing.
    draining,     ///< Is to be empty.
    lost,         ///< Gone for good; its replicas are made anew from others.
    maintenance,  ///< Keeps what it has, gets nothing and leads nothing.
};

struct Disk {
    Uuid id;
    std::int64_t capacity = 0;  ///< 0: not known, so no limit.
    std::int64_t used = 0;      ///< Everything on it, whoever put it there.
    bool cordoned = false;
    std::string path{};  ///< As its broker calls it; empty: not known.
};

struct BrokerState {
    BrokerId id;
    std::string rack;         ///< Brokers without one share one unnamed rack.
    std::vector<Disk> disks;  ///< May be empty: then without limits.
    double weight = 1;        ///< Its share of the replicas, against the others'.
    Standing standing = Standing::active;
};

struct Replica {
    BrokerId broker;
    std::int16_t disk = -1;  ///< Index into the broker's disks; -1: not known.
    bool in_sync = true;
};

struct PartitionState {
    std::int32_t index = 0;
    std::vector<Replica> replicas;  ///< The preferred leader first; of one being moved, its target.
    BrokerId leader = no_broker;
    std::int64_t bytes = 0;     ///< Of one replica.
    std::int64_t in_rate = 0;   ///< Bytes a second, produced to it.
    std::int64_t out_rate = 0;  ///< Bytes a second, consumed from its leader.
    bool is_moving = false;     ///< Counted where it goes, and left alone.
};

struct TopicState {
    std::string name;
    std::vector<PartitionState> partitions;
};

struct Snapshot {
    std::vector<BrokerState> brokers;
    std::vector<TopicState> topics;
};

enum class Mode {
    repair,        ///< Only what is broken: lost replicas, racks, replication factors.
    drain,         ///< Repair, and empty the draining brokers.
    scale_out,     ///< Drain, and even counts, topics, leaders and bytes.
    full,          ///< All of it: also topics and bytes where counts are even already.
    leaders_only,  ///< The order of replicas; moves no data.
    relieve,       ///< Take bytes off some brokers or disks.
};

struct Relief {
    BrokerId broker;
    std::optional<Uuid> disk;  ///< None: the whole broker.
    int until_percent = 80;    ///< Of capacity.
};

struct Desired {
    Mode mode = Mode::scale_out;
    std::map<std::string, int> replication_factors;  ///< By topic; others keep theirs.
    std::set<std::string> pinned_topics;             ///< Not touched, not even to repair them.
    std::vector<Relief> relieve;
    bool empty_cordoned_disks = false;  ///< Their replicas go to other disks of their brokers.
};

struct Limits {
    int max_moves_per_broker = 4;  ///< In, and as many out, in one wave.
    std::int64_t max_bytes = 0;    ///< Of the whole plan; 0: no limit.
    int count_band_percent = 1;    ///< Counts within this of the target are even enough.
    int bytes_band_percent = 5;
    int disk_percent = 95;  ///< A disk is full at this share of its capacity.
};

enum class Reason { lost, rack, replication_factor, drain, disk, count, topic, bytes, leaders };
const char* to_string(Reason reason);

/// One partition's change, whole: all of it happens or nothing. No partition has two.
struct Move {
    std::string topic;
    std::int32_t partition = 0;
    std::vector<BrokerId> from;
    std::vector<BrokerId> to;  ///< The preferred leader first.
    std::int64_t bytes = 0;    ///< To be copied.
    Reason reason = Reason::count;
    int wave = 0;  ///< From 0; moves of one wave may run side by side.

    /// Brokers that get a replica.
    int arrivals() const;
};

/// A replica that stays on its broker and goes to another disk of it.
struct DiskMove {
    std::string topic;
    std::int32_t partition = 0;
    BrokerId broker;
    std::string from;  ///< Paths.
    std::string to;
    std::int64_t bytes = 0;
};

struct Unmet {
    /// rack, lost, drain, replication_factor, pinned, offline, disk, budget.
    std::string constraint;
    std::string reason;  ///< For a person, with the numbers and a name.
    std::string topic;   ///< An example.
    std::int32_t partition = -1;
    int count = 0;
};

struct Forecast {
    BrokerId id;
    std::int64_t replicas_before = 0;
    std::int64_t replicas_after = 0;
    std::int64_t leaders_before = 0;  ///< Preferred ones.
    std::int64_t leaders_after = 0;
    std::int64_t bytes_before = 0;
    std::int64_t bytes_after = 0;
};

struct Plan {
    std::vector<Move> moves;           ///< In order of waves; every prefix is as safe as the start.
    std::vector<DiskMove> disk_moves;  ///< Of replicas that no move touches.
    std::int64_t replica_moves = 0;    ///< Replicas that are copied.
    std::int64_t move_bytes = 0;
    int leader_changes = 0;        ///< Preferred leaders that are others afterwards.
    std::int64_t lower_bound = 0;  ///< No plan to the same end copies fewer replicas.
    int waves = 0;
    std::vector<Unmet> unmet;
    std::vector<Forecast> brokers;
    std::string fingerprint;  ///< Of the snapshot: brokers, racks and replica lists.
    std::string hash;         ///< Of the moves; names the plan.
};

Plan plan(const Snapshot& snapshot, const Desired& desired, const Limits& limits);

/// Of what the hard constraints look at; loads may differ.
std::string fingerprint(const Snapshot& snapshot);

}  // namespace millrace::placement
