// app/internal/plan_runner.h
//
// Plans on a running cluster: computes them off the loops, keeps the intent in the metadata quorum,
// and, on the node whose controller is active, carries out the one that runs as ordinary
// reassignments. It remembers nothing that a next controller would need: that one plans again from
// the metadata, with the same intent.
#pragma once

#include <memory>

#include "admin/plan_doors.h"
#include "app/internal/broker_view.h"
#include "runtime/node.h"

namespace millrace::app {

class PlanRunner final : public admin::PlanDoors {
public:
    /// `doors` outlives it; sizes are asked through it.
    PlanRunner(const BrokerView& view, admin::AdminDoors& doors, runtime::Node& node);
    ~PlanRunner() override;

    void placement_view(admin::PlacementQuestion question,
                        admin::Reply<admin::PlacementView> reply) override;
    void plan(admin::PlanWish wish, admin::Reply<admin::ProposedPlan> reply) override;
    void apply(admin::Caller caller, std::string hash,
               admin::Reply<admin::PlanProgress> reply) override;
    void order(admin::Caller caller, std::string hash, admin::PlanOrder order,
               admin::Reply<admin::PlanProgress> reply) override;
    void progress(std::string hash, admin::Reply<admin::PlanProgress> reply) override;
    std::unique_ptr<admin::Subscription> watch(
        std::string hash, UniqueFunction<void(admin::PlanProgress)> news) override;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
