#include "placement/adaptive_throttle.h"

#include <algorithm>

namespace millrace::placement {
namespace {

constexpr Duration calm_for = 10s;
/// A throttle of more than this slows nothing down any more.
constexpr std::int64_t as_good_as_none = 10'000'000'000;

constexpr std::string_view as_asked = "as fast as was asked for";
constexpr std::string_view growing = "clients are calm";

}  // namespace

AdaptiveThrottle::AdaptiveThrottle(ThrottleLimits limits) : limits_(limits) {
    set_most(limits.most);
}

void AdaptiveThrottle::set_most(std::int64_t bytes_per_second) {
    limits_.most = bytes_per_second;
    if (bytes_per_second > 0) {
        rate_ = std::min(rate_.value_or(bytes_per_second), bytes_per_second);
        // Whoever asks for less than the least gets what was asked for.
        limits_.least = std::min(limits_.least, bytes_per_second);
    }
    if (reason_.empty()) {
        reason_ = bytes_per_second > 0 ? as_asked : growing;
    }
}

std::string_view AdaptiveThrottle::pressure(const ThrottleSigns& signs) const {
    if (signs.under_min_isr > 0) {
        return "partitions have too few replicas in sync";
    }
    if (signs.healing > 0) {
        return "other replicas catch up";
    }
    const Duration before = limits_.produce_p99_before.value_or(Duration{});
    if (signs.produce_p99 &&
        *signs.produce_p99 > std::max(limits_.produce_p99, before + before / 2)) {
        return "producers wait longer";
    }
    return signs.loop_delay > limits_.loop_delay ? "the broker is busy" : "";
}

void AdaptiveThrottle::step(const ThrottleSigns& signs) {
    if (const std::string_view why = pressure(signs); !why.empty()) {
        calm_since_.reset();
        shrink(signs.moved_bytes_per_second);
        reason_ = why;
        return;
    }
    calm_since_ = calm_since_.value_or(signs.at);
    if (signs.at - *calm_since_ >= calm_for) {
        grow();
    }
}

/// From what goes in fact: a rate that nothing fills could shrink for long without effect. Where
/// nothing goes, moves aren't what presses.
void AdaptiveThrottle::shrink(std::int64_t moved) {
    const std::int64_t from = std::min(rate_.value_or(moved), std::max(moved, limits_.least));
    if (!rate_ && moved == 0) {
        return;
    }
    rate_ = std::max(limits_.least, from / 10 * 7);
}

void AdaptiveThrottle::grow() {
    reason_ = growing;
    if (!rate_) {
        return;
    }
    const std::int64_t grown = *rate_ + *rate_ / 20 + 1;
    if (limits_.most > 0) {
        rate_ = std::min(grown, limits_.most);
        reason_ = *rate_ == limits_.most ? as_asked : growing;
    } else if (grown > as_good_as_none) {
        rate_.reset();
    } else {
        rate_ = grown;
    }
}

}  // namespace millrace::placement
