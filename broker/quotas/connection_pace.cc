#include "quotas/connection_pace.h"

#include <algorithm>
#include <utility>

namespace millrace::quotas {
namespace {

/// What was counted under the rate of before goes on counting.
void set_rate(std::unique_ptr<Meter>& meter, double rate, const Window& window) {
    if (meter) {
        meter->set_bound(rate);
    } else {
        meter = std::make_unique<Meter>(rate, window);
    }
}

}  // namespace

void ConnectionPace::set(ConnectionRates rates) {
    const std::lock_guard lock(mutex_);
    rates_ = std::move(rates);
    if (rates_.in_all) {
        set_rate(in_all_, *rates_.in_all, window_);
    } else {
        in_all_.reset();
    }
    std::erase_if(of_listener_,
                  [this](const auto& one) { return !rates_.of_listener.contains(one.first); });
    for (const auto& [listener, rate] : rates_.of_listener) {
        set_rate(of_listener_[listener], rate, window_);
    }
    any_.store(in_all_ != nullptr || !of_listener_.empty(), std::memory_order_relaxed);
}

Duration ConnectionPace::connected(const std::string& listener, Instant now) {
    if (!any_.load(std::memory_order_relaxed)) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    Duration wait{};
    if (const auto own = of_listener_.find(listener); own != of_listener_.end()) {
        wait = own->second->spend(1, now);
    }
    if (in_all_ && listener != rates_.spared_listener) {
        wait = std::max(wait, in_all_->spend(1, now));
    }
    return std::min(wait, window_.length);
}

}  // namespace millrace::quotas
