#include "runtime/real/internal/connect_attempt.h"

#include <algorithm>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <utility>

#include "runtime/real/internal/socket_net.h"
#include "runtime/real/internal/socket_options.h"
#include "runtime/real/internal/socket_stream.h"

namespace millrace::runtime::internal {

ConnectAttempt::ConnectAttempt(SocketNet& net, Reactor& reactor, Address to, Duration timeout,
                               UniqueFunction<void(Result<StreamPtr>)> done)
    : net_(net),
      reactor_(reactor),
      to_(std::move(to)),
      deadline_(reactor.read_clock() + timeout),
      done_(std::move(done)),
      last_error_(Code::timed_out, "no answer") {}

ConnectAttempt::~ConnectAttempt() {
    abandon();
}

void ConnectAttempt::start(Resolver& resolver) {
    if (const auto literal = parse_literal(to_)) {
        addresses_.push_back(*literal);
        // The answer never comes inside the caller's connect().
        reactor_.post([self = weak_from_this()] {
            if (const auto attempt = self.lock()) {
                attempt->try_next();
            }
        });
        return;
    }
    timer_ = reactor_.after(deadline_ - reactor_.read_clock(), [this] {
        timer_ = TimerId{};
        fail({Code::timed_out, "the name was not resolved in time"});
    });
    resolver.resolve(to_, reactor_,
                     [self = weak_from_this()](Result<std::vector<SocketAddress>> found) {
                         if (const auto attempt = self.lock()) {
                             attempt->resolved(std::move(found));
                         }
                     });
}

void ConnectAttempt::resolved(Result<std::vector<SocketAddress>> found) {
    if (!found) {
        fail(found.error());
        return;
    }
    addresses_ = *std::move(found);
    try_next();
}

void ConnectAttempt::try_next() {
    for (;;) {
        abandon();
        if (next_ == addresses_.size()) {
            fail(last_error_);
            return;
        }
        const auto left = static_cast<std::int64_t>(addresses_.size() - next_);
        const SocketAddress& address = addresses_[next_++];
        if (auto begun = begin(address); !begun) {
            last_error_ = begun.error();
            continue;
        }
        // A silent address may use its share of the time, so that the others get theirs.
        const Duration share = (deadline_ - reactor_.read_clock()) / left;
        timer_ = reactor_.after(share, [this] {
            timer_ = TimerId{};
            last_error_ = {Code::timed_out, "no answer in time"};
            try_next();
        });
        return;
    }
}

Result<void> ConnectAttempt::begin(const SocketAddress& address) {
    Descriptor socket{::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    if (!socket) {
        return system_error("socket", errno);
    }
    set_stream_options(socket.get());
    if (::connect(socket.get(), address.get(), address.length) != 0 && errno != EINPROGRESS &&
        errno != EINTR) {
        return system_error("connect", errno);
    }
    const WatchId watch = reactor_.add(*this);
    if (auto armed = reactor_.arm(watch, socket.get(), EPOLLOUT); !armed) {
        reactor_.remove(watch, socket.get());
        return armed;
    }
    socket_ = std::move(socket);
    watch_ = watch;
    return {};
}

void ConnectAttempt::on_ready(std::uint32_t) {
    int error = 0;
    socklen_t length = sizeof(error);
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) {
        error = errno;
    }
    // To a free port of this host the kernel may connect a socket with itself.
    if (error == 0 && local_address(socket_.get()) == to_address(addresses_[next_ - 1])) {
        error = ECONNREFUSED;
    }
    if (error != 0) {
        last_error_ = system_error("connect", error);
        try_next();
        return;
    }
    reactor_.remove(std::exchange(watch_, WatchId{}), socket_.get());
    finish(StreamPtr{std::make_unique<SocketStream>(reactor_, std::move(socket_), to_)});
}

void ConnectAttempt::abandon() {
    reactor_.cancel(std::exchange(timer_, TimerId{}));
    if (watch_) {
        reactor_.remove(std::exchange(watch_, WatchId{}), socket_.get());
    }
    socket_.reset();
}

void ConnectAttempt::fail(Error error) {
    finish(error.with_context(to_.to_string()));
}

void ConnectAttempt::finish(Result<StreamPtr> outcome) {
    const auto self = shared_from_this();  // The net lets go of us.
    abandon();
    net_.forget(*this);
    done_(std::move(outcome));
}

}  // namespace millrace::runtime::internal
