#include "metrics/docs.h"

#include <algorithm>
#include <fmt/core.h>
#include <vector>

#include "metrics/metrics.h"

namespace millrace::metrics {

namespace {

std::string labels_text(const Metric& metric) {
    std::string text;
    for (const std::string_view label : metric.labels) {
        text += text.empty() ? "" : ", ";
        text += fmt::format("`{}`", label);
    }
    return text;
}

std::string_view kind_text(Kind kind) {
    switch (kind) {
        case Kind::counter:
            return "counter";
        case Kind::gauge:
            return "gauge";
        case Kind::histogram:
            return "histogram";
    }
    return "";
}

}  // namespace

std::string metrics_page() {
    std::string page =
        "# Metrics\n\n"
        "Printed by `metrics_docs` from `broker/metrics/metrics.def`; a test holds this page "
        "against "
        "it.\n\n"
        "`GET /metrics` at `millrace.metrics.listener` answers in Prometheus' text format; "
        "`/healthz` "
        "says that the process turns, `/readyz` that it serves clients. A metric that nothing "
        "feeds "
        "is absent, not zero. The last column is the name that Kafka's operators know, as JMX bean "
        "and attribute.\n\n"
        "| name | kind | labels | what it says | in Kafka |\n"
        "| --- | --- | --- | --- | --- |\n";
    std::vector<const Metric*> metrics;
    for (const Metric& metric : all_metrics()) {
        metrics.push_back(&metric);
    }
    std::sort(metrics.begin(), metrics.end(),
              [](const Metric* a, const Metric* b) { return a->name < b->name; });
    for (const Metric* metric : metrics) {
        page += fmt::format("| `{}` | {} | {} | {} | {} |\n", metric->name, kind_text(metric->kind),
                            labels_text(*metric), metric->help, metric->known_as);
    }
    return page;
}

}  // namespace millrace::metrics
