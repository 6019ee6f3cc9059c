#include "runtime/real/internal/socket_net.h"

#include <algorithm>
#include <utility>

#include "runtime/real/internal/connect_attempt.h"
#include "runtime/real/internal/socket_listener.h"
#include "runtime/real/internal/socket_stream.h"

namespace millrace::runtime::internal {

SocketNet::SocketNet(Reactor& reactor, Resolver& resolver, const Logger& log)
    : reactor_(reactor), resolver_(resolver), log_(log) {}

SocketNet::~SocketNet() = default;

Result<std::unique_ptr<Listener>> SocketNet::listen(const Address& at,
                                                    UniqueFunction<void(StreamPtr)> on_accept) {
    MR_ASSERT(reactor_.may_touch());
    MR_TRY(auto listener, SocketListener::open(reactor_, at, std::move(on_accept), log_));
    return std::unique_ptr<Listener>(std::move(listener));
}

void SocketNet::connect(const Address& to, Duration timeout,
                        UniqueFunction<void(Result<StreamPtr>)> done) {
    MR_ASSERT(reactor_.may_touch());
    attempts_.push_back(
        std::make_shared<ConnectAttempt>(*this, reactor_, to, timeout, std::move(done)));
    attempts_.back()->start(resolver_);
}

void SocketNet::look_up(const std::string& host,
                        UniqueFunction<void(Result<std::vector<std::string>>)> done) {
    resolver_.resolve({host, 0}, reactor_,
                      [done = std::move(done)](Result<Resolver::Addresses> found) mutable {
                          if (!found) {
                              done(found.error());
                              return;
                          }
                          std::vector<std::string> hosts;
                          for (const SocketAddress& one : *found) {
                              hosts.push_back(to_address(one).host);
                          }
                          done(std::move(hosts));
                      });
}

StreamPtr SocketNet::adopt(StreamPtr stream) {
    MR_ASSERT(reactor_.may_touch());
    // Only our own streams exist in a real node.
    static_cast<SocketStream&>(*stream).rebind(reactor_);
    return stream;
}

void SocketNet::forget(const ConnectAttempt& attempt) {
    std::erase_if(attempts_, [&](const auto& held) { return held.get() == &attempt; });
}

}  // namespace millrace::runtime::internal
