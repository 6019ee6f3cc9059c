#include <array>

#include "metrics/metrics.h"

namespace millrace::metrics {

namespace {

template <typename... Names>
constexpr std::array<std::string_view, sizeof...(Names)> labels(Names... names) {
    return {names...};
}

/// From a hundred microseconds, a page-cache answer, to ten seconds, where clients give up.
constexpr std::array latency_buckets = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                        0.05,   0.1,     0.25,   0.5,   1.0,    2.5,   5.0,  10.0};

// Each row's labels need a place to live in, since the table only points at them.
#define MR_COUNTER(id, name, labels_, ...) constexpr auto labels_of_##id = labels_;
#define MR_GAUGE(id, name, labels_, ...) constexpr auto labels_of_##id = labels_;
#define MR_HISTOGRAM(id, name, labels_, ...) constexpr auto labels_of_##id = labels_;
#include "metrics/metrics.def"
#undef MR_COUNTER
#undef MR_GAUGE
#undef MR_HISTOGRAM

#define MR_COUNTER(id, name, labels_, known_as, help) \
    {Kind::counter, name, labels_of_##id, {}, known_as, help},
#define MR_GAUGE(id, name, labels_, known_as, help) \
    {Kind::gauge, name, labels_of_##id, {}, known_as, help},
#define MR_HISTOGRAM(id, name, labels_, buckets, known_as, help) \
    {Kind::histogram, name, labels_of_##id, buckets, known_as, help},
constexpr Metric table[] = {
#include "metrics/metrics.def"
};
#undef MR_COUNTER
#undef MR_GAUGE
#undef MR_HISTOGRAM

}  // namespace

std::span<const Metric> all_metrics() {
    return table;
}

}  // namespace millrace::metrics
