// app/internal/plan_carrier.h
//
// Carries out the plan that the metadata names, while this node's controller is active: as ordinary
// reassignments, in a window. It notes in the metadata how far it is, and remembers nothing that a
// next controller would need: that one plans again with the same wish and goes on.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/internal/disk_mover.h"
#include "app/internal/plan_computer.h"
#include "app/internal/plan_intent.h"
#include "app/internal/plan_journal.h"
#include "placement/adaptive_throttle.h"
#include "placement/execution.h"

namespace millrace::app {

/// Changes one of the settings about plans in the metadata quorum. `done` runs on `control`.
void set_plan_setting(handlers::ControllerDoor& controller, runtime::Executor& control,
                      std::string_view name, const std::string& value,
                      UniqueFunction<void(Result<void>)> done);
/// All of them or none.
void set_plan_settings(handlers::ControllerDoor& controller, runtime::Executor& control,
                       const PlanJournal::Settings& settings,
                       UniqueFunction<void(Result<void>)> done);

/// On the control loop.
class PlanCarrier : public std::enable_shared_from_this<PlanCarrier> {
public:
    PlanCarrier(const BrokerView& view, std::shared_ptr<PlanComputer> computer, runtime::Node& node)
        : view_(view),
          computer_(std::move(computer)),
          control_(*node.control_shard().executor),
          log_(node.log()) {}

    /// The metadata has changed: looks soon.
    void hear();

private:
    using Move = placement::Move;
    using Topics = std::map<std::string, std::vector<std::pair<std::int32_t, const Move*>>>;

    static Topics by_topic(const std::vector<const Move*>& moves);

    bool leads() const { return view_.quorum->leadership().is_self; }
    void look_in(Duration pause);
    void look();
    void begin(const PlanIntent& intent);
    void began(const PlanIntent& intent, const ComputedPlan& made);
    void step(const PlanIntent& intent, const placement::WorldNow& world);
    void narrow_window(std::int64_t behind);
    bool is_complete(const PlanIntent& intent) const;
    void begin_rollback(const PlanIntent& intent);
    void carry_out(const PlanIntent& intent, std::vector<Move> moves, int max_moves_per_broker);
    /// What is about to begin is noted first: a next controller must know it for the plan's own.
    void note_and_start(const std::vector<const Move*>& due);
    void move_disks(const PlanIntent& intent);
    void note_disks(const PlanIntent& intent);
    void write_note(const PlanNote& note);
    void start(const std::vector<const Move*>& due);
    void take_back(const Topics& topics, UniqueFunction<void(bool)> done);
    void note_down(const metadata::Image& image);
    bool is_down_for_long(BrokerId id) const;
    bool is_awaited(const metadata::Image& image, BrokerId id) const;
    void give_up_lost();
    void cancel(const PlanIntent& intent, const metadata::ImagePtr& now);
    void finish(PlanIntent intent, admin::PlanState state);
    void elect();

    void note(const PlanIntent& intent);
    void measure();
    PlanNote note_of(const PlanIntent& intent) const;
    std::int64_t copied() const;

    const BrokerView& view_;
    std::shared_ptr<PlanComputer> computer_;
    runtime::Executor& control_;
    const Logger& log_;
    std::string name_;           ///< Of what `execution_` carries out.
    bool carries_back_ = false;  ///< It is a rollback.
    std::shared_ptr<placement::Execution> execution_;
    std::optional<placement::MoveWindow> window_;  ///< Of `execution_`.
    std::vector<placement::DiskMove> disk_moves_;  ///< Of the same plan: they come last.
    std::shared_ptr<DiskMover> disks_;             ///< While they are carried out.
    runtime::TimerId timer_{};
    Instant due_at_;
    bool is_busy_ = false;
    int fruitless_ = 0;
    std::map<BrokerId, Instant> down_since_;  ///< Those that moves go to.

    // What was noted last, and what it rests on.
    PlanNote noted_;
    Instant noted_at_;
    bool is_noting_ = false;
    std::shared_ptr<const ReplicaSizes> sizes_;  ///< Of what arrives.
    Instant measured_at_;
    bool is_measuring_ = false;
};

}  // namespace millrace::app
