// placement/adaptive_throttle.h
//
// How fast a broker lets a plan's copies go: as fast as its clients don't feel it. Pure: told every
// few seconds how the broker fares, it answers with a rate and the reason. Under pressure the rate
// shrinks at once by a third; after ten calm seconds it grows by a twentieth each time.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/time.h"

namespace millrace::placement {

struct ThrottleLimits {
    std::int64_t most = 0;         ///< Bytes a second that were asked for; 0: as many as go.
    /// Slower than what is produced to the partitions that move, a copy never ends.
    std::int64_t least = 32 << 20;
    /// Produce requests may take this long, or half as long again as before the plan.
    Duration produce_p99 = 20ms;
    std::optional<Duration> produce_p99_before;
    Duration loop_delay = 50ms;  ///< Until a loop comes to what is posted to it.
};

/// A broker, over the last few seconds.
struct ThrottleSigns {
    Instant at;
    std::optional<Duration> produce_p99;  ///< None: nobody produced.
    Duration loop_delay{};
    int under_min_isr = 0;  ///< Partitions led here that have too few in sync.
    int healing = 0;        ///< Replicas that catch up without being part of a move.
    std::int64_t moved_bytes_per_second = 0;
};

class AdaptiveThrottle {
public:
    explicit AdaptiveThrottle(ThrottleLimits limits);

    void step(const ThrottleSigns& signs);
    /// For the same plan, another upper bound.
    void set_most(std::int64_t bytes_per_second);

    /// None: nothing slows copies down.
    std::optional<std::int64_t> rate() const { return rate_; }
    std::string_view reason() const { return reason_; }

private:
    std::string_view pressure(const ThrottleSigns& signs) const;
    void shrink(std::int64_t moved);
    void grow();

    ThrottleLimits limits_;
    std::optional<std::int64_t> rate_;
    std::string_view reason_;
    std::optional<Instant> calm_since_;
};

}  // namespace millrace::placement
