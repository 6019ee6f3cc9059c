// app/internal/edge_metrics.h
//
// Metrics that are read on demand: the process, the budget, listeners, and what the metadata says
// of this broker and of the cluster. Everything else is counted where it happens.
#pragma once

#include "app/internal/broker_doors.h"
#include "config/budget.h"
#include "metrics/metrics.h"
#include "runtime/real/real_node.h"

namespace millrace::app {

void publish_budget(metrics::Registry& registry, const config::Budget& budget);

/// `doors` are asked at each scrape, from the scraping thread.
void publish_on_demand(metrics::Registry& registry, BrokerView view,
                       std::shared_ptr<BrokerDoors> doors, std::string version);

}  // namespace millrace::app
