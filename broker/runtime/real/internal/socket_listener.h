// runtime/real/internal/socket_listener.h
//
// A listening socket. When descriptors run out it takes a break and, with a descriptor kept in
// reserve, turns the waiting clients away: a refused client retries, a hanging one does not know.
#pragma once

#include "base/log.h"
#include "runtime/net.h"
#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/socket_address.h"
#include "runtime/real/internal/system.h"

namespace millrace::runtime::internal {

class SocketListener final : public Listener, private Watcher {
public:
    static Result<std::unique_ptr<SocketListener>> open(Reactor& reactor, const Address& at,
                                                        UniqueFunction<void(StreamPtr)> on_accept,
                                                        const Logger& log);
    ~SocketListener() override;

    Address address() const override { return address_; }
    void pause_accepting(bool paused) override;

private:
    SocketListener(Reactor& reactor, Descriptor socket, UniqueFunction<void(StreamPtr)> on_accept,
                   const Logger& log);
    void on_ready(std::uint32_t events) override;
    std::string about() const override { return "the listener at " + address_.to_string(); }
    void accept_waiting();
    void out_of_descriptors(int error_number);
    bool turn_one_away();  ///< False: nobody waits.
    void update_watch();

    Reactor& reactor_;
    Descriptor socket_;
    Descriptor reserve_;
    UniqueFunction<void(StreamPtr)> on_accept_;
    const Logger& log_;
    Address address_;
    WatchId watch_;
    TimerId break_ends_;
    bool paused_ = false;
    bool listening_ = true;  ///< Armed for EPOLLIN.
};

}  // namespace millrace::runtime::internal
