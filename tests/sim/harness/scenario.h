// tests/sim/harness/scenario.h
//
// A scenario is a system under the simulator with its workload, its faults and its checks. To add
// one: a file in tests/sim/scenarios with a class and MR_SCENARIO(TheClass) at its end; the runner,
// the shrinker, the ledger and the CI know it from there on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "runtime/sim/simulation.h"

namespace millrace::simtest {

namespace sim = runtime::sim;

/// Everything that decides a run. Same plan, same run.
struct RunPlan {
    std::uint64_t seed = 1;
    /// The world's dice, apart from faults and operations: other luck, the same story. The shrinker
    /// throws them anew, since whatever it leaves out changes every throw that follows.
    std::uint64_t luck = 0;
    sim::FaultPlan faults;
    /// Which of the scenario's operations are done. An operation's content follows from the seed
    /// and its number alone, so leaving one out does not change the others.
    std::vector<std::uint32_t> operations;
    std::string bug;  ///< A planted bug to switch on; empty: none.
    std::function<void(const std::string&)> trace;

    /// What to make the Simulation of.
    sim::SimulationOptions world() const;
};

struct Outcome {
    std::optional<std::string> violation;
    std::uint64_t trace_hash = 0;
    std::uint64_t events = 0;
    std::uint64_t operations = 0;  ///< That were answered.
    Duration simulated{};
    sim::FaultCounts counts;

    /// Everything that a Simulation knows at its end.
    static Outcome of(const sim::Simulation& simulation);
};

class Scenario {
public:
    virtual ~Scenario() = default;
    virtual std::string_view name() const = 0;
    virtual std::string_view about() const = 0;  ///< One line.
    virtual sim::FaultProfile faults() const = 0;
    virtual std::uint32_t operations() const = 0;
    virtual Outcome run(const RunPlan& plan) const = 0;
    /// Bugs that `plan.bug` can switch on: the simulator must find each.
    virtual std::vector<std::string> planted_bugs() const { return {}; }

    /// The plan of a seed: faults drawn, all operations.
    RunPlan plan(std::uint64_t seed, std::string bug = {}) const;
};

/// Sorted by name.
const std::vector<std::unique_ptr<Scenario>>& scenarios();
bool register_scenario(std::unique_ptr<Scenario> scenario);

}  // namespace millrace::simtest

#define MR_SCENARIO(Class)                                     \
    [[maybe_unused]] static const bool mr_registered_##Class = \
        ::millrace::simtest::register_scenario(std::make_unique<Class>())
