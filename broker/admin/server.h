// admin/server.h
//
// The gRPC endpoint of millrace.admin.v1: identity of the caller, access rules, deadlines, limits,
// preconditions and repeated calls are dealt with here, once for all calls; what is left goes
// through AdminDoors. Owns gRPC's threads. No gRPC type shows.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "admin/doors.h"
#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "metrics/metrics.h"

namespace millrace::admin {

struct TlsFiles {
    std::string certificate;  ///< PEM: the chain.
    std::string key;          ///< PEM.
    std::string client_ca;    ///< PEM: who signs the certificates that callers must show.
    bool given() const { return !certificate.empty() || !key.empty() || !client_ca.empty(); }
};

struct ServerOptions {
    std::string host = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0: any free one.
    TlsFiles tls;
    bool reflection = false;
    std::int32_t max_message_bytes = 4 << 20;
    std::int32_t max_streams = 64;  ///< Calls open on one connection, and long-lived ones in all.
    std::int64_t memory_bytes = 16 << 20;
    int threads = 2;
    Duration default_deadline = 30s;  ///< For callers that set none, and the longest for the rest.
    double changes_per_second = 50;   ///< Calls that change something, over all callers.
};

class Server {
public:
    /// Listens at once, not serving until set_serving(). Refuses an address that others can reach
    /// without all three TLS files.
    static Result<std::unique_ptr<Server>> start(ServerOptions options,
                                                 std::shared_ptr<AdminDoors> doors, Logger log,
                                                 std::shared_ptr<metrics::Registry> registry);
    virtual ~Server() = default;  ///< stop() without grace.

    virtual std::uint16_t port() const = 0;
    /// What gRPC's own health service says; Identity is answered in any case.
    virtual void set_serving(bool serving) = 0;
    /// Ends streams now, lets calls finish for `grace`, then cuts them. Returns when all is quiet.
    virtual void stop(Duration grace) = 0;
};

}  // namespace millrace::admin
