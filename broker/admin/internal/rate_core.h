// admin/internal/rate_core.h
//
// A token bucket: so many in a second, and as many at once after a second's rest.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace millrace::admin {

class RateCore {
public:
    explicit RateCore(double per_second) : per_second_(per_second), tokens_(per_second) {}

    bool take(Instant now) {
        const double passed = to_seconds(now - last_);
        tokens_ = std::min(per_second_, tokens_ + std::max(0.0, passed) * per_second_);
        last_ = now;
        if (tokens_ < 1) {
            return false;
        }
        tokens_ -= 1;
        return true;
    }

private:
    double per_second_;
    double tokens_;
    Instant last_;
};

}  // namespace millrace::admin
