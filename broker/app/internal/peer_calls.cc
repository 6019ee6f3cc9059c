#include "app/internal/peer_calls.h"

#include "app/internal/in_process_call.h"
#include "protocol/headers.h"

namespace millrace::app {
namespace {

constexpr Duration peer_timeout = 10s;

}  // namespace

void PeerCalls::send(const admin::KafkaCall& call, admin::Reply<Buffer> reply) {
    const metadata::Broker* peer = view_.doors->image->current()->cluster.broker(call.target);
    const metadata::Endpoint* endpoint =
        peer != nullptr ? peer->endpoint(view_.inter_broker_listener) : nullptr;
    if (endpoint == nullptr) {
        reply(Error::make(Code::unavailable, "broker {} has no listener {}", call.target,
                          view_.inter_broker_listener));
        return;
    }
    const runtime::Address address{endpoint->host, endpoint->port};
    std::unique_ptr<net::Channel>& channel = channels_[call.target];
    if (channel == nullptr || channel->address() != address) {
        net::ChannelOptions options;
        options.address = address;
        options.wrap = view_.to_brokers;
        channel = std::make_unique<net::Channel>(std::move(options), control_, log_);
    }
    const std::int16_t header = protocol::response_header_version(call.api_key, call.api_version);
    channel->call(framed(call), peer_timeout,
                  [header, reply = std::move(reply)](Result<net::ResponseFrame> frame) mutable {
                      reply(frame ? body_of(*frame->bytes, header) : Result<Buffer>(frame.error()));
                  });
}

}  // namespace millrace::app
