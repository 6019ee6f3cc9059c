// base/time.h
//
// Two kinds of time that never mix: Instant for waiting and measuring (monotonic), Timestamp for
// what is written into records and shown to people (wall clock, milliseconds as Kafka's).
#pragma once

#include <algorithm>
#include <chrono>
#include <compare>
#include <cstdint>

namespace millrace {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;  // NOLINT: 5ms, 30s read better than constructors

struct Instant {
    std::int64_t nanoseconds = 0;

    friend auto operator<=>(const Instant&, const Instant&) = default;
    friend Instant operator+(Instant at, Duration d) { return {at.nanoseconds + d.count()}; }
    friend Instant operator-(Instant at, Duration d) { return {at.nanoseconds - d.count()}; }
    friend Duration operator-(Instant a, Instant b) {
        return Duration{a.nanoseconds - b.nanoseconds};
    }
    static constexpr Instant never() { return {INT64_MAX}; }
};

struct Timestamp {
    std::int64_t milliseconds = 0;  ///< Since 1970-01-01 UTC.

    friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
    friend Timestamp operator+(Timestamp at, Duration d) {
        return {at.milliseconds + std::chrono::duration_cast<std::chrono::milliseconds>(d).count()};
    }
    /// Producers write what they like, microseconds too: what no Duration holds is 292 years.
    friend Duration operator-(Timestamp a, Timestamp b) {
        constexpr std::int64_t most = INT64_MAX / 1'000'000;
        std::int64_t between = 0;
        if (__builtin_sub_overflow(a.milliseconds, b.milliseconds, &between)) {
            between = a < b ? -most : most;
        }
        return std::chrono::milliseconds{std::clamp(between, -most, most)};
    }
};

inline double to_seconds(Duration d) {
    return std::chrono::duration<double>(d).count();
}

inline std::int64_t to_milliseconds(Duration d) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

/// The one source of time. Real: the reactor's loop clock. Simulated: the event heap's.
class Clock {
public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
    virtual Timestamp wall() const = 0;
};

}  // namespace millrace
