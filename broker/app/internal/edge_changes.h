// app/internal/edge_changes.h
//
// Metrics of what happens to the cluster, counted as the metadata tells of it: elections by the
// active controller, in-sync sets by the leaders.
#pragma once

#include <memory>

#include "app/internal/broker_view.h"
#include "metrics/metrics.h"

namespace millrace::app {

/// Before the loops start; counts on the control loop.
void count_on_change(const std::shared_ptr<metrics::Registry>& registry, const BrokerView& view);

}  // namespace millrace::app
