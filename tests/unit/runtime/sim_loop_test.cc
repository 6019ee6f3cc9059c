// Simulated nodes: tasks, timers, clocks, lives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "runtime/sim/simulation.h"

namespace millrace::runtime::sim {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// A program made of one function.
struct Script final : Program {
    explicit Script(UniqueFunction<void()> on_end = nullptr) : end(std::move(on_end)) {}
    ~Script() override {
        if (end) {
            end();
        }
    }
    UniqueFunction<void()> end;
};

ProgramFactory program(std::function<void(Node&)> body) {
    return [body = std::move(body)](Node& node) {
        body(node);
        return std::make_unique<Script>();
    };
}

FaultPlan rough() {
    FaultPlan plan;
    SeededRandom random(1);
    plan.ambient = Ambient::draw(random);
    plan.ambient.post_delay = 1ms;
    plan.ambient.timer_lateness = 5ms;
    plan.ambient.drift_ppm = 10'000;
    return plan;
}

TEST(SimLoop, keeps_the_order_of_one_poster) {
    Simulation simulation({.seed = 3, .plan = rough()});
    std::vector<int> seen;
    simulation.add_node({.name = "n1"}).start(program([&](Node& node) {
        for (int i = 0; i < 200; ++i) {
            node.control_shard().executor->post([&seen, i] { seen.push_back(i); });
        }
    }));
    simulation.run_for(1s);
    EXPECT_EQ(seen.size(), 200U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(SimLoop, two_posters_overtake_each_other_in_some_seed) {
    bool differs = false;
    for (std::uint64_t seed = 1; seed < 20; ++seed) {
        Simulation simulation({.seed = seed, .plan = rough()});
        std::string order;
        simulation.add_node({.name = "n1", .data_shards = 2}).start(program([&](Node& node) {
            Executor* home = node.control_shard().executor;
            for (std::size_t shard = 0; shard < 2; ++shard) {
                node.data_shard(shard).executor->post([&order, home, shard] {
                    home->post([&order, shard] { order += shard == 0 ? 'a' : 'b'; });
                });
            }
        }));
        simulation.run_for(1s);
        differs = differs || order == "ba";
        EXPECT_EQ(order.size(), 2U);
    }
    EXPECT_TRUE(differs);
}

TEST(SimLoop, a_timer_does_not_fire_early_on_its_nodes_clock_even_if_that_slows_down) {
    Simulation simulation({.seed = 5, .plan = rough()});
    SimNode& node = simulation.add_node({.name = "n1"});
    Duration waited{};
    node.start(program([&](Node& machine) {
        Executor* loop = machine.control_shard().executor;
        const Instant begun = loop->clock().now();
        loop->after(10s, [&waited, loop, begun] { waited = loop->clock().now() - begun; });
    }));
    simulation.in(3s, [&] { node.sim_clock().set_drift(-500'000); });
    simulation.run_for(12s);
    EXPECT_EQ(waited, Duration{0});
    simulation.run_for(20s);
    EXPECT_GE(waited, 10s);
    EXPECT_LT(waited, 10s + 10ms);
}

TEST(SimLoop, a_cancelled_timer_stays_silent) {
    Simulation simulation({.seed = 5});
    bool fired = false;
    simulation.add_node({.name = "n1"}).start(program([&](Node& node) {
        Executor* loop = node.control_shard().executor;
        const TimerId timer = loop->after(1s, [&] { fired = true; });
        loop->after(500ms, [loop, timer] { loop->cancel(timer); });
    }));
    simulation.run_for(5s);
    EXPECT_FALSE(fired);
}

TEST(SimLoop, a_kill_destroys_all_that_was_pending) {
    Simulation simulation({.seed = 5});
    SimNode& node = simulation.add_node({.name = "n1"});
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    bool ran = false;
    node.start(program([&](Node& machine) {
        machine.control_shard().executor->after(1s, [owned, &ran] { ran = true; });
        machine.disk_pool().run(
            1, *machine.control_shard().executor, [owned, &ran] { ran = true; }, [owned] {});
        machine.disk_pool().run(
            1, *machine.control_shard().executor, [owned, &ran] { ran = true; }, [owned] {});
        machine.data_shard(0).executor->post([owned, &ran] { ran = true; });
        owned.reset();
    }));
    EXPECT_FALSE(watch.expired());
    node.kill();
    EXPECT_TRUE(watch.expired());
    simulation.run_for(5s);
    EXPECT_FALSE(ran);
}

TEST(SimLoop, tasks_die_before_the_program_they_refer_to) {
    Simulation simulation({.seed = 5});
    SimNode& node = simulation.add_node({.name = "n1"});
    std::string order;
    node.start([&](Node& machine) {
        struct Guard {
            std::string* order;
            explicit Guard(std::string* o) : order(o) {}
            Guard(Guard&& other) noexcept : order(std::exchange(other.order, nullptr)) {}
            ~Guard() {
                if (order != nullptr) {
                    *order += "task ";
                }
            }
        };
        machine.control_shard().executor->after(1s, [guard = Guard(&order)] {});
        return std::make_unique<Script>([&order] { order += "program"; });
    });
    node.kill();
    EXPECT_EQ(order, "task program");
}

TEST(SimLoop, a_paused_node_does_nothing_and_then_everything) {
    Simulation simulation({.seed = 5});
    SimNode& node = simulation.add_node({.name = "n1"});
    std::vector<int> at;
    node.start(program([&](Node& machine) {
        for (int i = 1; i <= 3; ++i) {
            machine.control_shard().executor->after(std::chrono::seconds{i}, [&at, &simulation] {
                at.push_back(static_cast<int>(simulation.now().nanoseconds / 1'000'000'000));
            });
        }
    }));
    simulation.in(1500ms, [&] { node.pause(); });
    simulation.in(10s, [&] { node.resume(); });
    simulation.run_for(20s);
    EXPECT_THAT(at, ElementsAre(1, 10, 10));
}

TEST(SimLoop, a_restart_runs_the_same_program_on_the_same_disk) {
    Simulation simulation({.seed = 5});
    SimNode& node = simulation.add_node({.name = "n1"});
    std::vector<bool> found;
    node.start(program([&](Node& machine) {
        found.push_back(*machine.disk().exists("/mark"));
        EXPECT_TRUE(machine.disk().replace_whole("/mark", "x").has_value());
    }));
    node.cut_power();
    EXPECT_FALSE(node.is_running());
    node.restart();
    EXPECT_THAT(found, ElementsAre(false, true));
}

TEST(SimLoop, a_graceful_stop_waits_for_the_good_bye) {
    struct Polite final : Program {
        explicit Polite(Node& node) : machine(node) {}
        void stop(Task stopped) override {
            machine.control_shard().executor->after(2s, std::move(stopped));
        }
        Node& machine;
    };
    Simulation simulation({.seed = 5});
    SimNode& node = simulation.add_node({.name = "n1"});
    node.start([](Node& machine) { return std::make_unique<Polite>(machine); });
    node.stop();
    simulation.run_for(1s);
    EXPECT_TRUE(node.is_running());
    simulation.run_for(2s);
    EXPECT_FALSE(node.is_running());
}

TEST(SimLoop, touching_another_loops_timer_is_caught) {
    Simulation simulation({.seed = 5});
    simulation.add_node({.name = "n1"}).start(program([&](Node& machine) {
        Executor* other = machine.data_shard(0).executor;
        machine.control_shard().executor->post([other] { (void)other->after(1s, [] {}); });
    }));
    EXPECT_DEATH(simulation.run_for(1s), HasSubstr("may_touch"));
}

TEST(SimLoop, an_unexpected_error_line_is_a_violation) {
    for (const bool is_expected : {false, true}) {
        Simulation simulation({.seed = 5});
        if (is_expected) {
            simulation.expect_error("disk.");
        }
        simulation.add_node({.name = "n1"}).start(program([&](Node& machine) {
            MR_LOG(machine.log(), error, "disk.failed", field("path", "/a b"));
        }));
        EXPECT_EQ(simulation.violation().has_value(), !is_expected);
        if (!is_expected) {
            EXPECT_THAT(simulation.violation()->what, HasSubstr("error disk.failed path=\"/a b\""));
        }
    }
}

TEST(SimLoop, an_invariant_ends_the_run_where_it_breaks) {
    Simulation simulation({.seed = 5});
    int value = 0;
    simulation.add_invariant("small", [&]() -> std::optional<std::string> {
        return value > 2 ? std::optional<std::string>(std::to_string(value)) : std::nullopt;
    });
    for (int i = 1; i < 10; ++i) {
        simulation.in(std::chrono::seconds{i}, [&value, i] { value = i; });
    }
    EXPECT_FALSE(simulation.run_for(1min));
    EXPECT_EQ(simulation.violation()->what, "small: 3");
    EXPECT_EQ(simulation.now().nanoseconds, 3'000'000'000);
}

TEST(SimLoop, buggify_points_fire_in_some_seeds_and_never_in_a_calm_world) {
    int seeds_with_fire = 0;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        FaultPlan plan;
        plan.ambient.buggify = 200;
        Simulation simulation({.seed = seed, .plan = plan});
        SimNode& node = simulation.add_node({.name = "n1"});
        bool fired = false;
        for (int i = 0; i < 100; ++i) {
            fired = MR_BUGGIFY(node.buggify(), "some.point") || fired;
        }
        seeds_with_fire += fired ? 1 : 0;
        EXPECT_EQ(simulation.counts().of(FaultKind::buggify) > 0, fired);
    }
    EXPECT_GT(seeds_with_fire, 2);
    EXPECT_LT(seeds_with_fire, 25);
    Simulation calm({.seed = 1});
    EXPECT_FALSE(MR_BUGGIFY(calm.add_node({.name = "n1"}).buggify(), "some.point"));
}

}  // namespace
}  // namespace millrace::runtime::sim
