// app/internal/mirror_metrics.h
#pragma once

#include "metrics/metrics.h"
#include "mirror/links.h"

namespace millrace::app {

/// What this broker knows of its links, at each scrape.
void publish_mirrors(metrics::Registry& registry, const mirror::Links& links);

}  // namespace millrace::app
