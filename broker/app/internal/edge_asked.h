// app/internal/edge_asked.h
//
// Metrics that only the loops can say: sizes of logs, lag of groups. Asked at each scrape, from the
// scraping thread, which may wait for a loop; a loop that does not answer in time is left out, and
// what it last said stays.
#pragma once

#include "app/internal/broker_view.h"
#include "metrics/metrics.h"

namespace millrace::app {

void publish_asked(metrics::Registry& registry, const BrokerView& view);

}  // namespace millrace::app
