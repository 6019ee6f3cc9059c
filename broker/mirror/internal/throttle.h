// mirror/internal/throttle.h
//
// A bound on bytes per second over ten-second windows: what came is paid for before more is asked.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace millrace::mirror {

class Throttle {
public:
    /// 0: no limit. What is owed is owed at the new rate. Whether there is less to wait for now.
    bool set_rate(std::int64_t bytes_per_second, Instant now) {
        if (bytes_per_second == rate_) {
            return false;
        }
        const Duration owed = left(now);
        const double longer =
            bytes_per_second <= 0 || rate_ <= 0
                ? 0
                : static_cast<double>(rate_) / static_cast<double>(bytes_per_second);
        rate_ = bytes_per_second;
        paid_until_ =
            now + Duration{static_cast<std::int64_t>(static_cast<double>(owed.count()) * longer)};
        return left(now) < owed;
    }

    /// How long not to ask.
    Duration left(Instant now) const { return paid_until_ > now ? paid_until_ - now : Duration{}; }

    /// Notes what came and tells how long not to ask.
    Duration spend(std::int64_t bytes, Instant now) {
        if (rate_ <= 0) {
            return {};
        }
        paid_until_ = std::max(paid_until_, now);
        const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
        paid_until_ = paid_until_ + Duration{static_cast<std::int64_t>(seconds * 1e9)};
        return paid_until_ - now;
    }

    /// What one of so many connections may ask for at once: together no more than half a second's
    /// worth, so that what all of them bring at the same moment stays within the limit.
    std::int64_t most_at_once(std::size_t connections, std::int64_t without_limit) const {
        if (rate_ <= 0) {
            return without_limit;
        }
        const std::int64_t share =
            rate_ / 2 / static_cast<std::int64_t>(std::max<std::size_t>(1, connections));
        return std::clamp<std::int64_t>(share, least_at_once, without_limit);
    }

private:
    static constexpr std::int64_t least_at_once = 64 << 10;

    std::int64_t rate_ = 0;
    Instant paid_until_{};
};

}  // namespace millrace::mirror
