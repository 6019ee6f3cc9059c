// app/internal/edge.h
//
// What a process shows beside its Kafka listeners: /metrics and readiness over HTTP, the admin
// endpoint over gRPC. Made before the loops start; stopped after them and before the broker goes.
#pragma once

#include <memory>
#include <string>

#include "app/internal/broker_view.h"
#include "base/result.h"
#include "config/budget.h"
#include "metrics/metrics.h"
#include "runtime/node.h"

namespace millrace::app {

class Edge {
public:
    struct Options {
        const config::BrokerConfig* config = nullptr;  ///< Only during start().
        config::Budget budget;
        std::string version;
        std::shared_ptr<metrics::Registry> registry;
    };

    /// An address that was given and can't be had is an error. Of a default one only the log
    /// speaks: a second broker on the same machine must start with the same defaults.
    static Result<std::unique_ptr<Edge>> start(Options options, BrokerView view,
                                               runtime::Node& node);
    ~Edge();

    /// From now on not ready, whatever the broker says: it is going to stop.
    void set_draining();
    /// Port of /metrics or of the admin endpoint, 0 where it is off; for tests with port 0.
    std::uint16_t metrics_port() const;
    std::uint16_t admin_port() const;

private:
    struct Inside;
    explicit Edge(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace millrace::app
