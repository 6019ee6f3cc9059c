// One or three replicas of a few registers, some clients: whatever happens, the clients see one
// register. A single replica shows at once what its disk lost, three of them what the wire did.
#include <algorithm>
#include <array>
#include <vector>

#include "tests/sim/harness/scenario.h"
#include "tests/sim/systems/register_client.h"
#include "tests/sim/systems/register_history.h"
#include "tests/sim/systems/register_replica.h"

namespace millrace::simtest {

namespace {

constexpr std::uint32_t most_clients = 4;
constexpr std::uint32_t calls = 300;
constexpr Duration bad_time = 6s;
constexpr Duration good_time = 120s;
constexpr Duration call_limit = 1500ms;
constexpr Duration patience_when_healthy = 60s;
constexpr Duration supervision = 300ms;

/// What all machines of a run report to.
struct Run {
    explicit Run(const RunPlan& the_plan)
        : plan(the_plan), bug(bug_called(plan.bug)), simulation(plan.world()) {
        SeededRandom random(sim::derive_seed(plan.seed, "shape"));
        replicas = random.one_in(2) ? 1 : 3;
        clients = static_cast<std::uint32_t>(random.between(2, most_clients));
        keys = static_cast<std::uint32_t>(random.between(1, 2));
        longest_thought = std::chrono::milliseconds{random.between(5, 150)};
        filler_one_in = random.one_in(2) ? 1 : 1 + random.below(20);
        draw_due_times();
    }

    /// When each call is made at the earliest, whether others are left out or not: so what is left
    /// of a failing run still meets its faults.
    void draw_due_times() {
        for (std::uint32_t call = 0; call < calls; ++call) {
            SeededRandom random(sim::derive_seed(plan.seed, "pause", call));
            const Instant before = call < clients ? Instant{0} : due[call - clients];
            due[call] = before + Duration{random.between(0, longest_thought.count())};
        }
    }

    const RunPlan& plan;
    const Bug bug;
    RegisterHistory history;
    std::uint32_t replicas = 0;
    std::uint32_t clients = 0;
    std::uint32_t keys = 0;
    Duration longest_thought{};
    std::uint64_t filler_one_in = 1;  ///< How often a value is long.
    std::array<Instant, calls> due;
    std::size_t next[most_clients] = {};  ///< Into plan.operations: where a client goes on.
    std::uint32_t finals_done = 0;
    bool is_healthy = false;
    sim::Simulation simulation;  // Last: programs refer to the rest until they are destroyed.

    std::vector<runtime::Address> addresses() const {
        std::vector<runtime::Address> all;
        for (std::uint32_t i = 0; i < replicas; ++i) {
            all.push_back({fmt::format("n{}", i), RegisterReplica::default_port});
        }
        return all;
    }
};

class ReplicaProgram final : public sim::Program {
public:
    ReplicaProgram(runtime::Node& node, Bug bug) : replica(node, "/data", bug) {}
    RegisterReplica replica;
};

/// One call after the other, each drawn from its number; at the end a read of every key.
class ClientProgram final : public sim::Program {
public:
    ClientProgram(Run& run, runtime::Node& node, std::uint32_t number)
        : run_(run),
          shard_(node.control_shard()),
          number_(number),
          client_(node, run.addresses(), run.bug) {
        think();
    }

private:
    /// The next of this client's operations, or nothing.
    std::optional<std::uint32_t> next_operation() {
        std::size_t& next = run_.next[number_];
        const auto& all = run_.plan.operations;
        while (next < all.size() && all[next] % run_.clients != number_) {
            ++next;
        }
        return next < all.size() ? std::optional(all[next]) : std::nullopt;
    }

    void think() {
        const auto next = next_operation();
        const Duration pause =
            next ? std::max(run_.due.at(*next) - now(), Duration{0}) : run_.longest_thought;
        shard_.executor->after(pause, [this] { next_call(); });
    }

    void next_call() {
        if (const auto next = next_operation()) {
            ++run_.next[number_];
            call(*next);
        } else if (!run_.is_healthy) {
            think();
        } else if (number_ == 0 && run_.finals_done < run_.keys) {
            final_read(fmt::format("k{}", run_.finals_done));
        }
    }

    void tell(const std::string& what) {
        run_.simulation.note(nullptr, fmt::format("client{}: {}", number_, what));
    }

    void call(std::uint32_t operation) {
        SeededRandom random(sim::derive_seed(run_.plan.seed, "call", operation));
        const std::string key = fmt::format("k{}", random.below(run_.keys));
        if (random.one_in(2)) {
            read(key);
        } else {
            // Long values now and then: records that cross pages.
            const std::string filler(random.one_in(run_.filler_one_in) ? random.below(12'000) : 0,
                                     'x');
            write(key, fmt::format("v{}{}", operation, filler));
        }
    }

    /// Without what makes it long.
    static std::string shown(const std::string& value) {
        return value.empty() ? "nothing" : value.substr(0, value.find('x'));
    }

    Duration limit() const { return run_.is_healthy ? patience_when_healthy : call_limit; }
    Instant now() const { return run_.simulation.now(); }

    void read(const std::string& key) {
        const auto id = run_.history.begin_read(key, now());
        const bool must_work = run_.is_healthy;
        tell(fmt::format("reads {}", key));
        client_.read(key, limit(), [this, id, must_work](std::optional<std::string> value) {
            if (value) {
                run_.history.end_read(id, *value, now());
            }
            tell(value ? fmt::format("read {}", shown(*value)) : "read: no answer");
            called(value.has_value(), must_work);
        });
    }

    void final_read(const std::string& key) {
        const auto id = run_.history.begin_read(key, now());
        client_.read(key, limit(), [this, id](std::optional<std::string> value) {
            if (value) {
                run_.history.end_read(id, *value, now());
                ++run_.finals_done;
            }
            tell(fmt::format("last read: {}", value ? shown(*value) : "no answer"));
            called(value.has_value(), true);
        });
    }

    void write(const std::string& key, const std::string& value) {
        const auto id = run_.history.begin_write(key, value, now());
        const bool must_work = run_.is_healthy;
        tell(fmt::format("writes {} = {}", key, shown(value)));
        client_.write(key, value, limit(),
                      [this, id, must_work](std::optional<std::string> written) {
                          if (written) {
                              run_.history.end_write(id, now());
                          }
                          tell(written ? "written" : "write: no answer");
                          called(written.has_value(), must_work);
                      });
    }

    void called(bool answered, bool must_work) {
        if (must_work && !answered) {
            run_.simulation.fail("a call in a healthy world was not answered");
        }
        think();
    }

    Run& run_;
    const runtime::Shard shard_;
    const std::uint32_t number_;
    RegisterClient client_;
};

/// As an operator would: a replica that gave up is started anew.
void supervise(Run& run) {
    for (std::uint32_t i = 0; i < run.replicas; ++i) {
        sim::SimNode& node = run.simulation.node(i);
        if (node.is_running() && !node.is_paused() &&
            static_cast<ReplicaProgram*>(node.program())->replica.failed()) {
            node.kill();
            node.restart();
        }
    }
    run.simulation.in(supervision, [&run] { supervise(run); });
}

class RegisterScenario final : public Scenario {
public:
    std::string_view name() const override { return "register"; }
    std::string_view about() const override {
        return "replicas on disk, a few clients; linearizable through every fault";
    }
    std::uint32_t operations() const override { return calls; }

    sim::FaultProfile faults() const override {
        sim::FaultProfile profile;
        for (const auto& kinds : {sim::process_faults(), sim::network_faults(), sim::disk_faults(),
                                  sim::clock_faults()}) {
            profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
        }
        profile.nodes = {0, 1, 2, 3, 4, 5, 6};
        profile.longest = 2s;
        profile.until = bad_time;
        profile.most = 40;
        return profile;
    }

    std::vector<std::string> planted_bugs() const override {
        return {"acks_before_sync",        "retries_failed_sync",    "trusts_torn_tail",
                "trusts_cache_at_restart", "forgets_directory_sync", "empties_log_first",
                "no_write_back",           "small_quorum",           "wall_clock_order",
                "counts_answers_twice",    "ignores_request_id"};
    }

    Outcome run(const RunPlan& plan) const override {
        Run run(plan);
        for (std::uint32_t i = 0; i < run.replicas; ++i) {
            run.simulation.add_node({.name = fmt::format("n{}", i)})
                .start([bug = run.bug](runtime::Node& node) {
                    return std::make_unique<ReplicaProgram>(node, bug);
                });
        }
        for (std::uint32_t i = 0; i < run.clients; ++i) {
            run.simulation.add_node({.name = fmt::format("client{}", i)})
                .start([&run, i](runtime::Node& node) {
                    return std::make_unique<ClientProgram>(run, node, i);
                });
        }
        supervise(run);
        run.simulation.run_for(bad_time);
        run.simulation.heal();
        run.is_healthy = true;
        if (!run.simulation.run_until([&] { return run.finals_done == run.keys; }, good_time)) {
            run.simulation.fail("the last calls were not answered in a healthy world");
        }
        if (auto violation = run.history.violation()) {
            run.simulation.fail(*violation);
        }
        Outcome outcome = Outcome::of(run.simulation);
        outcome.operations = run.history.answered();
        return outcome;
    }
};

MR_SCENARIO(RegisterScenario);

}  // namespace

}  // namespace millrace::simtest
