// replication/peers.h
//
// What a shard has to know of other brokers, for its fetchers and leaders; app knows from the
// metadata.
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
    /// Whether the controller would have this life of it in an ISR, as far as we know: it is
    /// neither fenced nor leaving, and no other life is registered. From any thread.
    virtual bool may_join(BrokerId broker, BrokerEpoch epoch) const = 0;
    /// TLS towards other brokers; empty for plaintext.
    virtual net::StreamWrapper wrapper() const = 0;
};

}  // namespace millrace::replication
