// metrics/internal/http_server.h
//
// Answers GET over HTTP/1.1, one request a connection, on one thread of its own that sleeps in
// poll. Small on purpose: bounded connections, bounded requests, a deadline for each, and it stops
// at once (civetweb, which prometheus-cpp's Exposer wraps, takes up to two seconds and wakes every
// two).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::metrics {

struct HttpAnswer {
    int status = 200;
    std::string type = "text/plain; charset=utf-8";
    std::string body;
};

struct HttpLimits {
    std::size_t connections = 16;
    std::size_t request_bytes = 8192;
    std::chrono::milliseconds deadline{5000};
};

class HttpServer {
public:
    /// `answer` is called on the server's thread with the path of a GET or HEAD.
    static Result<std::unique_ptr<HttpServer>> start(
        const std::string& host, std::uint16_t port, HttpLimits limits,
        std::function<HttpAnswer(std::string_view path)> answer);
    virtual ~HttpServer() = default;  ///< Stops at once; open connections are cut.
    virtual std::uint16_t port() const = 0;
};

}  // namespace millrace::metrics
