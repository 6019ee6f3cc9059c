#include "placement/adaptive_throttle.h"

#include <algorithm>
#include <utility>

namespace millrace::placement {
namespace {

constexpr Duration calm_for = 10s;
/// After pressure: time enough to see that it is over.
constexpr Duration grow_again_after = 5s;
/// Time enough to see what fewer moves have done.
constexpr Duration look_again = 2s;
/// A throttle of more than this slows nothing down any more.
constexpr std::int64_t as_good_as_none = 10'000'000'000;

constexpr std::string_view as_asked = "as fast as was asked for";
constexpr std::string_view growing = "clients are calm";

}  // namespace

AdaptiveThrottle::AdaptiveThrottle(ThrottleLimits limits)
    : limits_(limits), rate_(limits.begin_with) {
    set_most(limits.most);
}

void AdaptiveThrottle::set_most(std::int64_t bytes_per_second) {
    limits_.most = bytes_per_second;
    if (bytes_per_second > 0) {
        rate_ = std::min(rate_.value_or(bytes_per_second), bytes_per_second);
    }
    if (reason_.empty()) {
        reason_ = bytes_per_second > 0 && *rate_ == bytes_per_second ? as_asked : growing;
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

std::int64_t AdaptiveThrottle::need_of(std::int64_t produced) const {
    return std::max(limits_.least_each, produced + produced / 10);
}

void AdaptiveThrottle::note_needs(const ThrottleSigns& signs) {
    leaving_needs_.clear();
    for (const std::int64_t produced : signs.leaving) {
        leaving_needs_.push_back(need_of(produced));
    }
    arriving_need_ = 0;
    for (const std::int64_t produced : signs.arriving) {
        arriving_need_ += need_of(produced);
    }
}

/// What one copy that leaves needs, and all that arrive. Whoever asks for less gets what was asked
/// for.
std::int64_t AdaptiveThrottle::least() const {
    const std::int64_t leaving = leaving_needs_.empty() ? 0 : leaving_needs_.front();
    const std::int64_t least = std::max({limits_.least_each, leaving, arriving_need_});
    return limits_.most > 0 ? std::min(least, limits_.most) : least;
}

std::size_t AdaptiveThrottle::leaving() const {
    std::int64_t left = rate_.value_or(0);
    std::size_t count = 0;
    while (count < leaving_needs_.size() &&
           (!rate_ || count == 0 || leaving_needs_[count] <= left)) {
        left -= leaving_needs_[count++];
    }
    return count;
}

void AdaptiveThrottle::step(const ThrottleSigns& signs) {
    note_needs(signs);
    if (rate_) {
        rate_ = std::max(*rate_, least());
    }
    if (const std::string_view why = pressure(signs); !why.empty()) {
        pressed_last_ = signs.at;
        shrink(signs.moved_bytes_per_second);
        reason_ = why;
        return;
    }
    is_pressed_ = false;
    if (!pressed_last_ || signs.at - *pressed_last_ >= grow_again_after) {
        grow(signs.moved_bytes_per_second);
    }
}

/// From what goes in fact: a rate that nothing fills could shrink for long without effect. Where
/// nothing goes, moves aren't what presses.
void AdaptiveThrottle::shrink(std::int64_t moved) {
    if (moved == 0) {
        return;
    }
    const std::int64_t from = rate_ ? std::min(*rate_, std::max(moved, least())) : moved;
    if (!std::exchange(is_pressed_, true)) {
        pressed_at_ = from;
    }
    rate_ = std::max(least(), from / 10 * 7);
}

/// A rate that nothing fills says nothing of what the broker would bear, and stays.
void AdaptiveThrottle::grow(std::int64_t moved) {
    reason_ = growing;
    if (!rate_) {
        return;
    }
    std::int64_t grown = *rate_;
    if (moved >= *rate_ / 2) {
        const std::int64_t leap = pressed_at_ ? std::min(*rate_ * 2, *pressed_at_ / 2) : *rate_ * 2;
        grown = std::max(leap, *rate_ + *rate_ / 20 + 1);
    }
    if (limits_.most > 0) {
        rate_ = std::min(grown, limits_.most);
        reason_ = *rate_ == limits_.most ? as_asked : growing;
    } else if (grown > as_good_as_none) {
        rate_.reset();
    } else {
        rate_ = grown;
    }
}

void MoveWindow::step(Instant at, std::int64_t behind) {
    if (behind > 0) {
        calm_since_.reset();
        if (!halved_at_ || at - *halved_at_ >= look_again) {
            now_ = std::max(1, now_ / 2);
            halved_at_ = at;
        }
        return;
    }
    calm_since_ = calm_since_.value_or(at);
    if (at - *calm_since_ >= calm_for && now_ < most_) {
        ++now_;
        calm_since_ = at;
    }
}

}  // namespace millrace::placement
