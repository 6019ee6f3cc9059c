// mirror/internal/lag_clock.h
//
// How long a mirror has been behind, by our own clock: since when the source's high watermark has
// been above our end. What producers write into timestamps does not matter.
#pragma once

#include <deque>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::mirror {

class LagClock {
public:
    /// The source was seen to reach `high_watermark`.
    void saw(Offset high_watermark, Instant now) {
        if (samples_.empty() || samples_.back().reached < high_watermark) {
            samples_.push_back({high_watermark, now});
            if (samples_.size() > most_samples) {
                // Thin out the middle: the oldest says how long, the newest how far.
                samples_.erase(samples_.begin() + 1);
            }
        }
    }
    Duration behind(Offset end, Instant now) {
        while (!samples_.empty() && samples_.front().reached <= end) {
            samples_.pop_front();
        }
        return samples_.empty() ? Duration{} : now - samples_.front().at;
    }

private:
    static constexpr std::size_t most_samples = 256;
    struct Sample {
        Offset reached;
        Instant at;
    };
    std::deque<Sample> samples_;
};

}  // namespace millrace::mirror
