// runtime/sim/internal/sim_executor.h
//
// One simulated loop of a node. Tasks of one poster keep their order, everything else may overtake;
// while a disk call stalls the loop, its events wait, as a thread's would.
#pragma once

#include <vector>

#include "runtime/executor.h"
#include "runtime/sim/internal/sim_clock.h"
#include "runtime/sim/internal/world.h"

namespace millrace::runtime::sim {

class SimNode;

class SimExecutor final : public Executor {
public:
    /// `number` is this loop's own among all of the simulation, from 1; 0 stands for other threads.
    SimExecutor(World& world, SimNode& node, const SimClock& clock, std::uint32_t number)
        : world_(world), node_(node), clock_(clock), number_(number) {}

    const Clock& clock() const override { return clock_; }
    void post(Task task) override;
    TimerId after(Duration delay, Task task) override;
    void cancel(TimerId timer) override;
    bool is_current() const override { return world_.executor == this; }
    Instant read_clock() const override;

    /// An event of the node's kernel on this loop: readable, accepted and the like.
    void notify(Duration delay, Task task);

    /// Nobody else acts now: the loop's own task does, or the script of the simulation.
    bool may_touch() const;

    std::uint32_t number() const { return number_; }
    Instant busy_until() const { return busy_until_; }
    void stall_until(Instant until) { busy_until_ = until; }
    void begin_life() {
        last_from_.clear();
        busy_until_ = Instant{};
    }

private:
    EventOwner owner() const;

    World& world_;
    SimNode& node_;
    const SimClock& clock_;
    const std::uint32_t number_;
    Instant busy_until_{0};
    std::vector<Instant> last_from_;
};

}  // namespace millrace::runtime::sim
