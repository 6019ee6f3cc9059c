#include "runtime/real/internal/timing_wheel.h"

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <vector>

#include "base/random.h"

namespace millrace::runtime::internal {
namespace {

void run_due(TimingWheel& wheel) {
    while (wheel.due() > 0) {
        wheel.take_due()();
    }
}

TEST(TimingWheel, fires_at_its_tick_and_not_one_before) {
    TimingWheel wheel;
    int fired = 0;
    wheel.add(100, [&] { ++fired; });
    wheel.advance(99);
    EXPECT_EQ(wheel.due(), 0U);
    wheel.advance(100);
    run_due(wheel);
    EXPECT_EQ(fired, 1);
    EXPECT_EQ(wheel.size(), 0U);
}

TEST(TimingWheel, keeps_the_order_of_ticks_over_one_long_jump) {
    TimingWheel wheel;
    std::vector<int> order;
    for (const int tick : {5000, 3, 70, 4096, 64, 63}) {
        wheel.add(static_cast<std::uint64_t>(tick), [&order, tick] { order.push_back(tick); });
    }
    wheel.advance(10'000);
    run_due(wheel);
    EXPECT_EQ(order, (std::vector<int>{3, 63, 64, 70, 4096, 5000}));
}

TEST(TimingWheel, a_due_timer_can_still_be_cancelled_by_an_earlier_one) {
    TimingWheel wheel;
    TimerId second;
    bool fired = false;
    wheel.add(5, [&] { EXPECT_TRUE(wheel.cancel(second)); });
    second = wheel.add(5, [&] { fired = true; });
    wheel.advance(5);
    run_due(wheel);
    EXPECT_FALSE(fired);
}

TEST(TimingWheel, an_old_id_does_not_cancel_the_timer_that_took_its_place) {
    TimingWheel wheel;
    const TimerId first = wheel.add(5, [] {});
    EXPECT_TRUE(wheel.cancel(first));
    bool fired = false;
    wheel.add(5, [&] { fired = true; });
    EXPECT_FALSE(wheel.cancel(first));
    wheel.advance(5);
    run_due(wheel);
    EXPECT_TRUE(fired);
}

TEST(TimingWheel, cancelling_destroys_what_the_task_owns) {
    TimingWheel wheel;
    auto owned = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = owned;
    const TimerId timer = wheel.add(5, [owned = std::move(owned)] {});
    EXPECT_TRUE(wheel.cancel(timer));
    EXPECT_TRUE(watch.expired());
}

TEST(TimingWheel, takes_the_longest_delay_there_is) {
    TimingWheel wheel;
    wheel.advance(12345);
    wheel.add(UINT64_MAX, [] {});
    wheel.advance(1ULL << 40);
    EXPECT_EQ(wheel.due(), 0U);
    EXPECT_EQ(wheel.size(), 1U);
}

// Against a sorted map over random adds, cancels and jumps of all sizes; next_tick() never lies
// beyond the next timer.
TEST(TimingWheel, agrees_with_a_sorted_map) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        SeededRandom random(seed);
        TimingWheel wheel;
        std::multimap<std::uint64_t, int> model;
        std::map<int, TimerId> ids;
        std::vector<std::uint64_t> fired;
        std::uint64_t now = 0;
        for (int step = 0; step < 3000; ++step) {
            const auto choice = random.below(10);
            if (choice < 5) {
                const std::uint64_t tick = now + 1 + random.below(1ULL << random.below(30));
                model.emplace(tick, step);
                ids[step] = wheel.add(tick, [&fired, tick] { fired.push_back(tick); });
            } else if (choice < 7 && !model.empty()) {
                auto victim = std::next(model.begin(),
                                        static_cast<std::ptrdiff_t>(random.below(model.size())));
                EXPECT_TRUE(wheel.cancel(ids[victim->second]));
                model.erase(victim);
            } else {
                if (!model.empty()) {
                    EXPECT_LE(wheel.next_tick(), model.begin()->first);
                    EXPECT_GT(wheel.next_tick(), now);
                }
                now += random.below(1ULL << random.below(24));
                wheel.advance(now);
                fired.clear();
                run_due(wheel);
                std::vector<std::uint64_t> expected;
                while (!model.empty() && model.begin()->first <= now) {
                    expected.push_back(model.begin()->first);
                    model.erase(model.begin());
                }
                ASSERT_EQ(fired, expected) << "seed " << seed;
            }
            ASSERT_EQ(wheel.size(), model.size());
        }
    }
}

}  // namespace
}  // namespace millrace::runtime::internal
