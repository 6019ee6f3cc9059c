#include "metrics/exposition.h"

#include <limits>
#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <sstream>

#include "metrics/internal/http_server.h"

namespace millrace::metrics {

namespace {

std::vector<prometheus::ClientMetric::Label> labels_of(const Metric& metric, const Series& series) {
    std::vector<prometheus::ClientMetric::Label> labels;
    for (std::size_t i = 0; i < metric.labels.size(); ++i) {
        labels.push_back({std::string{metric.labels[i]}, series.labels[i]});
    }
    return labels;
}

void fill_histogram(prometheus::ClientMetric::Histogram& to, const Metric& metric,
                    const Series& series) {
    std::uint64_t cumulative = 0;
    for (std::size_t i = 0; i < series.counts.size(); ++i) {
        cumulative += series.counts[i];
        const bool last = i == metric.buckets.size();
        to.bucket.push_back(
            {cumulative, last ? std::numeric_limits<double>::infinity() : metric.buckets[i]});
    }
    to.sample_count = cumulative;
    to.sample_sum = series.sum;
}

prometheus::MetricFamily converted(const Family& family) {
    const Metric& metric = *family.metric;
    prometheus::MetricFamily out;
    out.name = metric.name;
    out.help = metric.help;
    out.type = metric.kind == Kind::counter ? prometheus::MetricType::Counter
               : metric.kind == Kind::gauge ? prometheus::MetricType::Gauge
                                            : prometheus::MetricType::Histogram;
    for (const Series& series : family.series) {
        prometheus::ClientMetric one;
        one.label = labels_of(metric, series);
        switch (metric.kind) {
            case Kind::counter:
                one.counter.value = series.value;
                break;
            case Kind::gauge:
                one.gauge.value = series.value;
                break;
            case Kind::histogram:
                fill_histogram(one.histogram, metric, series);
                break;
        }
        out.metric.push_back(std::move(one));
    }
    return out;
}

/// All of a broker's metrics as prometheus-cpp sees them: one collectable, no registry of its own.
class CollectableRegistry final : public prometheus::Collectable {
public:
    explicit CollectableRegistry(Registry& registry) : registry_(registry) {}
    std::vector<prometheus::MetricFamily> Collect() const override {
        std::vector<prometheus::MetricFamily> families;
        for (const Family& family : registry_.collect()) {
            families.push_back(converted(family));
        }
        return families;
    }

private:
    Registry& registry_;
};

class HttpExposition final : public Exposition {
public:
    explicit HttpExposition(std::unique_ptr<HttpServer> server) : server_(std::move(server)) {}
    std::uint16_t port() const override { return server_->port(); }

private:
    std::unique_ptr<HttpServer> server_;
};

HttpAnswer answer_to(std::string_view path, Registry& registry,
                     const std::function<Readiness()>& readiness) {
    if (path == "/metrics") {
        return {200, "text/plain; version=0.0.4; charset=utf-8", to_prometheus_text(registry)};
    }
    if (path == "/healthz") {
        return {200, "text/plain", "ok\n"};
    }
    if (path == "/readyz") {
        const Readiness now = readiness();
        return now.ready ? HttpAnswer{200, "text/plain", "ready\n"}
                         : HttpAnswer{503, "text/plain", now.why + "\n"};
    }
    return {404, "text/plain", "there is /metrics, /healthz and /readyz\n"};
}

}  // namespace

Result<std::unique_ptr<Exposition>> Exposition::start(ExpositionOptions options,
                                                      std::shared_ptr<Registry> registry,
                                                      std::function<Readiness()> readiness) {
    auto answer = [registry = std::move(registry), readiness = std::move(readiness)](
                      std::string_view path) { return answer_to(path, *registry, readiness); };
    MR_TRY(auto server,
           HttpServer::start(options.host, options.port, HttpLimits{}, std::move(answer)));
    return std::unique_ptr<Exposition>{std::make_unique<HttpExposition>(std::move(server))};
}

std::string to_prometheus_text(Registry& registry) {
    std::ostringstream text;
    prometheus::TextSerializer{}.Serialize(text, CollectableRegistry{registry}.Collect());
    return std::move(text).str();
}

}  // namespace millrace::metrics
