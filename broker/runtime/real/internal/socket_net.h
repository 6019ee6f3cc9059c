// runtime/real/internal/socket_net.h
//
// The real Net of one reactor: listening sockets and outgoing connections.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "base/log.h"
#include "runtime/net.h"
#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/resolver.h"
#include "runtime/real/internal/socket_address.h"

namespace millrace::runtime::internal {

class ConnectAttempt;

class SocketNet final : public Net {
public:
    SocketNet(Reactor& reactor, Resolver& resolver, const Logger& log);
    ~SocketNet() override;

    Result<std::unique_ptr<Listener>> listen(const Address& at,
                                             UniqueFunction<void(StreamPtr)> on_accept) override;
    void connect(const Address& to, Duration timeout,
                 UniqueFunction<void(Result<StreamPtr>)> done) override;
    void look_up(const std::string& host,
                 UniqueFunction<void(Result<std::vector<std::string>>)> done) override;
    StreamPtr adopt(StreamPtr stream) override;

    void forget(const ConnectAttempt& attempt);  ///< It has answered.
    void discard_everything() { std::exchange(attempts_, {}).clear(); }

private:
    Reactor& reactor_;
    Resolver& resolver_;
    const Logger& log_;
    std::vector<std::shared_ptr<ConnectAttempt>> attempts_;
};

}  // namespace millrace::runtime::internal
