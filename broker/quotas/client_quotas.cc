#include "quotas/client_quotas.h"

#include <algorithm>

namespace millrace::quotas {
namespace {

/// Past so many everything is resolved anew: client ids may be made up without end.
constexpr std::size_t most_known = 10'000;

}  // namespace

void Meter::set_bound(double bound) {
    const std::lock_guard lock(mutex_);
    bound_ = bound;
}

double Meter::bound() const {
    const std::lock_guard lock(mutex_);
    return bound_;
}

Duration Meter::spend(double amount, Instant now) {
    const std::lock_guard lock(mutex_);
    rate_.record(amount, now, window_);
    return rate_.above(bound_, now, window_);
}

Duration Meter::over(Instant now) {
    const std::lock_guard lock(mutex_);
    return rate_.above(bound_, now, window_);
}

Meter::Verdict Meter::spend_if_room(double amount, Instant now) {
    const std::lock_guard lock(mutex_);
    const bool is_alone = rate_.rate(now, window_) <= 0;
    rate_.record(amount, now, window_);
    const Duration wait = rate_.above(bound_, now, window_);
    if (wait == Duration{} || is_alone) {
        return {true, wait};
    }
    rate_.record(-amount, now, window_);
    return {false, wait};
}

bool Meter::is_open(Instant now) {
    const std::lock_guard lock(mutex_);
    return bucket_.is_open(bound_, now, window_);
}

void Meter::spend_lump(double amount, Instant now) {
    const std::lock_guard lock(mutex_);
    bucket_.spend(amount, bound_, now, window_);
}

Duration Meter::closed_for(Instant now) {
    const std::lock_guard lock(mutex_);
    return bucket_.closed_for(bound_, now, window_);
}

bool Client::is_bound() const {
    return std::any_of(meters.begin(), meters.end(),
                       [](const std::shared_ptr<Meter>& meter) { return meter != nullptr; });
}

void ClientQuotas::set_rules(Rules rules) {
    const std::lock_guard lock(mutex_);
    rules_ = std::move(rules);
    any_.store(rules_.bounds_clients(), std::memory_order_relaxed);
    any_address_.store(rules_.bounds_addresses(), std::memory_order_relaxed);
    addresses_.clear();
    forget_unused();
    generation_.fetch_add(1, std::memory_order_release);
}

ClientPtr ClientQuotas::resolve(const std::string& user, const std::string& client) {
    const std::lock_guard lock(mutex_);
    auto made = std::make_shared<Client>();
    for (std::size_t kind = 0; kind < kinds; ++kind) {
        if (const auto bound = rules_.find(static_cast<Kind>(kind), user, client)) {
            made->meters[kind] = meter_for(static_cast<Kind>(kind), *bound);
        }
    }
    return made->is_bound() ? made : nullptr;
}

std::shared_ptr<Meter> ClientQuotas::meter_for(Kind kind, const Bound& bound) {
    if (meters_.size() >= most_known) {
        forget_unused();
    }
    std::shared_ptr<Meter>& meter = meters_[{kind, bound.share}];
    if (meter) {
        meter->set_bound(bound.rate);
    } else {
        meter = std::make_shared<Meter>(bound.rate, kind == Kind::mutation ? mutations_ : window_);
    }
    return meter;
}

void ClientQuotas::forget_unused() {
    std::erase_if(meters_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

Duration ClientQuotas::connected_from(const std::string& address, Instant now) {
    if (!any_address_.load(std::memory_order_relaxed)) {
        return {};
    }
    const std::lock_guard lock(mutex_);
    const auto bound = rules_.connections_from(address);
    if (!bound) {
        return {};
    }
    if (addresses_.size() >= most_known) {
        addresses_.clear();
    }
    auto& meter = addresses_[address];
    if (!meter) {
        meter = std::make_shared<Meter>(*bound, window_);
    }
    const Duration wait = meter->over(now);
    if (wait == Duration{}) {
        (void)meter->spend(1, now);
    }
    return wait;
}

ClientPtr ClientCache::find(ClientQuotas& quotas, const std::string& user,
                            const std::string& client) {
    if (const std::uint64_t now = quotas.generation();
        now != generation_ || known_.size() >= most_known) {
        generation_ = now;
        known_.clear();
    }
    std::string key = user;
    key += '\0';
    key += client;
    const auto found = known_.find(key);
    if (found != known_.end()) {
        return found->second;
    }
    return known_.emplace(std::move(key), quotas.resolve(user, client)).first->second;
}

}  // namespace millrace::quotas
