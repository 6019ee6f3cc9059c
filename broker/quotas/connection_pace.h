// quotas/connection_pace.h
//
// How many connections a second a broker takes in, in all and on one listener (KIP-612). Nobody is
// turned away for it: who comes too soon, and whoever comes after, waits at the door. Any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "quotas/client_quotas.h"

namespace millrace::quotas {

struct ConnectionRates {
    std::optional<double> in_all;  ///< None: any.
    /// Beside `in_all`, where a listener has one.
    std::map<std::string, double, std::less<>> of_listener;
    /// Whose connections don't count in all: brokers must reach each other through any crowd.
    std::string spared_listener;
};

class ConnectionPace {
public:
    explicit ConnectionPace(Window window) : window_(window) {}

    /// For who comes from now on.
    void set(ConnectionRates rates);
    /// Counts a connection, and tells how long it waits: never longer than a window's length, so
    /// that somebody comes in even where the rate is 0.
    Duration connected(const std::string& listener, Instant now);

private:
    const Window window_;
    std::atomic<bool> any_{false};
    std::mutex mutex_;
    ConnectionRates rates_;
    std::unique_ptr<Meter> in_all_;
    std::map<std::string, std::unique_ptr<Meter>> of_listener_;
};

}  // namespace millrace::quotas
