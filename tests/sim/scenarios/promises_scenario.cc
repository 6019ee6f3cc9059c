// The runtime's own promises (systems/promises.h) through pauses, kills, drifting and jumping
// clocks: what every other scenario takes for granted.
#include <vector>

#include "tests/sim/harness/scenario.h"
#include "tests/sim/systems/promises.h"

namespace millrace::simtest {

namespace {

constexpr std::uint32_t machines = 2;
constexpr std::uint32_t attempts = 200;
constexpr Duration bad_time = 4s;
constexpr Duration good_time = 10s;

class KeeperProgram final : public sim::Program {
public:
    KeeperProgram(runtime::Node& node, sim::Simulation& simulation)
        : keeper(node, [&](const std::string& what) { simulation.fail(what); }),
          loop(*node.control_shard().executor) {}

    PromiseKeeper keeper;
    runtime::Executor& loop;
};

class PromisesScenario final : public Scenario {
public:
    std::string_view name() const override { return "promises"; }
    std::string_view about() const override {
        return "timers, posts, lanes and clocks keep what runtime/ promises";
    }
    std::uint32_t operations() const override { return attempts; }

    sim::FaultProfile faults() const override {
        sim::FaultProfile profile;
        for (const auto& kinds : {sim::process_faults(), sim::clock_faults()}) {
            profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
        }
        profile.nodes = {0, 1};
        profile.until = bad_time;
        profile.longest = 500ms;
        return profile;
    }

    Outcome run(const RunPlan& plan) const override {
        sim::Simulation simulation(plan.world());
        for (std::uint32_t i = 0; i < machines; ++i) {
            simulation.add_node({.name = fmt::format("n{}", i), .data_shards = 2})
                .start([&simulation](runtime::Node& node) {
                    return std::make_unique<KeeperProgram>(node, simulation);
                });
        }
        std::uint64_t tried = 0;
        for (const std::uint32_t operation : plan.operations) {
            simulation.at(Instant{0} + bad_time * operation / attempts, [&, operation] {
                sim::SimNode& node = simulation.node(operation % machines);
                if (node.is_running()) {
                    auto& program = *static_cast<KeeperProgram*>(node.program());
                    program.loop.post([&program, random = SeededRandom(sim::derive_seed(
                                                     plan.seed, "attempt", operation))] {
                        program.keeper.try_one(random);
                    });
                    ++tried;
                }
            });
        }
        simulation.run_for(bad_time);
        simulation.heal();
        const auto open = [&] {
            std::size_t all = 0;
            for (std::uint32_t i = 0; i < machines; ++i) {
                const auto* program = static_cast<KeeperProgram*>(simulation.node(i).program());
                all += program == nullptr ? 1 : program->keeper.open();
            }
            return all;
        };
        if (!simulation.run_until([&] { return open() == 0; }, good_time)) {
            simulation.fail(fmt::format("{} timers, tasks or jobs never came", open()));
        }
        Outcome outcome = Outcome::of(simulation);
        outcome.operations = tried;
        return outcome;
    }
};

MR_SCENARIO(PromisesScenario);

}  // namespace

}  // namespace millrace::simtest
