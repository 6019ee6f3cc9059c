// metrics/exposition.h
//
// GET /metrics (Prometheus text), /healthz (the process turns) and /readyz (it serves clients) over
// HTTP. Owns one thread; the rest of the broker is asked only through the registry's cells and the
// readiness function, which must be callable from any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "metrics/metrics.h"

namespace millrace::metrics {

struct Readiness {
    bool ready = false;
    std::string why;  ///< What it waits for, while not ready.
};

struct ExpositionOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: any free one.
};

class Exposition {
public:
    /// Listens at once; stops when destroyed.
    static Result<std::unique_ptr<Exposition>> start(ExpositionOptions options,
                                                     std::shared_ptr<Registry> registry,
                                                     std::function<Readiness()> readiness);
    virtual ~Exposition() = default;
    virtual std::uint16_t port() const = 0;
};

/// What /metrics answers.
std::string to_prometheus_text(Registry& registry);

}  // namespace millrace::metrics
