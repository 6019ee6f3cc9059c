#include "tests/load/load_connection.h"

#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/core.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace millrace::load {
namespace {

constexpr std::size_t correlation_at = 8;  // behind length, API key and version
constexpr std::size_t read_chunk = 512U << 10;

void store(char* to, std::int32_t value) {
    const std::uint32_t big = htonl(static_cast<std::uint32_t>(value));
    std::memcpy(to, &big, sizeof(big));
}

std::int32_t fetch(const char* from) {
    std::uint32_t big = 0;
    std::memcpy(&big, from, sizeof(big));
    return static_cast<std::int32_t>(ntohl(big));
}

}  // namespace

void fail(const std::string& why) {
    fmt::print(stderr, "millrace-load: {}\n", why);
    std::exit(1);
}

Micros now() {
    return std::chrono::duration_cast<std::chrono::microseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

Connection::Connection(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd_ < 0 || ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof(to)) != 0) {
        fail(fmt::format("can't connect to port {}: {}", port, std::strerror(errno)));
    }
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
}

Connection::Connection(Connection&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      correlation_(other.correlation_),
      answered_(other.answered_),
      out_(std::move(other.out_)),
      sent_(other.sent_),
      in_(std::move(other.in_)),
      used_(other.used_),
      began_(std::move(other.began_)) {}

Connection::~Connection() {
    if (fd_ >= 0) {
        ::close(fd_);
    }
}

void Connection::send(const Buffer& frame, Micros began) {
    const std::size_t at = out_.size();
    out_.append(reinterpret_cast<const char*>(frame.data()), frame.size());
    store(out_.data() + at + correlation_at, correlation_++);
    began_.push_back(began);
    write_some();
}

void Connection::write_some() {
    while (sent_ < out_.size()) {
        const ssize_t count = ::send(fd_, out_.data() + sent_, out_.size() - sent_, MSG_NOSIGNAL);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (count < 0) {
            fail(fmt::format("send: {}", std::strerror(errno)));
        }
        sent_ += static_cast<std::size_t>(count);
    }
    out_.clear();
    sent_ = 0;
}

void Connection::read_some() {
    if (used_ > 0) {
        in_.erase(0, used_);
        used_ = 0;
    }
    const std::size_t had = in_.size();
    in_.resize(had + read_chunk);
    const ssize_t count = ::recv(fd_, in_.data() + had, read_chunk, 0);
    if (count == 0) {
        fail("the broker closed a connection");
    }
    if (count < 0 && errno != EAGAIN && errno != EINTR) {
        fail(fmt::format("recv: {}", std::strerror(errno)));
    }
    in_.resize(had + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
}

bool Connection::next(Answer& answer) {
    constexpr std::size_t head = 8;
    if (in_.size() - used_ < head) {
        return false;
    }
    const auto length = static_cast<std::size_t>(fetch(in_.data() + used_));
    if (in_.size() - used_ < length + 4) {
        return false;
    }
    if (fetch(in_.data() + used_ + 4) != answered_++ || began_.empty()) {
        fail("an answer came out of order");
    }
    answer.body =
        ByteView(reinterpret_cast<const std::byte*>(in_.data() + used_ + head), length - 4);
    answer.began = began_.front();
    began_.pop_front();
    used_ += length + 4;
    return true;
}

}  // namespace millrace::load
