// net/channel.h
//
// An outgoing connection that pairs requests with responses, for one shard. It connects when first
// used and again after a loss (with back-off); every call ends exactly once: with the response, or
// with Code::timed_out, closed or unavailable. Retrying is the caller's decision: a lost call may
// have taken effect.
#pragma once

#include <deque>
#include <memory>

#include "base/log.h"
#include "base/random.h"
#include "base/raw_buffer.h"
#include "net/server.h"
#include "runtime/node.h"

namespace millrace::net {

struct ChannelOptions {
    runtime::Address address;
    std::string server_name;  ///< For TLS; the address's host where empty.
    Duration connect_timeout = 2s;
    Duration backoff_first = 20ms;
    Duration backoff_most = 1s;
    std::int64_t max_response_bytes = 128LL << 20;
    /// An answer that keeps coming in is not late, however long it takes: for large ones over a
    /// slow wire, which would else be asked for again and again. A call's timeout bounds the
    /// silence.
    bool waits_while_it_comes = false;
    StreamWrapper wrap;  ///< Empty for plaintext.
};

/// A whole response without its length: header and body.
struct ResponseFrame {
    std::shared_ptr<const RawBuffer> bytes;
};

class Channel {
public:
    using Done = UniqueFunction<void(Result<ResponseFrame>)>;

    Channel(ChannelOptions options, runtime::Shard shard, const Logger& log);
    ~Channel();  ///< Open calls end with Code::cancelled.

    /// `request` is header and body; its correlation id (bytes 4 to 8) is set here. `done` never
    /// runs inside the call.
    void call(Buffer request, Duration timeout, Done done);

    /// A request with no answer (Produce with acks=0).
    void send(Buffer request);

    /// Hears at once when an established connection is lost: a hint, not a verdict.
    void on_lost(UniqueFunction<void(const Error&)> hint);

    /// Ends the connection and fails what is open, so that the next call dials afresh.
    void reset();

    const runtime::Address& address() const;
    bool connected() const;

    class Impl;

private:
    std::shared_ptr<Impl> impl_;
};

}  // namespace millrace::net
