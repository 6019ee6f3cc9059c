#include "app/internal/lag_clock.h"

#include <algorithm>

namespace millrace::app {

void LagClock::look(Offset end, Instant now) {
    if (!seen_.empty() && end < seen_.back().end) {
        seen_.clear();
    }
    if (!seen_.empty() && end == seen_.back().end) {
        return;
    }
    seen_.push_back({end, now});
    if (seen_.size() <= most) {
        return;
    }
    std::size_t kept = 0;
    for (std::size_t i = 0; i < seen_.size(); i += 2) {
        seen_[kept++] = seen_[i];
    }
    seen_.resize(kept);
    if (seen_.back().end != end) {
        seen_.push_back({end, now});
    }
}

Duration LagClock::behind(Offset committed, Instant now) const {
    const auto past = std::upper_bound(seen_.begin(), seen_.end(), committed,
                                       [](Offset at, const Seen& seen) { return at < seen.end; });
    return past == seen_.end() ? Duration{0} : now - past->at;
}

}  // namespace millrace::app
