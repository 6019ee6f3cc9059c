// operator/app/metrics.h
//
// What the operator shows over HTTP: /metrics for Prometheus, /healthz (it hears from the API
// server), /readyz (it has seen everything once). Counting takes a lock; it happens a few times a
// round. Any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/result.h"
#include "operator/reconcile/parts.h"

namespace millrace::op {

enum class MetricId {
#define MR_OPERATOR_METRIC(id, ...) id,
#include "operator/app/metrics.def"
#undef MR_OPERATOR_METRIC
};

class Metrics final : public reconcile::Meter {
public:
    using Labels = std::vector<std::pair<std::string_view, std::string>>;

    void add(MetricId id, const Labels& labels, double value);
    /// Replaces every series of a gauge.
    void set(MetricId id, std::vector<std::pair<Labels, double>> series);

    void wrote(const kube::Kind& kind, std::string_view verb, bool fine) override;
    void asked_brokers(std::string_view call, bool fine) override;

    std::string to_text() const;

private:
    mutable std::mutex mutex_;
    std::map<MetricId, std::map<std::string, double>> series_;  ///< By labels, as printed.
};

struct Shown {
    std::function<std::string()> metrics;
    std::function<bool()> healthy;
    std::function<bool()> ready;
};

class HealthDoor {
public:
    /// `address` is "host:port".
    static Result<std::unique_ptr<HealthDoor>> open(const std::string& address, Shown shown);
    virtual ~HealthDoor() = default;
    /// Nothing of what is shown is looked at from now on.
    virtual void shut() = 0;
};

}  // namespace millrace::op
