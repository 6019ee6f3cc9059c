#include "metadata/sessions.h"

#include <algorithm>
#include <tuple>

namespace millrace::metadata {

void Sessions::begin(BrokerId broker, BrokerEpoch epoch, Instant now) {
    sessions_[broker] = Session{epoch, now, Offset{-1}, std::nullopt};
}

bool Sessions::touch(BrokerId broker, BrokerEpoch epoch, Offset caught_up_to, Instant now) {
    const auto found = sessions_.find(broker);
    if (found == sessions_.end() || found->second.epoch != epoch) {
        return false;
    }
    found->second.last_contact = now;
    found->second.caught_up_to = caught_up_to;
    return true;
}

void Sessions::want_stop(BrokerId broker, Offset stop_after) {
    const auto found = sessions_.find(broker);
    if (found != sessions_.end()) {
        found->second.stop_after = stop_after;
    }
}

const Sessions::Session* Sessions::find(BrokerId broker) const {
    const auto found = sessions_.find(broker);
    return found != sessions_.end() ? &found->second : nullptr;
}

bool Sessions::is_valid(BrokerId broker, BrokerEpoch epoch, Instant now) const {
    const Session* session = find(broker);
    return session != nullptr && session->epoch == epoch && now - session->last_contact < timeout_;
}

std::vector<BrokerId> Sessions::overdue(Instant now) const {
    std::vector<BrokerId> silent;
    for (const auto& [broker, session] : sessions_) {
        if (now - session.last_contact >= timeout_) {
            silent.push_back(broker);
        }
    }
    std::sort(silent.begin(), silent.end(), [this](BrokerId a, BrokerId b) {
        return std::tuple(sessions_.at(a).last_contact, a) <
               std::tuple(sessions_.at(b).last_contact, b);
    });
    return silent;
}

Instant Sessions::next_deadline() const {
    Instant earliest = Instant::never();
    for (const auto& [broker, session] : sessions_) {
        earliest = std::min(earliest, session.last_contact + timeout_);
    }
    return earliest;
}

}  // namespace millrace::metadata
