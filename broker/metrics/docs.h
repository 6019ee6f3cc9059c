// metrics/docs.h
#pragma once

#include <string>

namespace millrace::metrics {

/// docs/metrics.md, from the table.
std::string metrics_page();

}  // namespace millrace::metrics
