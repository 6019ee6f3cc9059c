#include "placement/adaptive_throttle.h"

#include <algorithm>
#include <numeric>

namespace millrace::placement {
namespace {

constexpr Duration calm_for = 10s;
/// Time enough to see what fewer moves have done.
constexpr Duration look_again = 2s;
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

std::int64_t AdaptiveThrottle::need_of(std::int64_t produced) const {
    return std::max(limits_.least_each, produced + produced / 10);
}

void AdaptiveThrottle::note_needs(const ThrottleSigns& signs) {
    const auto needs = [this](const std::vector<std::int64_t>& produced) {
        std::vector<std::int64_t> all;
        for (const std::int64_t rate : produced) {
            all.push_back(need_of(rate));
        }
        return all;
    };
    leaving_needs_ = needs(signs.leaving);
    arriving_needs_ = needs(signs.arriving);
}

/// What one copy that leaves needs, and all that arrive: their leaders have chosen which of theirs
/// go now, and if we chose as well, two ends would wait for one another. Whoever asks for less gets
/// what was asked for.
std::int64_t AdaptiveThrottle::least() const {
    const std::int64_t leaving = leaving_needs_.empty() ? 0 : leaving_needs_.front();
    const std::int64_t arriving =
        std::accumulate(arriving_needs_.begin(), arriving_needs_.end(), std::int64_t{0});
    const std::int64_t least = std::max({limits_.least_each, leaving, arriving});
    return limits_.most > 0 ? std::min(least, limits_.most) : least;
}

std::size_t AdaptiveThrottle::fit(const std::vector<std::int64_t>& needs) const {
    std::int64_t left = rate_.value_or(0);
    std::size_t count = 0;
    while (count < needs.size() && (!rate_ || count == 0 || needs[count] <= left)) {
        left -= needs[count++];
    }
    return count;
}

CopyWindow AdaptiveThrottle::window() const {
    return {fit(leaving_needs_), fit(arriving_needs_)};
}

void AdaptiveThrottle::step(const ThrottleSigns& signs) {
    note_needs(signs);
    if (rate_) {
        rate_ = std::max(*rate_, least());
    }
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
    if (!rate_ && moved == 0) {
        return;
    }
    const std::int64_t from =
        rate_ ? std::min(*rate_, std::max(moved, least())) : std::max(moved, limits_.begin_from);
    rate_ = std::max(least(), from / 10 * 7);
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
