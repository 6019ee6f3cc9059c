// app/internal/group_metrics.h
//
// What the coordinator knows of its groups, published every few seconds: their lag, how many there
// are, what became of them. The ends of what they read are asked of the shards that hold a replica.
// Destroy it on any thread; a round that is under way ends unseen.
#pragma once

#include <memory>

#include "handlers/doors.h"
#include "metrics/metrics.h"

namespace millrace::app {

class GroupMetrics {
public:
    /// `doors` outlives the loops.
    GroupMetrics(const handlers::Doors& doors, std::shared_ptr<metrics::Registry> registry);
    ~GroupMetrics();
    GroupMetrics(const GroupMetrics&) = delete;
    GroupMetrics& operator=(const GroupMetrics&) = delete;

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
