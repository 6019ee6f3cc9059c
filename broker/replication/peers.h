// replication/peers.h
//
// How a shard's fetchers reach the leaders they follow; app knows from the metadata.
#pragma once

#include <optional>

#include "model/ids.h"
#include "net/server.h"
#include "runtime/net.h"

namespace millrace::replication {

class Peers {
public:
    virtual ~Peers() = default;
    /// Where brokers talk to each other there; none while it is not known. From any thread.
    virtual std::optional<runtime::Address> address_of(BrokerId broker) const = 0;
    /// This broker's own epoch, for the leader to compare (KIP-903). From any thread.
    virtual BrokerEpoch own_epoch() const = 0;
    /// TLS towards other brokers; empty for plaintext.
    virtual net::StreamWrapper wrapper() const = 0;
};

}  // namespace millrace::replication
