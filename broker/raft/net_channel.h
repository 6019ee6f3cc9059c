// raft/net_channel.h
//
// The quorum's Channel over net/: a connection per peer for its long-polling fetches and one for
// everything else, so that a vote never waits behind a fetch. Versions are agreed on each new
// connection by ApiVersions. On the control loop.
#pragma once

#include <memory>
#include <string>

#include "base/log.h"
#include "net/server.h"
#include "raft/channel.h"
#include "runtime/node.h"

namespace millrace::raft {

struct NetChannelOptions {
    std::string client_id;    ///< "raft-client-1": what a peer's log calls us.
    net::StreamWrapper wrap;  ///< TLS and SASL on the controller listener; empty for plaintext.
    Duration connect_timeout = std::chrono::seconds(1);
};

std::unique_ptr<Channel> make_net_channel(NetChannelOptions options, runtime::Shard shard,
                                          const Logger& log);

}  // namespace millrace::raft
