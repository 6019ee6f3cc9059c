// How far behind a reader is in time, from looks at the log's end.
#include "app/internal/lag_clock.h"

#include <gtest/gtest.h>

#include "tests/support/instant.h"

namespace millrace::app {
namespace {

using support::at;

TEST(LagClock, a_reader_at_the_end_is_not_behind) {
    LagClock clock;
    clock.look(Offset{10}, at(5s));
    EXPECT_EQ(clock.behind(Offset{10}, at(60s)), Duration{0});
    EXPECT_EQ(clock.behind(Offset{12}, at(60s)), Duration{0});
}

TEST(LagClock, a_reader_is_behind_since_the_first_look_that_found_what_it_lacks) {
    LagClock clock;
    clock.look(Offset{10}, at(5s));
    clock.look(Offset{20}, at(15s));
    clock.look(Offset{30}, at(25s));
    EXPECT_EQ(clock.behind(Offset{9}, at(60s)), 55s);
    EXPECT_EQ(clock.behind(Offset{10}, at(60s)), 45s);
    EXPECT_EQ(clock.behind(Offset{29}, at(60s)), 35s);
}

TEST(LagClock, a_log_that_rests_goes_on_ageing) {
    LagClock clock;
    clock.look(Offset{10}, at(5s));
    clock.look(Offset{10}, at(500s));
    EXPECT_EQ(clock.behind(Offset{9}, at(500s)), 495s);
}

TEST(LagClock, an_end_that_goes_back_begins_anew) {
    LagClock clock;
    clock.look(Offset{100}, at(5s));
    clock.look(Offset{3}, at(15s));
    EXPECT_EQ(clock.behind(Offset{0}, at(20s)), 5s);
    EXPECT_EQ(clock.size(), 1U);
}

TEST(LagClock, memory_is_bounded_and_keeps_both_the_oldest_and_the_newest) {
    LagClock clock;
    constexpr std::int64_t looks = 10'000;
    for (std::int64_t i = 1; i <= looks; ++i) {
        clock.look(Offset{i}, at(i * Duration{1s}));
    }
    EXPECT_LE(clock.size(), LagClock::most);
    EXPECT_EQ(clock.behind(Offset{0}, at(looks * Duration{1s})), (looks - 1) * Duration{1s});
    EXPECT_EQ(clock.behind(Offset{looks - 1}, at(looks * Duration{1s})), Duration{0});
    EXPECT_EQ(clock.behind(Offset{looks}, at((looks + 9) * Duration{1s})), Duration{0});
}

}  // namespace
}  // namespace millrace::app
