#include "runtime/real/internal/socket_stream.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "runtime/disk.h"
#include "runtime/real/internal/socket_address.h"

namespace millrace::runtime::internal {

namespace {

constexpr std::uint32_t both_directions = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
constexpr std::uint32_t without_reading = EPOLLOUT | EPOLLET;

Error again() {
    return {Code::again, {}};
}
Error already_closed() {
    return {Code::closed, "the stream is closed"};
}

std::size_t total(std::span<const iovec> parts) {
    std::size_t sum = 0;
    for (const iovec& part : parts) {
        sum += part.iov_len;
    }
    return sum;
}

}  // namespace

SocketStream::SocketStream(Reactor& reactor, Descriptor socket, Address peer)
    : reactor_(&reactor), socket_(std::move(socket)), peer_(std::move(peer)) {}

SocketStream::~SocketStream() {
    close();
}

void SocketStream::set_events(StreamEvents* events) {
    events_ = events;
    if (!socket_) {
        return;
    }
    if (events == nullptr) {
        unregister();
    } else {
        register_or_tell();
    }
}

void SocketStream::register_or_tell() {
    if (watch_) {
        drained_ = false;
        reactor_->tell(watch_, EPOLLIN);
        return;
    }
    drained_ = deaf_ = false;
    watch_ = reactor_->add(*this);
    // The kernel reports what is ready now as the first edge.
    if (!reactor_->arm(watch_, socket_.get(), both_directions)) {
        // No kernel memory, or the user's limit of watches: read() says so.
        watch_failed_ = true;
        reactor_->tell(watch_, EPOLLIN);
    }
}

void SocketStream::unregister() {
    if (watch_) {
        reactor_->remove(watch_, socket_.get());
        watch_ = WatchId{};
    }
}

void SocketStream::close() {
    if (socket_) {
        unregister();
        socket_.reset();
    }
}

void SocketStream::rebind(Reactor& reactor) {
    MR_ASSERT(!watch_);
    reactor_ = &reactor;
}

const Address& SocketStream::local() const {
    if (!local_) {
        local_ = socket_ ? local_address(socket_.get()) : Address{};
    }
    return *local_;
}

void SocketStream::on_ready(std::uint32_t events) {
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
        hang_up_seen_ = true;
    }
    const bool writable = full_ && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0;
    const bool readable = (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (readable) {
        drained_ = false;
        if (paused_ && !deaf_) {
            // Bytes keep coming into the kernel's buffer: without this each would wake the loop.
            deaf_ = true;
            reactor_->change(watch_, socket_.get(), without_reading);
        }
    }
    const WatchId watch = watch_;
    Reactor& reactor = *reactor_;
    if (writable) {
        full_ = false;
        events_->on_writable();
        if (!reactor.is_watched(watch)) {
            return;  // The owner closed, moved or destroyed this stream.
        }
    }
    if (readable && !paused_) {
        events_->on_readable();
    }
}

Result<std::size_t> SocketStream::read(MutableBytes into) {
    if (!socket_) {
        return already_closed();
    }
    if (watch_failed_) {
        return Error{Code::exhausted, "no room to watch the connection"};
    }
    if (drained_ && !hang_up_seen_) {
        return again();
    }
    ssize_t got = 0;
    do {
        got = ::recv(socket_.get(), into.data(), into.size(), 0);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        if (errno == EAGAIN) {
            drained_ = true;
            return again();
        }
        return system_error("recv", errno);
    }
    drained_ = static_cast<std::size_t>(got) < into.size();
    return static_cast<std::size_t>(got);
}

Result<std::size_t> SocketStream::write(std::span<const iovec> parts, bool more_follows) {
    if (!socket_) {
        return already_closed();
    }
    if (full_) {
        return again();
    }
    const int flags = MSG_NOSIGNAL | (more_follows ? MSG_MORE : 0);
    std::size_t written = 0;
    while (!parts.empty()) {
        const auto batch = parts.first(std::min<std::size_t>(parts.size(), IOV_MAX));
        parts = parts.subspan(batch.size());
        msghdr message{};
        message.msg_iov = const_cast<iovec*>(batch.data());
        message.msg_iovlen = batch.size();
        ssize_t sent = 0;
        do {
            sent = ::sendmsg(socket_.get(), &message, parts.empty() ? flags : flags | MSG_MORE);
        } while (sent < 0 && errno == EINTR);
        if (sent < 0 && errno != EAGAIN) {
            return system_error("send", errno);
        }
        written += static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
        if (sent < 0 || static_cast<std::size_t>(sent) < total(batch)) {
            full_ = true;
            break;
        }
    }
    if (written == 0 && full_) {
        return again();
    }
    return written;
}

Result<std::size_t> SocketStream::send_file(File& file, std::uint64_t offset, std::size_t length) {
    if (!socket_) {
        return already_closed();
    }
    if (full_) {
        return again();
    }
    auto position = static_cast<off_t>(offset);
    std::size_t written = 0;
    while (written < length) {
        const ssize_t sent =
            ::sendfile(socket_.get(), file.descriptor(), &position, length - written);
        if (sent > 0) {
            written += static_cast<std::size_t>(sent);
        } else if (sent == 0) {
            // The header promised these bytes: the owner must give the connection up.
            return Error::make(Code::io, "send_file: the file ends at {}, {} bytes were to follow",
                               position, length - written);
        } else if (errno == EAGAIN) {
            full_ = true;
            break;
        } else if (errno != EINTR) {
            return system_error("sendfile", errno);
        }
    }
    if (written == 0 && full_) {
        return again();
    }
    return written;
}

void SocketStream::pause_reading(bool paused) {
    if (paused_ == paused) {
        return;
    }
    paused_ = paused;
    if (paused || !watch_) {
        return;
    }
    drained_ = false;
    if (deaf_) {
        deaf_ = false;
        reactor_->change(watch_, socket_.get(), both_directions);  // Reports what waits.
    }
    // Also what was left unread before the pause, of which no edge will tell.
    reactor_->tell(watch_, EPOLLIN);
}

}  // namespace millrace::runtime::internal
