// app/internal/plan_computer.h
//
// A plan of moves, computed on the disk pool from this node's image and from what brokers say about
// sizes. A plan of a large cluster takes seconds: never on a loop.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "admin/plan_doors.h"
#include "app/internal/broker_view.h"
#include "app/internal/replica_sizes.h"
#include "runtime/node.h"

namespace millrace::app {

/// With the image that it rests on.
struct ComputedPlan {
    metadata::ImagePtr image;
    admin::PlanWish wish;
    placement::Plan plan;
    std::string name;
};

class PlanComputer : public std::enable_shared_from_this<PlanComputer> {
public:
    /// `doors` outlives it; sizes are asked through it.
    PlanComputer(const BrokerView& view, admin::AdminDoors& doors, runtime::Node& node)
        : view_(view),
          doors_(doors),
          control_(*node.control_shard().executor),
          pool_(node.disk_pool()) {}

    metadata::ImagePtr image() const { return view_.doors->image->current(); }
    admin::AdminDoors& doors() const { return doors_; }
    /// From any thread; `done` runs on the control loop.
    void compute(admin::PlanWish wish, UniqueFunction<void(std::shared_ptr<ComputedPlan>)> done);
    /// Of everything on the brokers that are up. `done` runs on any thread.
    void all_sizes(UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done);
    /// `done` runs on the control loop.
    void sizes_of(std::vector<BrokerId> brokers, const Partitions& partitions,
                  UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done);

private:
    const BrokerView& view_;
    admin::AdminDoors& doors_;
    runtime::Executor& control_;
    runtime::DiskPool& pool_;
};

/// The topic of groups' offsets has as many replicas as it would get if it were made now: it grows
/// with a cluster that began as one broker, and holds nobody up who leaves.
void fit_offsets_topic(const metadata::Image& image, int wished, admin::PlanWish& wish);

/// What makes the wish senseless here: topics and brokers that don't exist, more replicas than
/// brokers that take any.
Result<void> check_wish(const metadata::Image& image, const admin::PlanWish& wish);

/// Why a plan must not even be begun: its brokers can't be emptied. Else nothing.
Result<void> check_begin(const ComputedPlan& computed);

}  // namespace millrace::app
