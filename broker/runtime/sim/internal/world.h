// runtime/sim/internal/world.h
//
// What every simulated thing shares: the time, the events, the seeds, the counters, and who is
// acting right now. One per Simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/random.h"
#include "runtime/sim/faults.h"
#include "runtime/sim/internal/event_heap.h"
#include "runtime/sim/trace_hash.h"

namespace millrace::runtime::sim {

class World {
public:
    World(std::uint64_t the_seed, const Ambient& the_ambient)
        : seed(the_seed),
          ambient(the_ambient),
          scheduling(derive_seed(the_seed, "scheduling")),
          network(derive_seed(the_seed, "network")) {}

    /// True `per_mille` times in a thousand.
    static bool chance(Random& random, std::uint32_t per_mille) {
        return per_mille > 0 && random.below(1000) < per_mille;
    }
    /// In [0, at_most].
    static Duration up_to(Random& random, Duration at_most) {
        return Duration{random.between(0, at_most.count())};
    }
    static Duration exponential(Random& random, Duration mean);

    TimerId at(Instant when, Task task) { return events.add(when, EventOwner{}, std::move(task)); }
    TimerId in(Duration delay, Task task) { return at(now + delay, std::move(task)); }

    void count(FaultKind kind) { counts.add(kind); }
    bool tracing() const { return static_cast<bool>(trace_line); }

    const std::uint64_t seed;
    Ambient ambient;
    SeededRandom scheduling;
    SeededRandom network;
    Instant now{0};
    EventHeap events;
    TraceHash trace;
    FaultCounts counts;
    std::function<void(const std::string&)> trace_line;

    // Who acts. Null executor with a node: a job of its disk pool, or its program's construction.
    SimExecutor* executor = nullptr;
    bool in_pool_job = false;
    Duration stalled{};  ///< What the disk calls of the current event took so far.
    LifeId next_life = 1;
};

}  // namespace millrace::runtime::sim
