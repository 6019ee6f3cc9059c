#include "runtime/sim/simulation.h"

#include <algorithm>
#include <utility>

#include "runtime/sim/internal/sim_net.h"

namespace millrace::runtime::sim {

Simulation::Simulation(SimulationOptions options)
    : world_(options.seed, options.plan.ambient),
      network_(world_),
      random_(derive_seed(options.seed, "script")) {
    world_.trace_line = std::move(options.trace);
    for (const Fault& fault : options.plan.faults) {
        schedule(fault);
    }
}

Simulation::~Simulation() {
    // Programs of one node may hold what reaches into another's: all end before any node goes.
    for (const auto& node : nodes_) {
        node->kill();
    }
}

SimNode& Simulation::add_node(SimNodeOptions options) {
    MR_ASSERT(!options.name.empty());
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.push_back(
        std::make_unique<SimNode>(*this, world_, network_, std::move(options), index, next_loop_));
    network_.add_node(*nodes_.back());
    return *nodes_.back();
}

void Simulation::at(Instant when, Task step) {
    world_.at(std::max(when, now()), std::move(step));
}

bool Simulation::run_for(Duration time) {
    const Instant end = now() + time;
    while (!violation_ && step(end)) {
    }
    if (!violation_) {
        world_.now = end;
    }
    return !violation_;
}

bool Simulation::run_until(const std::function<bool()>& condition, Duration limit) {
    const Instant end = now() + limit;
    while (!violation_ && !condition()) {
        if (!step(end)) {
            world_.now = end;
            return condition();
        }
    }
    return !violation_;
}

bool Simulation::step(Instant limit) {
    const auto entry = world_.events.pop(limit);
    if (!entry) {
        return false;
    }
    world_.now = std::max(world_.now, entry->at);
    const EventOwner owner = world_.events.owner(*entry);
    if (owner.node != nullptr && owner.node->is_paused()) {
        owner.node->park(*entry);
        return true;
    }
    if (owner.executor != nullptr) {
        if (owner.executor->busy_until() > world_.now) {
            world_.events.put_off(*entry, owner.executor->busy_until());
            return true;
        }
        if (owner.not_before > owner.executor->clock().now()) {
            world_.events.put_off(*entry, owner.node->sim_clock().world(owner.not_before));
            world_.count(FaultKind::late_timer);
            return true;
        }
    }
    run_event(*entry);
    return true;
}

void Simulation::run_event(const EventHeap::Entry& entry) {
    const EventOwner owner = world_.events.owner(entry);
    world_.trace.fold(static_cast<std::uint64_t>(world_.now.nanoseconds));
    world_.trace.fold((std::uint64_t{owner.life} << 32) |
                      (owner.executor != nullptr ? owner.executor->number() : 0));
    ++events_run_;
    last_node_ = owner.node;
    world_.executor = owner.executor;
    {
        Task task = world_.events.take(entry);
        task();
    }
    world_.executor = nullptr;
    const Duration stalled = std::exchange(world_.stalled, Duration{});
    if (owner.executor != nullptr) {
        owner.executor->stall_until(world_.now + stalled);
    }
    if (owner.node != nullptr) {
        owner.node->end_if_doomed();
    }
    check_progress();
    check_invariants();
}

// What posts to itself for ever would be a run that never ends.
void Simulation::check_progress() {
    constexpr std::uint64_t most_in_a_second = 5'000'000;
    if (world_.now - second_began_ > std::chrono::seconds{1}) {
        second_began_ = world_.now;
        events_before_second_ = events_run_;
    }
    if (events_run_ - events_before_second_ > most_in_a_second) {
        fail("goes round in circles: millions of events within a second");
    }
}

void Simulation::check_invariants() {
    for (const auto& [name, invariant] : invariants_) {
        if (violation_) {
            return;
        }
        if (auto broken = invariant()) {
            fail(name + ": " + *broken);
        }
    }
}

void Simulation::add_invariant(std::string name, Invariant invariant) {
    invariants_.emplace_back(std::move(name), std::move(invariant));
}

void Simulation::fail(std::string what) {
    if (!violation_) {
        note(nullptr, "violation: " + what);
        violation_ = Violation{now(), std::move(what)};
    }
}

void Simulation::expect_error(std::string event_prefix) {
    expected_errors_.push_back(std::move(event_prefix));
}

void Simulation::note(const SimNode* node, const std::string& line) {
    world_.trace.fold(line);
    if (world_.tracing()) {
        world_.trace_line(fmt::format("{:12.6f} {:<4} {}",
                                      static_cast<double>(world_.now.nanoseconds) / 1e9,
                                      node == nullptr ? "-" : node->name(), line));
    }
}

void Simulation::logged_error(const SimNode& node, std::string_view event,
                              const std::string& line) {
    const bool is_expected =
        std::any_of(expected_errors_.begin(), expected_errors_.end(),
                    [&](const std::string& prefix) { return event.starts_with(prefix); });
    if (!is_expected) {
        fail(node.name() + " logged an unexpected " + line);
    }
}

void Simulation::heal() {
    ++fault_epoch_;
    note(nullptr, "heals");
    world_.ambient = Ambient::calm();
    network_.heal_everything();
    for (const auto& node : nodes_) {
        node->sim_disk().end_all_faults();
        node->sim_clock().set_drift(0);
        node->resume();
        node->come_back();
    }
}

}  // namespace millrace::runtime::sim
