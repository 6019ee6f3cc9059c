// Mailboxes and timers under many threads.
#include <algorithm>
#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

#include "base/random.h"
#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

std::unique_ptr<RealNode> make_node(std::size_t shards) {
    RealNodeOptions options;
    options.data_shards = shards;
    options.disk_threads = 2;
    return *RealNode::create(std::move(options));
}

// Every task of every poster runs exactly once and in its poster's order.
TEST(MailboxStress, loses_and_reorders_nothing) {
    constexpr int posters = 4;
    constexpr int tasks = 20'000;
    auto node = make_node(1);
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    std::vector<int> next(posters, 0);
    bool ordered = true;
    Latch latch(posters);
    std::vector<std::thread> threads;
    for (std::size_t poster = 0; poster < posters; ++poster) {
        threads.emplace_back([&, poster] {
            for (int i = 0; i < tasks; ++i) {
                loop.post([&, poster, i] {
                    ordered = ordered && next[poster] == i;
                    if (++next[poster] == tasks) {
                        latch.count_down();
                    }
                });
                if (i % 1000 == 0) {
                    std::this_thread::yield();  // Lets the loop fall asleep now and then.
                }
            }
        });
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    EXPECT_TRUE(latch.wait());
    node->stop();
    EXPECT_TRUE(ordered);
}

// A wake-up that is lost between "nothing there" and "asleep" would stop the game.
TEST(MailboxStress, two_loops_that_wait_for_each_other_never_both_sleep) {
    auto node = make_node(2);
    struct Game {
        RealNode& node;
        std::atomic<int> left;
        Latch over;
        void hit(std::size_t side) {
            if (--left <= 0) {
                over.count_down();
                return;
            }
            node.data_shard(side).executor->post([this, side] { hit(1 - side); });
        }
    };
    Game game{*node, 30'000, Latch{1}};
    node->data_shard(0).executor->post([&] { game.hit(1); });
    node->start();
    EXPECT_TRUE(game.over.wait(std::chrono::seconds{120}));
}

TEST(MailboxStress, a_stop_under_fire_destroys_every_task_once) {
    for (int round = 0; round < 20; ++round) {
        auto node = make_node(2);
        std::atomic<int> alive{0};
        struct Counted {
            std::atomic<int>* alive;
            explicit Counted(std::atomic<int>& counter) : alive(&counter) { ++*alive; }
            Counted(Counted&& other) noexcept : alive(std::exchange(other.alive, nullptr)) {}
            ~Counted() {
                if (alive != nullptr) {
                    --*alive;
                }
            }
        };
        node->start();
        std::atomic<bool> go_on{true};
        std::vector<std::thread> threads;
        for (std::size_t poster = 0; poster < 3; ++poster) {
            threads.emplace_back([&, poster] {
                Executor& loop = *node->data_shard(poster % 2).executor;
                while (go_on) {
                    loop.post([counted = Counted(alive), &loop, &alive] {
                        loop.after(1h, [inner = Counted(alive)] {});
                    });
                    std::this_thread::yield();
                }
            });
        }
        Latch ran;
        node->data_shard(0).executor->post([&] { ran.count_down(); });
        EXPECT_TRUE(ran.wait());
        node->stop();
        go_on = false;
        for (std::thread& thread : threads) {
            thread.join();
        }
        EXPECT_EQ(alive.load(), 0);
    }
}

// Adds and cancels by the thousand while other threads post: none early, none after its cancel,
// none forgotten.
TEST(TimerStress, fires_what_was_not_cancelled_and_not_early) {
    auto node = make_node(1);
    Executor& loop = *node->data_shard(0).executor;
    struct State {
        SeededRandom random{7};
        std::vector<TimerId> ids;
        std::vector<bool> cancelled;
        int fired = 0;
        int expected = 0;
        int early = 0;
        int ghosts = 0;
    } state;
    constexpr int timers = 5000;
    Latch all_set;
    const auto set_some = [&](auto& self) -> void {
        for (int i = 0; i < 100; ++i) {
            const auto number = state.ids.size();
            const Duration delay{state.random.between(0, 80'000'000)};
            const Instant due = loop.read_clock() + delay;
            state.cancelled.push_back(false);
            state.ids.push_back(loop.after(delay, [&state, &loop, due, number] {
                ++state.fired;
                state.early += loop.read_clock() < due ? 1 : 0;
                state.ghosts += state.cancelled[number] ? 1 : 0;
                state.cancelled[number] = true;  // From here on a cancel is harmless.
            }));
            ++state.expected;
            const auto victim = state.random.below(state.ids.size());
            if (state.random.one_in(3) && !state.cancelled[victim]) {
                loop.cancel(state.ids[victim]);
                state.cancelled[victim] = true;
                --state.expected;
            }
        }
        if (state.ids.size() < timers) {
            loop.post([&self] { self(self); });
        } else {
            all_set.count_down();
        }
    };
    loop.post([&] { set_some(set_some); });
    node->start();
    std::atomic<bool> go_on{true};
    std::thread noise([&] {
        while (go_on) {
            loop.post([] {});
            std::this_thread::yield();
        }
    });
    EXPECT_TRUE(all_set.wait());
    Latch quiet;
    loop.post([&] { loop.after(200ms, [&] { quiet.count_down(); }); });
    EXPECT_TRUE(quiet.wait());
    go_on = false;
    noise.join();
    node->stop();
    EXPECT_EQ(state.fired, state.expected);
    EXPECT_EQ(state.early, 0);
    EXPECT_EQ(state.ghosts, 0);
}

}  // namespace
}  // namespace millrace::runtime
