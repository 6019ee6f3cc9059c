// The real loops: tasks, timers, stopping.
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/real/internal/system.h"
#include "runtime/real/real_node.h"
#include "tests/support/wait_for.h"

namespace millrace::runtime {
namespace {

using millrace::support::Latch;

std::unique_ptr<RealNode> make_node(std::size_t shards = 1) {
    RealNodeOptions options;
    options.data_shards = shards;
    options.disk_threads = 2;
    auto node = RealNode::create(std::move(options));
    EXPECT_TRUE(node.has_value());
    return *std::move(node);
}

TEST(RealLoop, runs_what_one_thread_posted_in_order) {
    auto node = make_node();
    node->start();
    std::vector<int> seen;
    Latch latch;
    for (int i = 0; i < 1000; ++i) {
        node->data_shard(0).executor->post([&seen, i] { seen.push_back(i); });
    }
    node->data_shard(0).executor->post([&] { latch.count_down(); });
    ASSERT_TRUE(latch.wait());
    node->stop();
    ASSERT_EQ(seen.size(), 1000U);
    EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
}

TEST(RealLoop, runs_what_was_posted_before_the_start) {
    auto node = make_node();
    Latch latch;
    node->control_shard().executor->post([&] { latch.count_down(); });
    node->start();
    EXPECT_TRUE(latch.wait());
}

TEST(RealLoop, knows_its_own_thread) {
    auto node = make_node(2);
    node->start();
    Executor& first = *node->data_shard(0).executor;
    Executor& second = *node->data_shard(1).executor;
    EXPECT_FALSE(first.is_current());
    Latch latch;
    bool own = false;
    bool other = true;
    first.post([&] {
        own = first.is_current();
        other = second.is_current();
        latch.count_down();
    });
    ASSERT_TRUE(latch.wait());
    EXPECT_TRUE(own);
    EXPECT_FALSE(other);
}

TEST(RealLoop, a_posted_task_never_runs_inside_the_call) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    Latch latch;
    bool inside = true;
    loop.post([&] {
        bool ran = false;
        auto later = std::make_shared<bool>(false);
        loop.post([&, later] {
            *later = true;
            latch.count_down();
        });
        ran = *later;
        inside = ran;
    });
    ASSERT_TRUE(latch.wait());
    EXPECT_FALSE(inside);
}

TEST(RealLoop, a_timer_does_not_fire_early) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    for (const Duration delay : {Duration{0}, Duration{1}, Duration{999'999}, Duration{1ms},
                                 Duration{2'500'000}, Duration{17ms}}) {
        Latch latch;
        Duration waited{};
        loop.post([&] {
            const Instant begun = internal::monotonic_now();
            loop.after(delay, [&, begun] {
                waited = internal::monotonic_now() - begun;
                latch.count_down();
            });
        });
        ASSERT_TRUE(latch.wait());
        EXPECT_GE(waited, delay);
    }
}

TEST(RealLoop, a_cancelled_timer_stays_silent) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    Latch latch;
    bool fired = false;
    loop.post([&] {
        const TimerId timer = loop.after(1ms, [&] { fired = true; });
        loop.cancel(timer);
        loop.after(5ms, [&] { latch.count_down(); });
    });
    ASSERT_TRUE(latch.wait());
    EXPECT_FALSE(fired);
}

TEST(RealLoop, a_loop_that_posts_to_itself_for_ever_still_serves_timers_and_others) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    struct Storm {
        Executor& loop;
        void go() {
            loop.post([this] { go(); });
        }
    } storm{loop};
    Latch timer;
    Latch post;
    loop.post([&] {
        storm.go();
        loop.after(2ms, [&] { timer.count_down(); });
    });
    EXPECT_TRUE(timer.wait());
    loop.post([&] { post.count_down(); });
    EXPECT_TRUE(post.wait());
    node->stop();
}

TEST(RealLoop, after_the_stop_tasks_are_destroyed_unrun) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    Latch latch;
    bool ran = false;
    loop.post([&, owned = std::move(owned)]() mutable {
        loop.after(1h, [&, owned = std::move(owned)] { ran = true; });
        latch.count_down();
    });
    ASSERT_TRUE(latch.wait());
    node->stop();
    EXPECT_TRUE(watch.expired());
    auto late = std::make_shared<int>(2);
    const std::weak_ptr<int> late_watch = late;
    loop.post([&, late = std::move(late)] { ran = true; });
    EXPECT_TRUE(late_watch.expired());
    EXPECT_FALSE(ran);
}

TEST(RealLoop, the_clock_stands_still_within_a_turn) {
    auto node = make_node();
    node->start();
    Executor& loop = *node->data_shard(0).executor;
    Latch latch;
    bool still = false;
    bool moves = false;
    loop.post([&] {
        const Instant loop_time = loop.clock().now();
        const Instant begun = loop.read_clock();
        while (loop.read_clock() - begun < 2ms) {
        }
        still = loop.clock().now() == loop_time;
        moves = loop.read_clock() > begun;
        latch.count_down();
    });
    ASSERT_TRUE(latch.wait());
    EXPECT_TRUE(still);
    EXPECT_TRUE(moves);
}

}  // namespace
}  // namespace millrace::runtime
