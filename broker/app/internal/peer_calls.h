// app/internal/peer_calls.h
//
// Requests of the Kafka protocol from this process to other brokers, over their inter-broker
// listener: what an admin call has to ask everybody. On the control loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "admin/doors.h"
#include "app/internal/broker_view.h"
#include "net/channel.h"
#include "runtime/node.h"

namespace millrace::app {

class PeerCalls {
public:
    PeerCalls(const BrokerView& view, runtime::Shard control, const Logger& log)
        : view_(view), control_(control), log_(log) {}

    /// `call.target` is another broker. The answer's body, without a header.
    void send(const admin::KafkaCall& call, admin::Reply<Buffer> reply);

private:
    const BrokerView& view_;
    runtime::Shard control_;
    const Logger& log_;
    std::map<BrokerId, std::unique_ptr<net::Channel>> channels_;
};

}  // namespace millrace::app
