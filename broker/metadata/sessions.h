// metadata/sessions.h
//
// When the active controller last heard of each broker. Soft state: it is not in the log, and a new
// controller gives every broker a full session before it fences one.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::metadata {

class Sessions {
public:
    explicit Sessions(Duration timeout) : timeout_(timeout) {}

    struct Session {
        BrokerEpoch epoch;
        Instant last_contact;
        Offset caught_up_to{-1};  ///< Metadata offset that the broker says it has applied.
        /// The broker wants to stop; it may once everyone active has applied up to here.
        std::optional<Offset> stop_after;
    };

    /// The first contact of this incarnation, or a new controller that starts counting.
    void begin(BrokerId broker, BrokerEpoch epoch, Instant now);
    /// False if the epoch is not the session's.
    bool touch(BrokerId broker, BrokerEpoch epoch, Offset caught_up_to, Instant now);
    void want_stop(BrokerId broker, Offset stop_after);
    void end(BrokerId broker) { sessions_.erase(broker); }
    void clear() { sessions_.clear(); }

    const Session* find(BrokerId broker) const;
    bool is_valid(BrokerId broker, BrokerEpoch epoch, Instant now) const;
    /// Brokers not heard of for a session timeout, longest silent first.
    std::vector<BrokerId> overdue(Instant now) const;
    /// When overdue() can next have more to say; never() without sessions.
    Instant next_deadline() const;
    Duration timeout() const { return timeout_; }
    const std::map<BrokerId, Session>& all() const { return sessions_; }

private:
    Duration timeout_;
    std::map<BrokerId, Session> sessions_;
};

}  // namespace millrace::metadata
