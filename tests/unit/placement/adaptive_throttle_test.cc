// What an adaptive throttle makes of a broker's signs.
#include "placement/adaptive_throttle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::placement {
namespace {

constexpr std::int64_t megabyte = 1'000'000;

/// So low that it is in the way of the one test alone which is about it.
constexpr std::int64_t floor_here = 1 << 20;

ThrottleLimits with_low_floor(ThrottleLimits limits) {
    limits.least = floor_here;
    return limits;
}

/// A broker that is looked at every two seconds.
class Broker {
public:
    explicit Broker(ThrottleLimits limits = {}) : throttle(with_low_floor(limits)) {}

    void looks(int times, ThrottleSigns signs) {
        for (int i = 0; i < times; ++i) {
            at_ = at_ + Duration{2s};
            signs.at = at_;
            throttle.step(signs);
        }
    }

    AdaptiveThrottle throttle;

private:
    Instant at_{};
};

ThrottleSigns calm(std::int64_t moved = 100 * megabyte) {
    return {.produce_p99 = 5ms, .moved_bytes_per_second = moved};
}
ThrottleSigns slow(std::int64_t moved = 100 * megabyte) {
    return {.produce_p99 = 80ms, .moved_bytes_per_second = moved};
}

TEST(AdaptiveThrottle, leaves_copies_alone_while_clients_are_calm) {
    Broker broker;
    broker.looks(100, calm());
    EXPECT_EQ(broker.throttle.rate(), std::nullopt);
}

TEST(AdaptiveThrottle, begins_below_what_goes_when_producers_wait) {
    Broker broker;
    broker.looks(1, slow());
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
    EXPECT_EQ(broker.throttle.reason(), "producers wait longer");
    broker.looks(1, slow(70 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 49 * megabyte);
}

TEST(AdaptiveThrottle, judges_producers_by_how_they_fared_before) {
    Broker broker({.produce_p99_before = 60ms});
    broker.looks(10, slow());
    EXPECT_EQ(broker.throttle.rate(), std::nullopt) << "80 ms are not 1.5 times 60 ms";
    broker.looks(1, {.produce_p99 = 91ms, .moved_bytes_per_second = 100 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
}

TEST(AdaptiveThrottle, makes_room_for_what_is_urgent) {
    for (const ThrottleSigns& signs :
         {ThrottleSigns{.under_min_isr = 1, .moved_bytes_per_second = 10 * megabyte},
          ThrottleSigns{.healing = 1, .moved_bytes_per_second = 10 * megabyte},
          ThrottleSigns{.loop_delay = 80ms, .moved_bytes_per_second = 10 * megabyte}}) {
        Broker broker;
        broker.looks(1, signs);
        EXPECT_EQ(broker.throttle.rate(), 7 * megabyte);
        EXPECT_NE(broker.throttle.reason(), "");
    }
}

TEST(AdaptiveThrottle, grows_again_after_ten_calm_seconds_and_not_before) {
    Broker broker;
    broker.looks(1, slow());
    broker.looks(5, calm(70 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
    broker.looks(1, calm(70 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 73'500'001);
    broker.looks(1, slow(70 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 49 * megabyte);
    broker.looks(5, calm(49 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 49 * megabyte) << "the ten seconds begin anew";
}

TEST(AdaptiveThrottle, gives_way_in_the_end_when_nothing_presses) {
    Broker broker;
    broker.looks(1, slow());
    broker.looks(500, calm());
    EXPECT_EQ(broker.throttle.rate(), std::nullopt);
}

TEST(AdaptiveThrottle, stops_shrinking_where_a_copy_would_never_end) {
    Broker broker;
    broker.looks(100, slow());
    EXPECT_EQ(broker.throttle.rate(), floor_here);
}

TEST(AdaptiveThrottle, is_never_above_what_was_asked_for) {
    Broker broker({.most = 20 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    broker.looks(100, calm(20 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    broker.looks(1, slow(20 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 14 * megabyte);
    broker.looks(50, calm(14 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    EXPECT_EQ(broker.throttle.reason(), "as fast as was asked for");
    broker.throttle.set_most(5 * megabyte);
    EXPECT_EQ(broker.throttle.rate(), 5 * megabyte);
}

TEST(AdaptiveThrottle, of_less_than_the_least_is_what_was_asked_for) {
    Broker broker({.most = 1000});
    broker.looks(10, slow(1000));
    EXPECT_EQ(broker.throttle.rate(), 1000);
}

TEST(AdaptiveThrottle, blames_no_moves_where_none_go) {
    Broker broker;
    broker.looks(5, slow(0));
    EXPECT_EQ(broker.throttle.rate(), std::nullopt);
}

}  // namespace
}  // namespace millrace::placement
