// app/internal/unheard_failures.h
//
// Log directories that have failed and of which the controller does not know: it goes on counting
// on their replicas. A broker that can't tell it in time (log.dir.failure.timeout.ms) stops itself,
// for a broker that is gone is noticed.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "base/time.h"
#include "base/uuid.h"

namespace millrace::app {

class UnheardFailures {
public:
    explicit UnheardFailures(Duration patience) : patience_(patience) {}

    /// What has failed by now; true if the controller has not heard of some of it for too long.
    bool is_overdue(const std::vector<Uuid>& failed, Instant now) {
        bool is_heard = true;
        for (const Uuid& one : failed) {
            is_heard = is_heard && heard_.contains(one);
        }
        if (is_heard) {
            since_.reset();
            return false;
        }
        if (!since_) {
            since_ = now;
        }
        return now - *since_ >= patience_;
    }
    void heard(const std::vector<Uuid>& told) { heard_.insert(told.begin(), told.end()); }

private:
    Duration patience_;
    std::set<Uuid> heard_;
    std::optional<Instant> since_;
};

}  // namespace millrace::app
