// raft/channel.h
//
// How the quorum reaches its peers: given by the application, which owns connections, TLS and
// versions. Used only on the control loop.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "model/ids.h"
#include "raft/voter_set.h"

namespace millrace::raft {

struct ChannelRequest {
    std::int16_t api_key = 0;
    std::int16_t min_version = 0;
    std::int16_t max_version = 0;
    /// The request's body (no header) in the version that the channel negotiated.
    UniqueFunction<Result<Buffer>(std::int16_t version)> encode;
    Duration timeout{0};
};

struct ChannelResponse {
    std::int16_t version = 0;
    Buffer body;  ///< Without the header.
};

class Channel {
public:
    virtual ~Channel() = default;

    /// Sends to a controller listener; `node` is no_broker where only the address is known.
    /// `done` never runs inside the call. Code::unavailable or Code::closed: refused or lost, the
    /// peer is probably gone; Code::timed_out: silent. A node's address may differ between calls:
    /// the latest one counts.
    virtual void send(BrokerId node, const Endpoint& to, ChannelRequest request,
                      UniqueFunction<void(Result<ChannelResponse>)> done) = 0;

    /// Called when an established connection to a node breaks, even with nothing in flight.
    virtual void on_disconnect(UniqueFunction<void(BrokerId node)> tell) = 0;
};

}  // namespace millrace::raft
