#include "quotas/windowed_rate.h"

#include <algorithm>

namespace millrace::quotas {
namespace {

/// Waits end some time, whatever a client has sent at once.
constexpr double longest_wait_seconds = 3600;

Duration wait_of(double wanted_seconds) {
    return Duration{
        static_cast<std::int64_t>(std::clamp(wanted_seconds, 0.0, longest_wait_seconds) * 1e9)};
}

}  // namespace

void WindowedRate::forget_old(Instant now, const Window& window) {
    while (!samples_.empty() && now - samples_.front().begin >= window.whole()) {
        samples_.pop_front();
    }
}

void WindowedRate::record(double amount, Instant now, const Window& window) {
    forget_old(now, window);
    if (samples_.empty() || now - samples_.back().begin >= window.length) {
        samples_.push_back({now, 0});
        while (samples_.size() > static_cast<std::size_t>(window.samples)) {
            samples_.pop_front();
        }
    }
    samples_.back().sum += amount;
}

Duration WindowedRate::covered(Instant now, const Window& window) const {
    const Duration elapsed = now - samples_.front().begin;
    const Duration least = window.least();
    // The part of the window that has just begun counts beside the full ones.
    return elapsed >= least ? elapsed : least + elapsed % window.length;
}

double WindowedRate::rate(Instant now, const Window& window) {
    forget_old(now, window);
    if (samples_.empty()) {
        return 0;
    }
    double sum = 0;
    for (const Sample& sample : samples_) {
        sum += sample.sum;
    }
    return sum / to_seconds(covered(now, window));
}

Duration WindowedRate::above(double bound, Instant now, const Window& window) {
    const double measured = rate(now, window);
    if (measured <= bound) {
        return {};
    }
    return wait_of((measured - bound) / bound * to_seconds(covered(now, window)));
}

void TokenBucket::fill(double rate, Instant now, const Window& window) {
    const double most = rate * to_seconds(window.whole());
    if (!is_filled_) {
        tokens_ = most;
        is_filled_ = true;
    } else {
        tokens_ = std::min(most, tokens_ + rate * to_seconds(now - filled_at_));
    }
    filled_at_ = now;
}

bool TokenBucket::is_open(double rate, Instant now, const Window& window) {
    fill(rate, now, window);
    return tokens_ > 0;
}

void TokenBucket::spend(double amount, double rate, Instant now, const Window& window) {
    fill(rate, now, window);
    tokens_ -= amount;
}

Duration TokenBucket::closed_for(double rate, Instant now, const Window& window) {
    fill(rate, now, window);
    return tokens_ > 0 ? Duration{} : wait_of(-tokens_ / rate);
}

}  // namespace millrace::quotas
