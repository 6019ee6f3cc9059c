#include "net/connection_gate.h"

#include <optional>
#include <utility>

#include "base/assert.h"

namespace millrace::net {

namespace {

using Named = ConnectionLimits::Named;

std::int32_t count_of(const Named& counts, const std::string& name) {
    const auto found = counts.find(name);
    return found == counts.end() ? 0 : found->second;
}

void take_one(Named& counts, const std::string& name) {
    const auto found = counts.find(name);
    MR_ASSERT(found != counts.end() && found->second > 0);
    if (--found->second == 0) {
        counts.erase(found);
    }
}

}  // namespace

ConnectionGate::Place::~Place() {
    if (gate_) {
        gate_->leave(listener_, address_);
    }
}

std::shared_ptr<ConnectionGate> ConnectionGate::make(ConnectionLimits limits) {
    return std::shared_ptr<ConnectionGate>(new ConnectionGate(std::move(limits)));
}

void ConnectionGate::set(ConnectionLimits limits) {
    const std::lock_guard lock(mutex_);
    limits_ = std::move(limits);
}

Result<ConnectionGate::Place> ConnectionGate::enter(const std::string& listener,
                                                    const std::string& address) {
    const std::lock_guard lock(mutex_);
    const auto own = limits_.of_address.find(address);
    const std::int32_t of_address =
        own == limits_.of_address.end() ? limits_.per_address : own->second;
    if (count_of(by_address_, address) >= of_address) {
        return Error::make(Code::exhausted, "{} connections from its address are open", of_address);
    }
    const auto of_listener = limits_.of_listener.find(listener);
    if (of_listener != limits_.of_listener.end() &&
        count_of(by_listener_, listener) >= of_listener->second) {
        return Error::make(Code::exhausted, "{} connections are open on its listener",
                           of_listener->second);
    }
    if (open_ >= limits_.in_all && listener != limits_.spared_listener) {
        return Error::make(Code::exhausted, "{} connections are open", limits_.in_all);
    }
    ++open_;
    ++by_listener_[listener];
    ++by_address_[address];
    return Place(shared_from_this(), listener, address);
}

void ConnectionGate::leave(const std::string& listener, const std::string& address) {
    const std::lock_guard lock(mutex_);
    --open_;
    take_one(by_listener_, listener);
    take_one(by_address_, address);
}

}  // namespace millrace::net
