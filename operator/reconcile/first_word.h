// operator/reconcile/first_word.h
//
// For how long an operator that has just started lets stand what its predecessor said of somebody
// whom it hasn't heard yet: silence tells nothing before there was time to speak. Any thread.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>

#include "base/time.h"

namespace millrace::reconcile {

class FirstWord {
public:
    /// Brokers that run have answered within this time.
    static constexpr Duration within = 5s;

    /// What is left of it, counted from when this process asked about `who` first.
    Duration patience_left(const std::string& who, Instant now) {
        const std::lock_guard lock(mutex_);
        const Instant since = since_.emplace(who, now).first->second;
        return std::max<Duration>(within - (now - since), Duration{0});
    }
    void forget(const std::string& who) {
        const std::lock_guard lock(mutex_);
        since_.erase(who);
    }

private:
    std::mutex mutex_;
    std::map<std::string, Instant> since_;
};

}  // namespace millrace::reconcile
