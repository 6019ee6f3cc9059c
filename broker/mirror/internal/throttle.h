// mirror/internal/throttle.h
//
// A bound on bytes per second over ten-second windows: what came is paid for before more is asked.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace millrace::mirror {

class Throttle {
public:
    /// 0: no limit.
    void set_rate(std::int64_t bytes_per_second) { rate_ = bytes_per_second; }

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

private:
    std::int64_t rate_ = 0;
    Instant paid_until_{};
};

}  // namespace millrace::mirror
