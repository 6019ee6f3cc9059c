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
constexpr Duration no_fault_of_moves_after = 10s;
/// Percent of the rate.
constexpr int first_growth = 20;
constexpr int growth_far_up = 10;
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

AdaptiveThrottle::Pressed AdaptiveThrottle::pressure(const ThrottleSigns& signs) const {
    if (signs.under_min_isr > 0) {
        return {Pressure::great, "partitions have too few replicas in sync"};
    }
    if (signs.healing > 0) {
        return {Pressure::great, "other replicas catch up"};
    }
    const auto of = [](Duration seen, Duration allowed, std::string_view why) {
        return seen > 2 * allowed ? Pressed{Pressure::great, why}
               : seen > allowed   ? Pressed{Pressure::some, why}
                                  : Pressed{};
    };
    const Pressed producers =
        of(signs.produce_p99.value_or(Duration{}), produce_p99_allowed(), "producers wait longer");
    return producers.pressure != Pressure::none
               ? producers
               : of(signs.loop_delay, limits_.loop_delay, "the broker is busy");
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
    const Pressed pressed = pressure(signs);
    const bool lasts = std::exchange(was_pressed_, pressed.pressure != Pressure::none);
    if (pressed.pressure == Pressure::great || (pressed.pressure == Pressure::some && lasts)) {
        shrink(signs.moved_bytes_per_second, pressed.pressure);
        reason_ = pressed.why;
    }
    learn(signs, pressed.pressure);
    if (pressed.pressure != Pressure::none) {
        pressed_last_ = signs.at;
        return;
    }
    if (!pressed_last_ || signs.at - *pressed_last_ >= grow_again_after) {
        grow(signs.moved_bytes_per_second);
    }
}

/// What producers bear without moves may become another thing while they go: clients that fare
/// better than before fared badly then for another reason, and so do those who wait long while next
/// to nothing goes.
void AdaptiveThrottle::learn(const ThrottleSigns& signs, Pressure pressure) {
    std::optional<Duration>& before = limits_.produce_p99_before;
    if (pressure == Pressure::none || !rate_ || *rate_ > least()) {
        least_since_.reset();
    } else {
        least_since_ = least_since_.value_or(signs.at);
    }
    if (!signs.produce_p99) {
        return;
    }
    if (least_since_ && signs.at - *least_since_ >= no_fault_of_moves_after) {
        before = std::max(before.value_or(Duration{}), *signs.produce_p99);
        least_since_.reset();
    } else if (pressure == Pressure::none && before) {
        before = std::min(*before, *signs.produce_p99);
    }
}

/// From what goes in fact: a rate that nothing fills could shrink for long without effect. Where
/// nothing goes, moves aren't what presses.
void AdaptiveThrottle::shrink(std::int64_t moved, Pressure pressure) {
    if (moved == 0) {
        return;
    }
    const std::int64_t from = rate_ ? std::min(*rate_, std::max(moved, least())) : moved;
    rate_ = std::max(least(), from / 10 * (pressure == Pressure::great ? 5 : 7));
    growth_ = first_growth;
}

/// A rate that nothing fills says nothing of what the broker would bear, and stays.
void AdaptiveThrottle::grow(std::int64_t moved) {
    reason_ = growing;
    if (!rate_) {
        return;
    }
    std::int64_t grown = *rate_;
    if (moved >= *rate_ / 2) {
        const std::int64_t leap = std::min(*rate_ / 100 * growth_, limits_.double_up_to - *rate_);
        grown += std::max(leap, *rate_ / 100 * std::min(growth_, growth_far_up));
        growth_ = std::min(2 * growth_, 100);
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
