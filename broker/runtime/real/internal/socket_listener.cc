#include "runtime/real/internal/socket_listener.h"

#include <cerrno>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

#include "runtime/real/internal/socket_options.h"
#include "runtime/real/internal/socket_stream.h"

namespace millrace::runtime::internal {

namespace {

constexpr int backlog = 1024;
constexpr int accepts_per_turn = 64;
constexpr int refusals_per_break = 64;
constexpr Duration break_length = 50ms;

/// One listening socket at `at`. "" is every interface: IPv6 with IPv4 inside where it exists.
Result<Descriptor> open_at(const SocketAddress& at, bool dual_stack) {
    Descriptor socket{::socket(at.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) {
        return system_error("socket", errno);
    }
    set_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    if (at.family() == AF_INET6) {
        set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, dual_stack ? 0 : 1);
    }
    if (::bind(socket.get(), at.get(), at.length) != 0) {
        return system_error("bind", errno);
    }
    if (::listen(socket.get(), backlog) != 0) {
        return system_error("listen", errno);
    }
    return socket;
}

Result<Descriptor> open_anywhere(std::uint16_t port) {
    const auto v6 = parse_literal({"::", port});
    if (auto socket = open_at(*v6, true); socket || socket.error().code() == Code::exists) {
        return socket;
    }
    return open_at(*parse_literal({"0.0.0.0", port}), false);  // A kernel without IPv6.
}

Result<Descriptor> open_socket(const Address& at) {
    if (at.host.empty()) {
        return open_anywhere(at.port);
    }
    // Blocks for a name: listeners open at start, where waiting is right.
    MR_TRY(const auto addresses, resolve_blocking(at));
    return open_at(addresses.front(), false);
}

Descriptor open_reserve() {
    return Descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

}  // namespace

Result<std::unique_ptr<SocketListener>> SocketListener::open(
    Reactor& reactor, const Address& at, UniqueFunction<void(StreamPtr)> on_accept,
    const Logger& log) {
    auto socket = open_socket(at);
    if (!socket) {
        return socket.error().with_context("listening on " + at.to_string());
    }
    std::unique_ptr<SocketListener> listener(
        new SocketListener(reactor, *std::move(socket), std::move(on_accept), log));
    // Level-triggered: what one turn leaves waiting is reported again in the next.
    MR_TRY_VOID(reactor.arm(listener->watch_, listener->socket_.get(), EPOLLIN));
    return listener;
}

SocketListener::SocketListener(Reactor& reactor, Descriptor socket,
                               UniqueFunction<void(StreamPtr)> on_accept, const Logger& log)
    : reactor_(reactor),
      socket_(std::move(socket)),
      reserve_(open_reserve()),
      on_accept_(std::move(on_accept)),
      log_(log),
      address_(local_address(socket_.get())),
      watch_(reactor.add(*this)) {}

SocketListener::~SocketListener() {
    reactor_.cancel(break_ends_);
    reactor_.remove(watch_, socket_.get());
}

void SocketListener::pause_accepting(bool paused) {
    paused_ = paused;
    update_watch();
}

void SocketListener::update_watch() {
    const bool should_listen = !paused_ && !break_ends_;
    if (should_listen != listening_) {
        listening_ = should_listen;
        reactor_.change(watch_, socket_.get(), should_listen ? EPOLLIN : 0U);
    }
}

void SocketListener::on_ready(std::uint32_t) {
    accept_waiting();
}

void SocketListener::accept_waiting() {
    Reactor& reactor = reactor_;
    const WatchId watch = watch_;
    for (int i = 0; i < accepts_per_turn && listening_; ++i) {
        SocketAddress peer;
        peer.length = sizeof(peer.storage);
        Descriptor accepted{
            ::accept4(socket_.get(), peer.get(), &peer.length, SOCK_NONBLOCK | SOCK_CLOEXEC)};
        if (!accepted) {
            const int error = errno;
            if (error == EAGAIN) {
                return;
            }
            if (error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM) {
                out_of_descriptors(error);
                return;
            }
            continue;  // That one connection died before we took it (accept(2)).
        }
        set_stream_options(accepted.get());
        on_accept_(std::make_unique<SocketStream>(reactor, std::move(accepted), to_address(peer)));
        if (!reactor.is_watched(watch)) {
            return;  // The owner destroyed this listener.
        }
    }
}

void SocketListener::out_of_descriptors(int error_number) {
    MR_LOG(log_, warn, "runtime.accept_exhausted", field("listener", address_.to_string()),
           field("reason", system_error("accept", error_number).message()));
    for (int i = 0; i < refusals_per_break && turn_one_away(); ++i) {
    }
    break_ends_ = reactor_.after(break_length, [this] {
        break_ends_ = TimerId{};
        update_watch();
    });
    update_watch();
}

bool SocketListener::turn_one_away() {
    reserve_.reset();
    Descriptor refused{::accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    const bool there_was_one = static_cast<bool>(refused);
    refused.reset();
    reserve_ = open_reserve();
    return there_was_one;
}

}  // namespace millrace::runtime::internal
