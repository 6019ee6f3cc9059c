// A link's limit: over any ten seconds no more comes than was allowed, give or take one answer.
#include "mirror/internal/throttle.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace millrace::mirror {
namespace {

TEST(MirrorThrottle, lets_no_more_through_than_the_limit) {
    constexpr std::int64_t rate = 1'000'000;
    constexpr std::int64_t largest = 4'000'000;
    SeededRandom random(3);
    Throttle throttle;
    throttle.set_rate(rate, Instant{});
    Instant now{1};
    const Instant begin = now;
    std::int64_t total = 0;
    for (int i = 0; i < 1000; ++i) {
        const std::int64_t bytes = random.between(1, largest);
        total += bytes;
        now = now + throttle.spend(bytes, now);
        const double allowed =
            std::chrono::duration<double>(now - begin).count() * static_cast<double>(rate);
        ASSERT_LE(static_cast<double>(total), allowed + 1000) << "after answer " << i;
    }
}

TEST(MirrorThrottle, saves_nothing_up_while_nothing_comes) {
    Throttle throttle;
    throttle.set_rate(1000, Instant{});
    Instant now{1};
    (void)throttle.spend(1000, now);
    now = now + 60s;
    EXPECT_EQ(throttle.spend(1000, now), Duration{1s});
}

// Somebody widens a limit because he can't wait.
TEST(MirrorThrottle, what_is_owed_is_owed_at_the_new_rate) {
    Throttle throttle;
    const Instant now{1};
    EXPECT_FALSE(throttle.set_rate(1000, now));
    EXPECT_EQ(throttle.spend(64'000, now), Duration{64s});
    EXPECT_FALSE(throttle.set_rate(1000, now));
    EXPECT_EQ(throttle.left(now), Duration{64s});
    EXPECT_TRUE(throttle.set_rate(64'000, now));
    EXPECT_EQ(throttle.left(now), Duration{1s});
    EXPECT_FALSE(throttle.set_rate(32'000, now));
    EXPECT_EQ(throttle.left(now), Duration{2s});
    EXPECT_TRUE(throttle.set_rate(0, now));
    EXPECT_FALSE(throttle.set_rate(1000, now));
    EXPECT_EQ(throttle.left(now), Duration{0s});
}

TEST(MirrorThrottle, without_a_limit_never_waits) {
    Throttle throttle;
    EXPECT_EQ(throttle.spend(1'000'000'000, Instant{1}), Duration{});
}

TEST(MirrorThrottle, what_all_connections_bring_at_once_stays_within_the_limit) {
    Throttle throttle;
    EXPECT_EQ(throttle.most_at_once(5, 16 << 20), 16 << 20);
    throttle.set_rate(5'000'000, Instant{});
    EXPECT_LE(5 * throttle.most_at_once(5, 16 << 20), 5'000'000);
    throttle.set_rate(1'000'000'000, Instant{});
    EXPECT_EQ(throttle.most_at_once(5, 16 << 20), 16 << 20);
    throttle.set_rate(1'000, Instant{});
    EXPECT_EQ(throttle.most_at_once(5, 16 << 20), 64 << 10) << "or nothing would ever come";
}

}  // namespace
}  // namespace millrace::mirror
