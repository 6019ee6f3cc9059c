#include "tests/sim/harness/scenario.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace millrace::simtest {

namespace {

std::vector<std::unique_ptr<Scenario>>& registry() {
    static std::vector<std::unique_ptr<Scenario>> all;
    return all;
}

}  // namespace

sim::SimulationOptions RunPlan::world() const {
    return {.seed = luck == 0 ? seed : sim::derive_seed(seed, "luck", luck),
            .plan = faults,
            .trace = trace};
}

Outcome Outcome::of(const sim::Simulation& simulation) {
    Outcome outcome;
    if (const auto& violation = simulation.violation()) {
        outcome.violation =
            fmt::format("at {:.6f}s: {}", static_cast<double>(violation->at.nanoseconds) / 1e9,
                        violation->what);
    }
    outcome.trace_hash = simulation.trace_hash();
    outcome.events = simulation.events_run();
    outcome.simulated = Duration{simulation.now().nanoseconds};
    outcome.counts = simulation.counts();
    return outcome;
}

RunPlan Scenario::plan(std::uint64_t seed, std::string bug) const {
    RunPlan plan;
    plan.seed = seed;
    SeededRandom random(sim::derive_seed(seed, "plan"));
    plan.faults = sim::draw_plan(random, faults());
    plan.operations.resize(operations());
    std::iota(plan.operations.begin(), plan.operations.end(), 0U);
    plan.bug = std::move(bug);
    return plan;
}

const std::vector<std::unique_ptr<Scenario>>& scenarios() {
    return registry();
}

bool register_scenario(std::unique_ptr<Scenario> scenario) {
    auto& all = registry();
    const auto place = std::find_if(all.begin(), all.end(), [&](const auto& other) {
        return other->name() > scenario->name();
    });
    all.insert(place, std::move(scenario));
    return true;
}

}  // namespace millrace::simtest
