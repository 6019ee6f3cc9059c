// operator/local/internal/http_door.h
//
// HTTPS on loopback through cpprestsdk, which stays inside http_door.cc. The handler runs on one of
// cpprest's threads and must not block; streams may be written from any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "operator/local/internal/request.h"

namespace millrace::local {

/// A chunked body that goes on until someone ends it.
class HttpStream {
public:
    virtual ~HttpStream() = default;
    /// False once the client is gone or is too slow to be kept (it has been cut off then).
    virtual bool write(std::string_view text) = 0;
    virtual void end() = 0;
    virtual bool open() const = 0;
};

struct HttpAnswer {
    Response response;
    /// If set: the body is a stream, handed over once the head is under way.
    std::function<void(std::shared_ptr<HttpStream>)> streams;
};

class HttpDoor {
public:
    using Handler = std::function<HttpAnswer(const Request&)>;

    static Result<std::unique_ptr<HttpDoor>> open(std::uint16_t port,
                                                  const std::filesystem::path& certificate,
                                                  const std::filesystem::path& key,
                                                  Handler handler);
    virtual ~HttpDoor() = default;
    /// End the streams first: it waits for every answer. cpprest's close is not to be relied on
    /// while connections come and go: it may wait for ever or crash. A process that ends leaves the
    /// door to the kernel.
    virtual void close() = 0;
};

}  // namespace millrace::local
