#include "replication/throttle.h"

#include <algorithm>

namespace millrace::replication {
namespace {

/// Who is late may catch up with this much: a wake-up that comes late must not cost rate.
constexpr Duration credit = 100ms;
constexpr std::int64_t pieces_per_second = 20;
constexpr Duration look_again = 1s;
/// A debt of more than this is a rate next to nothing; no sum of times may overflow.
constexpr double longest_debt_seconds = 1e6;

Duration time_for(std::size_t bytes, std::int64_t rate) {
    const double seconds = static_cast<double>(bytes) / static_cast<double>(rate);
    return Duration{static_cast<std::int64_t>(std::min(seconds, longest_debt_seconds) * 1e9)};
}

}  // namespace

void RateBucket::set_rate(std::int64_t bytes_per_second, Instant now) {
    const std::int64_t before = rate_.load(std::memory_order_relaxed);
    if (before == bytes_per_second) {
        return;
    }
    const double owed = static_cast<double>(
        std::max<std::int64_t>(0, paid_until_.load(std::memory_order_relaxed) - now.nanoseconds));
    const bool carries = before > 0 && before != unlimited && bytes_per_second > 0;
    const double kept =
        carries
            ? std::min(owed * static_cast<double>(before) / static_cast<double>(bytes_per_second),
                       longest_debt_seconds * 1e9)
            : 0;
    paid_until_.store(now.nanoseconds + static_cast<std::int64_t>(kept), std::memory_order_relaxed);
    rate_.store(bytes_per_second, std::memory_order_relaxed);
}

Duration RateBucket::closed_for(Instant now) const {
    const std::int64_t rate = this->rate();
    if (rate == unlimited) {
        return {};
    }
    if (rate == 0) {
        return look_again;
    }
    const Duration left{paid_until_.load(std::memory_order_relaxed) - now.nanoseconds};
    return std::clamp(left, Duration{}, look_again);
}

std::size_t RateBucket::piece() const {
    return static_cast<std::size_t>(std::max<std::int64_t>(1, rate() / pieces_per_second));
}

void RateBucket::spend(std::size_t bytes, Instant now) {
    const std::int64_t rate = this->rate();
    if (rate == unlimited || rate == 0) {
        return;
    }
    const std::int64_t cost = time_for(bytes, rate).count();
    const std::int64_t earliest = now.nanoseconds - credit.count();
    std::int64_t before = paid_until_.load(std::memory_order_relaxed);
    while (!paid_until_.compare_exchange_weak(before, std::max(before, earliest) + cost,
                                              std::memory_order_relaxed)) {
    }
}

Duration ThrottleGate::closed_for(Instant now) const {
    Duration closed{};
    for (std::size_t i = 0; i < count_; ++i) {
        closed = std::max(closed, buckets_[i]->closed_for(now));
    }
    return closed;
}

std::size_t ThrottleGate::piece() const {
    std::size_t piece = SIZE_MAX;
    for (std::size_t i = 0; i < count_; ++i) {
        piece = std::min(piece, buckets_[i]->piece());
    }
    return piece;
}

void ThrottleGate::spend(std::size_t bytes, Instant now) const {
    for (std::size_t i = 0; i < count_; ++i) {
        buckets_[i]->spend(bytes, now);
    }
}

}  // namespace millrace::replication
