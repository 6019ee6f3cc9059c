// Every message comes back whole, once and in order, through torn streams, kills and partitions.
#include <utility>
#include <vector>

#include "tests/sim/harness/scenario.h"
#include "tests/sim/systems/echo.h"

namespace millrace::simtest {

namespace {

constexpr std::uint16_t port = 7;  // Ports of a simulated machine are all its own.
constexpr std::uint32_t clients = 2;
constexpr std::uint32_t messages = 120;
constexpr Duration bad_time = 5s;
constexpr Duration longest_thought = 100ms;
constexpr Duration good_time = 60s;

/// What all machines of a run report to.
struct Run {
    explicit Run(const RunPlan& the_plan) : plan(the_plan), simulation(plan.world()) {}

    std::string message(std::uint32_t operation) const {
        SeededRandom random(sim::derive_seed(plan.seed, "message", operation));
        std::string text(1 + random.below(1ULL << random.below(15)), '\0');
        for (char& c : text) {
            c = static_cast<char>(random.next());
        }
        return text;
    }

    const RunPlan& plan;
    std::size_t next[clients] = {};  ///< Into plan.operations: what a client sends next.
    std::size_t done[clients] = {};  ///< ... and where it goes on in its next life.
    std::uint64_t answered = 0;
    sim::Simulation simulation;  // Last: programs refer to the rest until they are destroyed.
};

class ServerProgram final : public sim::Program {
public:
    ServerProgram(runtime::Node& node, Bug bug) : server_(node, port, bug) {}

private:
    EchoServer server_;
};

class ClientProgram final : public sim::Program {
public:
    ClientProgram(Run& run, runtime::Node& node, std::uint32_t number)
        : client_(
              node, {"server", port}, longest_thought,
              [&run, number] { return next_message(run, number); },
              [&run, number](const std::string& sent, const std::string& received) {
                  if (sent != received) {
                      run.simulation.fail(fmt::format("client{} sent {} bytes and got {} others",
                                                      number, sent.size(), received.size()));
                  }
                  run.simulation.note(nullptr, fmt::format("client{}: it came back", number));
                  ++run.answered;
                  run.done[number] += clients;
              }) {}

private:
    static std::string next_message(Run& run, std::uint32_t number) {
        const std::size_t index =
            std::exchange(run.next[number], run.next[number] + clients) + number;
        if (index >= run.plan.operations.size()) {
            return "";
        }
        const std::uint32_t operation = run.plan.operations[index];
        std::string message = run.message(operation);
        run.simulation.note(nullptr, fmt::format("client{}: message {}, {} bytes, is next", number,
                                                 operation, message.size()));
        return message;
    }

    EchoClient client_;
};

class EchoScenario final : public Scenario {
public:
    std::string_view name() const override { return "echo"; }
    std::string_view about() const override {
        return "one server on two loops, two clients; every message comes back, in order";
    }
    std::uint32_t operations() const override { return messages; }

    sim::FaultProfile faults() const override {
        using sim::FaultKind;
        sim::FaultProfile profile;
        // No silent losses of connections: the clients have no time-outs, a hang must be a bug.
        profile.kinds = {FaultKind::kill,    FaultKind::graceful_stop, FaultKind::pause,
                         FaultKind::isolate, FaultKind::one_way,       FaultKind::slow_link,
                         FaultKind::reset,   FaultKind::wall_jump,     FaultKind::drift};
        profile.nodes = {0, 1, 2};
        profile.until = bad_time;
        profile.longest = 2s;
        return profile;
    }

    std::vector<std::string> planted_bugs() const override {
        return {"message_per_read", "forgets_the_rest", "stops_at_short_read",
                "touches_other_loop"};
    }

    Outcome run(const RunPlan& plan) const override {
        Run run(plan);
        const Bug bug = bug_called(plan.bug);
        run.simulation.add_node({.name = "server", .data_shards = 2})
            .start(
                [bug](runtime::Node& node) { return std::make_unique<ServerProgram>(node, bug); });
        for (std::uint32_t i = 0; i < clients; ++i) {
            run.simulation.add_node({.name = fmt::format("client{}", i)})
                .start([&run, i](runtime::Node& node) {
                    run.next[i] = run.done[i];
                    return std::make_unique<ClientProgram>(run, node, i);
                });
        }
        const auto all_done = [&] { return run.answered == plan.operations.size(); };
        run.simulation.run_until(all_done, bad_time);
        run.simulation.heal();
        if (!run.simulation.run_until(all_done, good_time)) {
            run.simulation.fail(fmt::format("{} of {} messages were answered in the end",
                                            run.answered, plan.operations.size()));
        }
        Outcome outcome = Outcome::of(run.simulation);
        outcome.operations = run.answered;
        return outcome;
    }
};

MR_SCENARIO(EchoScenario);

}  // namespace

}  // namespace millrace::simtest
