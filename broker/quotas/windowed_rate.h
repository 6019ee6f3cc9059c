// quotas/windowed_rate.h
//
// A rate as Kafka measures it for quotas: the sum of the last samples over the time they cover.
// Until they cover all but one of their windows they count as if they did, so that a client that
// was quiet may burst. Pure.
#pragma once

#include <deque>

#include "base/time.h"

namespace millrace::quotas {

/// quota.window.num and quota.window.size.seconds.
struct Window {
    int samples = 11;
    Duration length = 1s;

    Duration whole() const { return length * samples; }
    /// What counts at least, whenever the samples began.
    Duration least() const { return length * (samples > 1 ? samples - 1 : 1); }
};

class WindowedRate {
public:
    void record(double amount, Instant now, const Window& window);
    /// A second.
    double rate(Instant now, const Window& window);
    /// How long to wait until the rate is at the bound again, if nothing comes meanwhile.
    Duration above(double bound, Instant now, const Window& window);

private:
    struct Sample {
        Instant begin;
        double sum = 0;
    };
    void forget_old(Instant now, const Window& window);
    Duration covered(Instant now, const Window& window) const;

    std::deque<Sample> samples_;
};

/// What comes in lumps (partitions created at once): saved up for a window's worth, and spent as a
/// whole as long as anything is left.
class TokenBucket {
public:
    bool is_open(double rate, Instant now, const Window& window);
    void spend(double amount, double rate, Instant now, const Window& window);
    /// Until something is left again.
    Duration closed_for(double rate, Instant now, const Window& window);

private:
    void fill(double rate, Instant now, const Window& window);

    double tokens_ = 0;
    bool is_filled_ = false;
    Instant filled_at_;
};

}  // namespace millrace::quotas
