// runtime/real/internal/connect_attempt.h
//
// One connect(): resolve, try the addresses one after another within the deadline, answer once.
#pragma once

#include <memory>
#include <vector>

#include "runtime/net.h"
#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/resolver.h"
#include "runtime/real/internal/socket_address.h"

namespace millrace::runtime::internal {

class SocketNet;

class ConnectAttempt final : public std::enable_shared_from_this<ConnectAttempt>, private Watcher {
public:
    ConnectAttempt(SocketNet& net, Reactor& reactor, Address to, Duration timeout,
                   UniqueFunction<void(Result<StreamPtr>)> done);
    ~ConnectAttempt();

    void start(Resolver& resolver);

private:
    void on_ready(std::uint32_t events) override;
    std::string about() const override { return "a connect to " + to_.to_string(); }
    void resolved(Result<std::vector<SocketAddress>> found);
    void try_next();
    Result<void> begin(const SocketAddress& address);
    void abandon();
    void fail(Error error);
    void finish(Result<StreamPtr> outcome);

    SocketNet& net_;
    Reactor& reactor_;
    const Address to_;
    Instant deadline_;
    UniqueFunction<void(Result<StreamPtr>)> done_;
    std::vector<SocketAddress> addresses_;
    std::size_t next_ = 0;
    Error last_error_;
    Descriptor socket_;
    WatchId watch_;
    TimerId timer_;
};

}  // namespace millrace::runtime::internal
