// app/internal/broker_watch.h
//
// The active controller's eye on the brokers: a connection to each of them, whose loss is a hint,
// like missed heartbeats. Hints start probes (suspicion.h); who is found gone is fenced long before
// its session would end. On the control loop.
#pragma once

#include <map>
#include <memory>

#include "metadata/controller.h"
#include "net/server.h"
#include "runtime/node.h"

namespace millrace::app {

class BrokerWatch {
public:
    struct Options {
        BrokerId self;
        std::string listener;  ///< Where brokers talk to each other.
        Duration heartbeat_interval = 500ms;
        net::StreamWrapper wrap;
    };

    BrokerWatch(Options options, runtime::Shard control, metadata::Controller& controller,
                const Logger& log);
    ~BrokerWatch();

    /// Whenever leadership or the image may have changed.
    void look(const metadata::ImagePtr& image);

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::app
