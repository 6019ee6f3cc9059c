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
constexpr std::size_t usual_notes = 12;
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

Duration AdaptiveThrottle::produce_p99_allowed() const {
    const Duration before = limits_.produce_p99_before.value_or(Duration{});
    return std::max(limits_.produce_p99, before + before / 2);
}

std::string_view AdaptiveThrottle::pressure(const ThrottleSigns& signs) const {
    if (signs.under_min_isr > 0) {
        return "partitions have too few replicas in sync";
    }
    if (signs.healing > 0) {
        return "other replicas catch up";
    }
    if (signs.produce_p99 && *signs.produce_p99 > produce_p99_allowed()) {
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
        shrink(signs);
        reason_ = why;
        return;
    }
    is_pressed_ = false;
    if (signs.produce_p99 && limits_.produce_p99_before) {
        // Clients that fare better now fared badly before for another reason.
        limits_.produce_p99_before = std::min(*limits_.produce_p99_before, *signs.produce_p99);
    }
    if (!pressed_last_ || signs.at - *pressed_last_ >= grow_again_after) {
        grow(signs.moved_bytes_per_second);
    }
}

/// From what goes in fact: a rate that nothing fills could shrink for long without effect. Where
/// nothing goes, moves aren't what presses.
void AdaptiveThrottle::shrink(const ThrottleSigns& signs) {
    const std::int64_t moved = signs.moved_bytes_per_second;
    if (moved == 0) {
        return;
    }
    const std::int64_t from = rate_ ? std::min(*rate_, std::max(moved, least())) : moved;
    if (!std::exchange(is_pressed_, true)) {
        pressed_at_ = from;
    }
    const bool much_too_long = signs.produce_p99.value_or(Duration{}) > 2 * produce_p99_allowed();
    rate_ = std::max(least(), from / 10 * (much_too_long ? 3 : 7));
}

/// A rate that nothing fills says nothing of what the broker would bear, and stays.
void AdaptiveThrottle::grow(std::int64_t moved) {
    reason_ = growing;
    if (!rate_) {
        return;
    }
    std::int64_t grown = *rate_;
    if (moved >= *rate_ / 2) {
        const std::int64_t leap_to = pressed_at_ ? *pressed_at_ / 2 : limits_.double_up_to;
        grown =
            std::max(std::min(*rate_ * 2, leap_to), *rate_ + *rate_ / (pressed_at_ ? 20 : 10) + 1);
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

void UsualProduceTime::note(std::optional<Duration> p99) {
    if (!p99) {
        return;
    }
    noted_.push_back(*p99);
    if (noted_.size() > usual_notes) {
        noted_.pop_front();
    }
}

std::optional<Duration> UsualProduceTime::p99() const {
    if (noted_.empty()) {
        return std::nullopt;
    }
    std::vector<Duration> sorted(noted_.begin(), noted_.end());
    std::sort(sorted.begin(), sorted.end());
    return sorted[(sorted.size() - 1) / 4];
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
