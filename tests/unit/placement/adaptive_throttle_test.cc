// What an adaptive throttle makes of a broker's signs.
#include "placement/adaptive_throttle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <random>

namespace millrace::placement {
namespace {

constexpr std::int64_t megabyte = 1'000'000;

/// So low that it is in the way of the one test alone which is about it.
constexpr std::int64_t floor_here = 1 << 20;

ThrottleLimits with_low_floor(ThrottleLimits limits) {
    limits.least_each = floor_here;
    limits.begin_with = 100 * megabyte;
    limits.double_up_to = 800 * megabyte;
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
    /// As much goes as may.
    void looks_calm(int times) {
        for (int i = 0; i < times; ++i) {
            looks(1, {.produce_p99 = 5ms,
                      .moved_bytes_per_second = throttle.rate().value_or(20'000 * megabyte)});
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
    return {.produce_p99 = 24ms, .moved_bytes_per_second = moved};
}

ThrottleSigns urgent(std::int64_t moved = 100 * megabyte) {
    return {.healing = 1, .moved_bytes_per_second = moved};
}

TEST(AdaptiveThrottle, begins_with_little_and_doubles_while_clients_are_calm) {
    Broker broker;
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte);
    broker.looks_calm(1);
    EXPECT_EQ(broker.throttle.rate(), 200 * megabyte);
    broker.looks_calm(2);
    EXPECT_EQ(broker.throttle.rate(), 800 * megabyte);
    broker.looks_calm(1);
    EXPECT_EQ(broker.throttle.rate(), 880 * megabyte) << "from here on it feels its way";
    broker.looks_calm(50);
    EXPECT_EQ(broker.throttle.rate(), std::nullopt);
}

// What copies do not take up tells nothing of what the broker would bear.
TEST(AdaptiveThrottle, does_not_grow_beyond_what_copies_fill) {
    Broker broker;
    broker.looks(50, calm(49 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte);
    broker.looks(1, calm(50 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 200 * megabyte);
}

// Of a hundredth of what came in two seconds, one hiccup of a disk can be all.
TEST(AdaptiveThrottle, shrinks_from_what_goes_when_producers_go_on_waiting) {
    Broker broker;
    broker.looks(1, slow());
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte) << "that may have been a hiccup";
    broker.looks(1, slow());
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
    EXPECT_EQ(broker.throttle.reason(), "producers wait longer");
    broker.looks(1, slow(40 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 28 * megabyte);
}

TEST(AdaptiveThrottle, judges_producers_by_how_they_fared_before) {
    Broker broker({.produce_p99_before = 30ms});
    broker.looks(10, slow(40 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte) << "40 ms are not 1.5 times 30 ms";
    broker.looks(2, {.produce_p99 = 46ms, .moved_bytes_per_second = 100 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
}

TEST(AdaptiveThrottle, gives_way_at_once_where_producers_wait_much_too_long) {
    Broker broker;
    broker.looks(1, {.produce_p99 = 51ms, .moved_bytes_per_second = 100 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 50 * megabyte);
}

// A burst in front of the plan is no licence for it.
TEST(AdaptiveThrottle, learns_how_producers_fare_when_they_are_better_off_than_before) {
    Broker broker({.produce_p99_before = 200ms});
    broker.looks(1, {.produce_p99 = 30ms, .moved_bytes_per_second = 100 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 200 * megabyte);
    broker.looks(2, {.produce_p99 = 46ms, .moved_bytes_per_second = 100 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte) << "more than 1.5 times 30 ms";
}

// Somebody else's load: at the least rate producers wait as long.
TEST(AdaptiveThrottle, goes_on_where_producers_wait_whether_copies_go_or_not) {
    Broker broker({.produce_p99_before = 10ms});
    const ThrottleSigns others{.produce_p99 = 100ms, .moved_bytes_per_second = floor_here};
    broker.looks(2, others);
    ASSERT_EQ(broker.throttle.rate(), floor_here);
    broker.looks(5, others);
    EXPECT_EQ(broker.throttle.rate(), floor_here);
    broker.looks(10, others);
    EXPECT_GT(broker.throttle.rate(), 2 * floor_here);
    const std::int64_t grown = *broker.throttle.rate();
    broker.looks(2, {.produce_p99 = 160ms, .moved_bytes_per_second = grown});
    EXPECT_LT(broker.throttle.rate(), grown) << "that is what the copies add";
    broker.looks(1, {.produce_p99 = 10ms, .moved_bytes_per_second = floor_here});
    broker.looks(1, {.produce_p99 = 60ms, .moved_bytes_per_second = floor_here});
    EXPECT_EQ(broker.throttle.rate(), floor_here) << "it was the others' load, and is over";
}

TEST(AdaptiveThrottle, makes_room_for_what_is_urgent) {
    for (const ThrottleSigns& signs :
         {ThrottleSigns{.under_min_isr = 1, .moved_bytes_per_second = 10 * megabyte},
          ThrottleSigns{.healing = 1, .moved_bytes_per_second = 10 * megabyte},
          ThrottleSigns{.loop_delay = 120ms, .moved_bytes_per_second = 10 * megabyte}}) {
        Broker broker;
        broker.looks(1, signs);
        EXPECT_EQ(broker.throttle.rate(), 5 * megabyte);
        EXPECT_NE(broker.throttle.reason(), "");
    }
}

TEST(AdaptiveThrottle, grows_again_after_five_calm_seconds_and_not_before) {
    Broker broker;
    broker.looks(2, slow());
    broker.looks_calm(2);
    EXPECT_EQ(broker.throttle.rate(), 70 * megabyte);
    broker.looks_calm(1);
    EXPECT_EQ(broker.throttle.rate(), 84'000'000);
    broker.looks(1, slow(70 * megabyte));
    broker.looks_calm(2);
    EXPECT_EQ(broker.throttle.rate(), 84'000'000) << "the five seconds begin anew";
}

// Whatever pressed may be over: it isn't remembered for ever.
TEST(AdaptiveThrottle, grows_faster_the_longer_calm_lasts) {
    Broker broker;
    broker.looks(2, slow());
    broker.looks_calm(2);
    std::int64_t before = 70 * megabyte;
    for (const int percent : {20, 40, 80, 100}) {
        broker.looks_calm(1);
        EXPECT_NEAR(static_cast<double>(*broker.throttle.rate()) / static_cast<double>(before),
                    1.0 + percent / 100.0, 0.001);
        before = *broker.throttle.rate();
    }
}

TEST(AdaptiveThrottle, gives_way_in_the_end_when_nothing_presses) {
    Broker broker;
    broker.looks(2, slow());
    broker.looks_calm(500);
    EXPECT_EQ(broker.throttle.rate(), std::nullopt);
}

TEST(AdaptiveThrottle, stops_shrinking_where_a_copy_would_never_end) {
    Broker broker;
    broker.looks(100, urgent());
    EXPECT_EQ(broker.throttle.rate(), floor_here);
}

TEST(AdaptiveThrottle, is_never_above_what_was_asked_for) {
    Broker broker({.most = 20 * megabyte});
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    EXPECT_EQ(broker.throttle.reason(), "as fast as was asked for");
    broker.looks_calm(100);
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    broker.looks(2, slow(20 * megabyte));
    EXPECT_EQ(broker.throttle.rate(), 14 * megabyte);
    broker.looks_calm(50);
    EXPECT_EQ(broker.throttle.rate(), 20 * megabyte);
    EXPECT_EQ(broker.throttle.reason(), "as fast as was asked for");
    broker.throttle.set_most(5 * megabyte);
    EXPECT_EQ(broker.throttle.rate(), 5 * megabyte);
}

TEST(AdaptiveThrottle, of_less_than_the_least_is_what_was_asked_for) {
    Broker broker({.most = 1000});
    broker.looks(10, urgent(1000));
    EXPECT_EQ(broker.throttle.rate(), 1000);
}

// 100 MB/s do for the first and a tenth more, and for the second; not for the third.
TEST(AdaptiveThrottle, lets_fewer_copies_go_rather_than_all_too_slowly) {
    Broker broker;
    ThrottleSigns signs = calm(10 * megabyte);
    signs.leaving = {60 * megabyte, 20 * megabyte, 20 * megabyte};
    broker.looks(1, signs);
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte);
    EXPECT_EQ(broker.throttle.leaving(), 2U);
}

TEST(AdaptiveThrottle, lets_all_copies_go_once_nothing_slows_them_down) {
    Broker broker;
    broker.looks_calm(60);
    ThrottleSigns signs = calm();
    signs.leaving = {0, 500'000 * megabyte, 0};
    broker.looks(1, signs);
    EXPECT_EQ(broker.throttle.leaving(), 3U);
}

// Two ends that both choose would wait for one another, and next to nothing would go.
TEST(AdaptiveThrottle, makes_room_for_whatever_arrives_since_leaders_have_chosen_what_goes) {
    Broker broker;
    ThrottleSigns signs = urgent();
    signs.leaving = {10 * megabyte};
    signs.arriving = {10 * megabyte, 60 * megabyte, 20 * megabyte};
    broker.looks(100, signs);
    EXPECT_EQ(broker.throttle.rate(), 99 * megabyte);
    EXPECT_EQ(broker.throttle.leaving(), 1U);
}

TEST(AdaptiveThrottle, never_falls_below_what_the_first_copy_needs_to_end) {
    Broker broker;
    ThrottleSigns signs = urgent();
    signs.leaving = {50 * megabyte, megabyte};
    broker.looks(100, signs);
    EXPECT_EQ(broker.throttle.rate(), 55 * megabyte);
    EXPECT_EQ(broker.throttle.leaving(), 1U);
    signs.leaving = {90 * megabyte};
    broker.looks(1, signs);
    EXPECT_EQ(broker.throttle.rate(), 99 * megabyte) << "more is produced to it now";
}

/// No partition holds more, however long its copy waits.
constexpr double retained = 6'000.0 * megabyte;

/// Copies between the same two brokers under whatever a seed thinks of.
struct History {
    explicit History(std::uint64_t seed) : random(seed) {
        for (std::uint64_t n = 1 + below(12), i = 0; i < n; ++i) {
            left.push_back(static_cast<double>(below(3'000) + 1) * megabyte);
            produced.push_back(static_cast<std::int64_t>(below(30)) * megabyte);
        }
    }
    std::uint64_t below(std::uint64_t n) { return random() % n; }

    std::mt19937_64 random;
    std::vector<double> left;  ///< Bytes until the copy is in sync, of each that goes on.
    std::vector<std::int64_t> produced;
};

// Whatever presses, for however long: every copy ends, and what goes at once gets what it needs.
TEST(AdaptiveThrottle, lets_every_copy_end_in_any_history) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        History history(seed);
        AdaptiveThrottle throttle(ThrottleLimits{});
        const std::uint64_t pressing = history.below(101);
        Instant at{};
        int looks = 0;
        std::int64_t moved = 100 * megabyte;
        for (; !history.left.empty(); ++looks) {
            ASSERT_LT(looks, 40'000) << "seed " << seed;
            at = at + Duration{2s};
            ThrottleSigns signs = history.below(100) < pressing ? slow(moved) : calm(moved);
            signs.at = at;
            signs.leaving = history.produced;
            throttle.step(signs);
            const std::size_t count = throttle.leaving();
            ASSERT_GE(count, 1U) << "seed " << seed;
            const auto rate = static_cast<double>(throttle.rate().value_or(500 * megabyte));
            double needed = 0;
            for (std::size_t i = 0; i < count; ++i) {
                needed += static_cast<double>(history.produced[i]) * 1.1;
            }
            ASSERT_LE(needed, throttle.rate() ? rate + 1 : 1e12) << "seed " << seed;
            // What is not taken by others in front is the next one's, as in a bucket.
            double over = rate * 2;
            for (std::size_t i = 0; i < history.left.size(); ++i) {
                const double taken = i < count ? std::min(over, history.left[i]) : 0;
                over -= taken;
                history.left[i] += static_cast<double>(history.produced[i]) * 2 - taken;
                history.left[i] = std::min(history.left[i], retained);
            }
            moved = static_cast<std::int64_t>((rate * 2 - over) / 2);
            for (std::size_t i = history.left.size(); i-- > 0;) {
                if (i < count && history.left[i] <= static_cast<double>(history.produced[i]) * 2) {
                    history.left.erase(history.left.begin() + static_cast<std::ptrdiff_t>(i));
                    history.produced.erase(history.produced.begin() +
                                           static_cast<std::ptrdiff_t>(i));
                }
            }
            if (history.below(10) == 0 && !history.produced.empty()) {
                history.produced[history.below(history.produced.size())] =
                    static_cast<std::int64_t>(history.below(30)) * megabyte;
            }
        }
    }
}

TEST(MoveWindow, halves_while_replicas_fall_behind_and_grows_by_one_in_calm) {
    MoveWindow window(4);
    Instant at{};
    const auto look = [&](std::int64_t behind) {
        at = at + Duration{2s};
        window.step(at, behind);
        return window.moves_per_broker();
    };
    EXPECT_EQ(look(0), 4);
    EXPECT_EQ(look(3), 2);
    window.step(at + Duration{100ms}, 3);
    EXPECT_EQ(window.moves_per_broker(), 2) << "there was no time to see what came of it";
    EXPECT_EQ(look(3), 1);
    EXPECT_EQ(look(1), 1);
    for (int i = 0; i < 5; ++i) {
        EXPECT_EQ(look(0), 1);
    }
    EXPECT_EQ(look(0), 2);
    for (int i = 0; i < 100; ++i) {
        look(0);
    }
    EXPECT_EQ(window.moves_per_broker(), 4);
}

TEST(UsualProduceTime, is_that_of_the_better_quarter_of_the_last_minute) {
    UsualProduceTime usual;
    EXPECT_EQ(usual.p99(), std::nullopt);
    usual.note(400ms);
    EXPECT_EQ(usual.p99(), 400ms);
    usual.note(std::nullopt);
    usual.note(10ms);
    EXPECT_EQ(usual.p99(), 10ms) << "a burst was all that was known";
    for (int i = 0; i < 9; ++i) {
        usual.note(30ms);
    }
    EXPECT_EQ(usual.p99(), 30ms);
    for (int i = 0; i < 12; ++i) {
        usual.note(50ms);
    }
    EXPECT_EQ(usual.p99(), 50ms) << "what was is forgotten";
}

TEST(AdaptiveThrottle, blames_no_moves_where_none_go) {
    Broker broker;
    broker.looks(5, slow(0));
    EXPECT_EQ(broker.throttle.rate(), 100 * megabyte);
}

}  // namespace
}  // namespace millrace::placement
