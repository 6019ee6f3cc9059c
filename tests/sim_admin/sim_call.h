// How a call of SimCluster runs: under the lock, after injected failures; listeners hear afterwards
// if anything changed.
#pragma once

#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_admin {

class SimCall {
public:
    SimCall(SimCluster& cluster, const char* name)
        : cluster_(cluster), lock_(cluster.mutex_), before_(cluster.offset_) {
        failure_ = cluster.injected(name);
    }
    ~SimCall() {
        const bool changed = cluster_.offset_ != before_;
        lock_.unlock();
        if (changed) {
            cluster_.tell();
        }
    }
    SimCall(const SimCall&) = delete;
    SimCall& operator=(const SimCall&) = delete;

    const std::optional<Error>& failure() const { return failure_; }

private:
    SimCluster& cluster_;
    std::unique_lock<std::mutex> lock_;
    std::int64_t before_;
    std::optional<Error> failure_;
};

/// First line of every call.
#define MR_SIM_ENTER(name)                \
    const SimCall sim_call{*this, #name}; \
    if (sim_call.failure().has_value()) { \
        return *sim_call.failure();       \
    }

}  // namespace millrace::sim_admin
