// app/internal/broker_peers.h
//
// Where other brokers are, for the fetchers: the image's endpoints of the inter-broker listener;
// and whom leaders may propose.
#pragma once

#include <atomic>
#include <string>

#include "metadata/publisher.h"
#include "replication/peers.h"

namespace millrace::app {

class BrokerPeers final : public replication::Peers {
public:
    BrokerPeers(std::string listener, const metadata::ImageHandle& image, net::StreamWrapper wrap)
        : listener_(std::move(listener)), image_(image), wrap_(std::move(wrap)) {}

    std::optional<runtime::Address> address_of(BrokerId broker) const override {
        const metadata::ImagePtr image = image_.current();
        const metadata::Broker* found = image->cluster.broker(broker);
        const metadata::Endpoint* endpoint =
            found == nullptr ? nullptr : found->endpoint(listener_);
        if (endpoint == nullptr) {
            return std::nullopt;
        }
        return runtime::Address{endpoint->host, endpoint->port};
    }
    BrokerEpoch own_epoch() const override {
        return BrokerEpoch{epoch_.load(std::memory_order_relaxed)};
    }
    bool may_join(BrokerId broker, BrokerEpoch epoch) const override {
        const metadata::ImagePtr image = image_.current();
        const metadata::Broker* found = image->cluster.broker(broker);
        return found != nullptr && found->is_active() &&
               (epoch == BrokerEpoch{-1} || epoch == found->epoch);
    }
    net::StreamWrapper wrapper() const override { return wrap_; }
    void set_own_epoch(BrokerEpoch epoch) { epoch_.store(epoch.value, std::memory_order_relaxed); }

private:
    const std::string listener_;
    const metadata::ImageHandle& image_;
    const net::StreamWrapper wrap_;
    std::atomic<std::int64_t> epoch_{-1};
};

}  // namespace millrace::app
