// admin/plan_doors.h
//
// Placement and plans as the admin endpoint asks for them. The rules are those of doors.h: calls
// come from gRPC's threads, `reply` is called once, from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "admin/doors.h"
#include "placement/plan.h"

namespace millrace::admin {

struct DiskLoad {
    Uuid id;
    std::int64_t capacity_bytes = 0;
    std::int64_t used_bytes = 0;
    int replicas = 0;
};

struct BrokerLoad {
    BrokerId id;
    std::string rack;
    bool cordoned = false;
    bool alive = false;
    int replicas = 0;
    int leaders = 0;
    std::int64_t bytes = 0;
    std::vector<DiskLoad> disks;
};

struct PartitionPlacement {
    TopicPartition partition;
    std::vector<BrokerId> replicas;
    BrokerId leader = no_broker;
    std::vector<BrokerId> isr;
    std::int64_t bytes = 0;
    std::vector<BrokerId> adding;
    std::vector<BrokerId> removing;
};

struct PlacementView {
    std::vector<BrokerLoad> brokers;
    std::vector<PartitionPlacement> partitions;
    QuorumEpoch epoch;
    Offset metadata_offset;
};

struct PlacementQuestion {
    std::vector<std::string> topics;  ///< Empty: all.
    bool with_partitions = false;
};

/// What a plan is asked for, in the words of the caller.
struct PlanWish {
    placement::Mode mode = placement::Mode::scale_out;
    std::vector<BrokerId> drain;
    std::vector<BrokerId> lost;
    std::map<std::string, int> replication_factors;
    std::vector<std::string> exclude_topics;  ///< Globs.
    bool empty_cordoned_disks = false;
    placement::Limits limits;
    std::int64_t throttle_bytes_per_second =
        0;  ///< At most, for each broker; 0: what clients leave.
};

struct ProposedPlan {
    std::string hash;
    placement::Mode mode = placement::Mode::scale_out;
    placement::Plan plan;
    QuorumEpoch epoch;
    Offset metadata_offset;
};

enum class PlanState {
    planned = 1,
    running,
    paused,
    cancelling,
    cancelled,
    done,
    failed,
    rolling_back,
    rolled_back,
};

struct BlockedMove {
    TopicPartition partition;
    std::string reason;
    friend bool operator==(const BlockedMove&, const BlockedMove&) = default;
};

struct PlanProgress {
    std::string hash;
    PlanState state = PlanState::planned;
    int moves_total = 0;
    int moves_done = 0;
    int moves_in_flight = 0;
    int moves_failed = 0;
    int moves_dropped = 0;
    std::int64_t bytes_total = 0;
    std::int64_t bytes_done = 0;
    std::int64_t bytes_per_second = 0;
    std::int64_t eta_seconds = -1;
    std::int64_t throttle_bytes_per_second = 0;
    std::string throttle_reason;
    std::vector<BlockedMove> blocked;
    Timestamp started_at;
    Timestamp ended_at;
    int lower_bound_moves = 0;
};

enum class PlanOrder { pause, resume, cancel, roll_back };

class PlanDoors {
public:
    virtual ~PlanDoors() = default;

    virtual void placement_view(PlacementQuestion question, Reply<PlacementView> reply) = 0;
    virtual void plan(PlanWish wish, Reply<ProposedPlan> reply) = 0;
    /// `throttle_bytes_per_second`: over the plan's own, also while it runs; 0: the plan's.
    virtual void apply(Caller caller, std::string hash, std::int64_t throttle_bytes_per_second,
                       Reply<PlanProgress> reply) = 0;
    virtual void order(Caller caller, std::string hash, PlanOrder order,
                       Reply<PlanProgress> reply) = 0;
    /// An empty hash asks for the one that runs, else for the last.
    virtual void progress(std::string hash, Reply<PlanProgress> reply) = 0;
    /// The first news comes at once; the last when the plan has ended.
    virtual std::unique_ptr<Subscription> watch(std::string hash,
                                                UniqueFunction<void(PlanProgress)> news) = 0;
};

}  // namespace millrace::admin
