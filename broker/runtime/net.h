// runtime/net.h
//
// Byte streams, readiness style: the loop says "readable" once, the owner reads until Code::again
// (or posts itself to go on later: it is not told again about bytes that already wait). Owned by
// one loop. An owner may destroy its stream inside any of its events. Real: non-blocking sockets
// under epoll. Simulated: byte streams with latency, cuts at random points, resets, half-open ends
// and partitions.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <sys/uio.h>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"

namespace millrace::runtime {

class File;

struct Address {
    std::string host;  ///< A name or a literal; "" for every interface when listening.
    std::uint16_t port = 0;
    friend auto operator<=>(const Address&, const Address&) = default;
    std::string to_string() const {
        return (host.find(':') == std::string::npos ? host : "[" + host + "]") + ":" +
               std::to_string(port);
    }
};

class StreamEvents {
public:
    virtual ~StreamEvents() = default;
    /// There may be bytes to read, or the end (read() then returns 0 bytes), or an error.
    virtual void on_readable() = 0;
    /// After a write that returned less than it was given: there is room again.
    virtual void on_writable() = 0;
};

class Stream {
public:
    virtual ~Stream() = default;  ///< Closes; no event follows.

    /// Whom to tell. Not owned; must outlive the stream or be replaced. Events start after this,
    /// with one on_readable if bytes wait. nullptr takes the stream out of its loop (hand-over).
    virtual void set_events(StreamEvents* events) = 0;

    /// Bytes read; 0 at the peer's orderly end; Code::again when there is nothing now.
    virtual Result<std::size_t> read(MutableBytes into) = 0;
    /// Bytes taken, possibly fewer than given (then on_writable follows); Code::again for none.
    virtual Result<std::size_t> write(std::span<const iovec> parts, bool more_follows = false) = 0;
    /// Sends a range of a file without copying; same answers as write().
    virtual Result<std::size_t> send_file(File& file, std::uint64_t offset, std::size_t length) = 0;

    /// While paused no on_readable comes: back-pressure reaches the peer through TCP.
    virtual void pause_reading(bool paused) = 0;
    virtual void close() = 0;

    virtual const Address& peer() const = 0;
    virtual const Address& local() const = 0;
    /// The name that the peer has proved to have (TLS), as rules of this end say it; empty for
    /// none. Known once the first byte was read.
    virtual const std::string& peer_name() const {
        static const std::string none;
        return none;
    }
};

class Listener {
public:
    virtual ~Listener() = default;        ///< Stops listening.
    virtual Address address() const = 0;  ///< With the real port where 0 was asked for.
    /// Stop accepting for a while (descriptor or connection limits), without closing.
    virtual void pause_accepting(bool paused) = 0;
};

using StreamPtr = std::unique_ptr<Stream>;

/// One per loop.
class Net {
public:
    virtual ~Net() = default;
    virtual Result<std::unique_ptr<Listener>> listen(const Address& at,
                                                     UniqueFunction<void(StreamPtr)> on_accept) = 0;
    /// Never completes inside the call. Name resolution does not block the loop.
    virtual void connect(const Address& to, Duration timeout,
                         UniqueFunction<void(Result<StreamPtr>)> done) = 0;
    /// The addresses of a host, as `peer()` has them; never inside the call, nor does it block.
    virtual void look_up(const std::string& host,
                         UniqueFunction<void(Result<std::vector<std::string>>)> done) = 0;
    /// Hand-over, second half: binds a stream that came from another loop of the same node to this
    /// one. It must be without events there: fresh from on_accept or connect, or
    /// set_events(nullptr).
    virtual StreamPtr adopt(StreamPtr stream) = 0;
};

}  // namespace millrace::runtime
