#include "runtime/sim/internal/sim_executor.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

EventOwner SimExecutor::owner() const {
    return {node_.life(), &node_, const_cast<SimExecutor*>(this), {}};
}

void SimExecutor::post(Task task) {
    if (!node_.accepts_tasks()) {
        return;  // Destroyed unrun, as after a stop.
    }
    const std::uint32_t poster = world_.executor != nullptr ? world_.executor->number_ : 0;
    if (last_from_.size() <= poster) {
        last_from_.resize(poster + 1);
    }
    Instant& last = last_from_[poster];
    last = std::max(last, world_.now + world_.stalled +
                              World::up_to(world_.scheduling, world_.ambient.post_delay));
    world_.events.add(last, owner(), std::move(task));
}

TimerId SimExecutor::after(Duration delay, Task task) {
    MR_ASSERT(may_touch());
    if (!node_.accepts_tasks()) {
        return {};
    }
    EventOwner whose = owner();
    whose.not_before = read_clock() + std::max(delay, Duration::zero());
    const Duration late = World::up_to(world_.scheduling, world_.ambient.timer_lateness);
    return world_.events.add(clock_.world(whose.not_before) + late, whose, std::move(task));
}

void SimExecutor::cancel(TimerId timer) {
    MR_ASSERT(may_touch());
    if (timer) {
        world_.events.cancel(timer);
    }
}

Instant SimExecutor::read_clock() const {
    return clock_.local(world_.now + (is_current() ? world_.stalled : Duration{}));
}

void SimExecutor::notify(Duration delay, Task task) {
    if (node_.accepts_tasks()) {
        world_.events.add(world_.now + delay, owner(), std::move(task));
    }
}

bool SimExecutor::may_touch() const {
    return is_current() || (world_.executor == nullptr && !world_.in_pool_job);
}

}  // namespace millrace::runtime::sim
