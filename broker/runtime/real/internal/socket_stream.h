// runtime/real/internal/socket_stream.h
//
// A TCP connection on a reactor. Edge-triggered and registered once for both directions: an idle
// connection costs no further epoll_ctl, and a read that came back short, or a write that did,
// knows without a system call that there is no more until the next edge.
#pragma once

#include <optional>

#include "runtime/net.h"
#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/system.h"

namespace millrace::runtime::internal {

class SocketStream final : public Stream, private Watcher {
public:
    /// `socket` is connected and non-blocking. Registered with the reactor by set_events().
    SocketStream(Reactor& reactor, Descriptor socket, Address peer);
    ~SocketStream() override;

    void set_events(StreamEvents* events) override;
    Result<std::size_t> read(MutableBytes into) override;
    Result<std::size_t> write(std::span<const iovec> parts, bool more_follows) override;
    Result<std::size_t> send_file(File& file, std::uint64_t offset, std::size_t length) override;
    void pause_reading(bool paused) override;
    void close() override;
    const Address& peer() const override { return peer_; }
    const Address& local() const override;

    /// Moves a stream without events to another loop.
    void rebind(Reactor& reactor);

private:
    void on_ready(std::uint32_t events) override;
    std::string about() const override { return "a stream with " + peer_.to_string(); }
    void register_or_tell();
    void unregister();

    Reactor* reactor_;
    Descriptor socket_;
    StreamEvents* events_ = nullptr;
    WatchId watch_;
    bool drained_ = false;       ///< Nothing to read until the next edge.
    bool full_ = false;          ///< No room until the next edge; on_writable is owed.
    bool hang_up_seen_ = false;  ///< The end or an error may follow the bytes without an edge.
    bool paused_ = false;
    bool deaf_ = false;  ///< Paused, and EPOLLIN was taken out of the set.
    bool watch_failed_ = false;
    Address peer_;
    mutable std::optional<Address> local_;
};

}  // namespace millrace::runtime::internal
