// net/server.h
//
// A listener with its connections on one shard or spread over several. Made and destroyed on the
// shard that accepts; each connection's callbacks come on the shard it was handed to.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"
#include "net/connection_gate.h"
#include "net/frame.h"
#include "net/ledger.h"
#include "runtime/net.h"
#include "runtime/node.h"

namespace millrace::net {

struct ServerLimits {
    std::int64_t max_request_bytes = 100LL << 20;
    std::int64_t max_request_bytes_before_auth = 64LL << 10;
    std::int32_t max_in_flight = 64;               ///< Requests open per connection.
    std::int64_t max_response_bytes = 64LL << 20;  ///< Queued per connection before reading pauses.
    Duration first_request_deadline = 30s;
    Duration request_deadline = 60s;   ///< Between two bytes of a frame.
    Duration response_deadline = 60s;  ///< Without progress of a pending answer.
    Duration idle_deadline = 10min;
};

/// What a request handler may know of the connection it came on.
struct ConnectionInfo {
    std::uint64_t id = 0;   ///< Unique in the process.
    std::size_t shard = 0;  ///< Index of the shard whose loop owns it.
    std::string listener;   ///< "PLAINTEXT", "CONTROLLER", ...
    runtime::Address peer;
    runtime::Address local;
    Principal principal;  ///< Whom the transport has proved the peer to be, else ANONYMOUS.
};

/// State that handlers keep per connection (authentication, client id, fetch hints). Destroyed on
/// the connection's shard when it ends, which is how a handler hears of it.
struct Session {
    virtual ~Session() = default;
};

/// Where frames go. One object serves every connection of a listener; called on the connection's
/// shard. `session` is this connection's slot, empty at first.
class Dispatch {
public:
    virtual ~Dispatch() = default;
    virtual void on_frame(const ConnectionInfo& connection, std::unique_ptr<Session>& session,
                          Frame frame, Reply reply) = 0;
    /// An answer has come home and waits for its turn to be sent. On the connection's shard.
    virtual void on_answer(const ConnectionInfo&, const Response&) {}
};

struct ServerCounters {
    std::atomic<std::int64_t> open_connections{0};
    std::atomic<std::int64_t> accepted{0};
    std::atomic<std::int64_t> refused{0};
    std::atomic<std::int64_t> closed_for_cause{0};
    std::atomic<std::int64_t> bytes_in{0};
    std::atomic<std::int64_t> bytes_out{0};
};

/// Puts TLS around a stream. `name` is whom a dialed peer must prove to be, empty for an accepted
/// one. A handshake that fails ends the stream with Code::permission.
using StreamWrapper =
    std::function<runtime::StreamPtr(runtime::StreamPtr, runtime::Shard, const std::string& name)>;

class Server {
public:
    struct Options {
        std::string listener;
        runtime::Address address;
        ServerLimits limits;
        StreamWrapper wrap;  ///< Empty for plaintext.
        /// Bound, so that a conflict shows at once, but nobody is let in before resume().
        bool start_paused = false;
        /// How long a new connection from that address waits before it is turned away; zero: it is
        /// let in. From any shard's loop. Empty: everybody is.
        std::function<Duration(const std::string& address, Instant now)> admit;
        /// How many may be in at a time, counted together with others' that share it. Empty: any.
        std::shared_ptr<ConnectionGate> gate;
        /// Counts a new connection, and tells how long it waits before it is let in; who comes
        /// meanwhile waits in the kernel's queue. On the accepting shard. Empty: nobody waits.
        std::function<Duration(Instant now)> pace;
    };

    /// `shards[0]` accepts; connections go round over all of them. All arguments outlive the
    /// server.
    static Result<std::unique_ptr<Server>> start(Options options,
                                                 std::vector<runtime::Shard> shards,
                                                 Dispatch& dispatch, Ledger& ledger,
                                                 const Logger& log);
    ~Server();

    void resume();
    runtime::Address address() const;
    const ServerCounters& counters() const;

    /// No new connections, no new requests; open requests are answered first. `done` runs on the
    /// accepting shard when all have gone or the deadline has passed.
    void drain(Duration deadline, runtime::Task done);

    class Impl;

private:
    explicit Server(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;
};

}  // namespace millrace::net
