// app/internal/plan_runner.h
//
// Plans on a running cluster, as the admin endpoint asks for them: computed from this node's image
// (plan_computer.h), kept as an intent in the metadata quorum (plan_intent.h), carried out by
// whichever node's controller is active (plan_carrier.h). Any node answers, from the metadata.
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
    void apply(admin::Caller caller, std::string hash, std::int64_t throttle_bytes_per_second,
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
