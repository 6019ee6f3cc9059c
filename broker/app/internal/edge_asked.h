// app/internal/edge_asked.h
//
// Metrics that only the loops can say: sizes of logs, who waits, lag of groups. Asked at each
// scrape, from the scraping thread, which may wait for a loop; a loop that does not answer in time
// is left out, and what it last said stays.
#pragma once

#include <map>

#include "admin/doors.h"
#include "app/internal/broker_view.h"
#include "app/internal/lag_clock.h"
#include "metrics/metrics.h"

namespace millrace::app {

/// What is remembered from one scrape to the next, for lag in time.
using LagClocks = std::map<TopicPartition, LagClock>;

/// `admin` asks other brokers where the partitions end that are not here.
void publish_asked(metrics::Registry& registry, const BrokerView& view, admin::AdminDoors& admin,
                   LagClocks& clocks);

}  // namespace millrace::app
