// placement/internal/passes.h
//
// The planner's passes over the model, in the order in which plan() runs them. Each leaves every
// hard constraint as good as it found it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "placement/internal/model.h"

namespace millrace::placement {

/// What could not be had, told once for each constraint with an example.
class Complaints {
public:
    void add(const Model& model, const Model::Partition& partition, std::string constraint,
             std::string reason);
    void add(std::string constraint, std::string reason);
    std::vector<Unmet> all() const;

private:
    std::map<std::string, Unmet> by_constraint_;
};

/// Lost and draining brokers, replication factors, racks: what has to change in any case. Who gets
/// a replica is who lacks most of its goal.
void repair(Model& model, const std::vector<std::int64_t>& goals, Complaints& complaints);

/// Surplus to deficit until every broker has its goal, topics spread as it goes.
void even_counts(Model& model, const std::vector<std::int64_t>& goals);

/// Fewer copies to the same counts.
void save_copies(Model& model);

/// Exchanges between brokers whose counts are right: topics that pile up on one broker, then bytes.
void spread_topics(Model& model);
void even_bytes(Model& model);

/// The order of replicas, so that preferred leaders are even and nobody leads who must not.
void even_leaders(Model& model);

/// Bytes off the brokers and disks that were named.
void relieve(Model& model, const Snapshot& snapshot, const std::vector<Relief>& wanted,
             Complaints& complaints);

/// What the model has changed, as moves in waves, within the budget.
void schedule(Model& model, Plan& plan, Complaints& complaints);

/// Replicas of a broker go off its cordoned disks, where that is desired, and from its fuller disks
/// to its emptier ones, as their capacities are; not those that `plan` moves anyway.
void even_disks(const Snapshot& snapshot, const Desired& desired, const Limits& limits, Plan& plan,
                Complaints& complaints);

}  // namespace millrace::placement
