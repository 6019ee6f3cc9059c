// runtime/sim/simulation.h
//
// A world in one thread: nodes, a network, time, and a seed from which everything follows. Run it
// twice with the same seed and the same plan: the same events, the same trace_hash().
//
//   Simulation simulation({.seed = 7});
//   SimNode& node = simulation.add_node({.name = "n1"});
//   node.start([](Node& machine) { return std::make_unique<Broker>(machine); });
//   simulation.run_for(10s);
//
// The script (whoever holds the Simulation) acts between events. An invariant is asked after every
// event; the first violation ends the run.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/sim/faults.h"
#include "runtime/sim/internal/world.h"
#include "runtime/sim/sim_network.h"
#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

struct SimulationOptions {
    std::uint64_t seed = 1;
    FaultPlan plan{};
    /// Gets each log line and fault with its time and node; empty: no trace.
    std::function<void(const std::string&)> trace{};
};

struct Violation {
    Instant at;
    std::string what;
};

class Simulation {
public:
    using Invariant = std::function<std::optional<std::string>()>;

    explicit Simulation(SimulationOptions options);
    ~Simulation();

    SimNode& add_node(SimNodeOptions options);
    SimNode& node(std::size_t index) { return *nodes_.at(index); }
    std::size_t nodes() const { return nodes_.size(); }
    SimNetwork& network() { return network_; }
    Random& random() { return random_; }  ///< The script's own.
    Instant now() const { return world_.now; }

    void at(Instant when, Task step);  ///< A step of the script.
    void in(Duration delay, Task step) { at(now() + delay, std::move(step)); }

    /// Run until the time is over, there is nothing left to do, or an invariant broke (false).
    bool run_for(Duration time);
    /// The same until `condition`, asked after every event. True if it came to be.
    bool run_until(const std::function<bool()>& condition, Duration limit);

    void add_invariant(std::string name, Invariant invariant);
    /// From a checker: the first one counts.
    void fail(std::string what);
    const std::optional<Violation>& violation() const { return violation_; }
    /// An `error` log line is a violation unless its event's name begins like this.
    void expect_error(std::string event_prefix);

    /// The end of bad luck: faults that last end, later ones do not come, dead nodes start again,
    /// the ambient is calm. What was lost stays lost.
    void heal();

    std::uint64_t trace_hash() const { return world_.trace.value(); }
    std::uint64_t events_run() const { return events_run_; }
    /// Whose event ran last, for an invariant that looks only where something can have changed;
    /// null after a step of the script.
    SimNode* last_node() const { return last_node_; }
    const FaultCounts& counts() const { return world_.counts; }

    // For the simulation's own parts.
    void note(const SimNode* node, const std::string& line);
    void logged_error(const SimNode& node, std::string_view event, const std::string& line);
    World& world() { return world_; }

private:
    bool step(Instant limit);
    void run_event(const EventHeap::Entry& entry);
    void check_progress();
    void check_invariants();
    void schedule(const Fault& fault);
    void begin(const Fault& fault);
    void begin_process(const Fault& fault, SimNode& node);
    void begin_network(const Fault& fault, SimNode& node);
    void begin_disk(const Fault& fault, SimNode& node);
    void begin_clock(const Fault& fault, SimNode& node);
    void end(const Fault& fault);
    void back_after(SimNode& node, Duration delay);

    World world_;
    SimNetwork network_;
    SeededRandom random_;
    std::vector<std::unique_ptr<SimNode>> nodes_;
    std::uint32_t next_loop_ = 1;
    std::vector<std::pair<std::string, Invariant>> invariants_;
    std::vector<std::string> expected_errors_;
    std::optional<Violation> violation_;
    std::uint64_t events_run_ = 0;
    Instant second_began_{0};
    std::uint64_t events_before_second_ = 0;
    SimNode* last_node_ = nullptr;
    std::uint64_t fault_epoch_ = 0;  ///< heal() starts a new one: older faults do nothing more.

    friend class SimNode;
};

}  // namespace millrace::runtime::sim
