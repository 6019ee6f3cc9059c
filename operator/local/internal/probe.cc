#include "operator/local/internal/probe.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <cstdlib>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace millrace::local {

using kube::Json;

namespace {

/// Kubernetes probes once a second at best. A laptop's start should not wait for that.
constexpr auto until_first_success = std::chrono::milliseconds(100);

int port_of(const Json& port, const Json& container) {
    if (port.is_integer()) {
        return static_cast<int>(port.integer());
    }
    for (const Json& named : container["ports"].items()) {
        if (named["name"] == port) {
            return static_cast<int>(named["containerPort"].integer());
        }
    }
    return std::atoi(port.text().c_str());
}

}  // namespace

Probe::Probe(const Json& spec, const Json& container, std::string address, bool initial)
    : exists_(spec.is_object()),
      address_(std::move(address)),
      delay_(spec["initialDelaySeconds"].integer(0)),
      period_(std::max<std::int64_t>(1, spec["periodSeconds"].integer(10))),
      timeout_(std::max<std::int64_t>(1, spec["timeoutSeconds"].integer(1))),
      failure_threshold_(static_cast<int>(spec["failureThreshold"].integer(3))),
      success_threshold_(static_cast<int>(spec["successThreshold"].integer(1))),
      initial_(initial || !exists_),
      passing_(initial_) {
    const Json& http = spec["httpGet"];
    const Json& target = http.is_object() ? http : spec["tcpSocket"];
    address_ = target["host"].text_or(address_);
    port_ = port_of(target["port"], container);
    if (http.is_object() && http["scheme"].text() != "HTTPS") {
        request_ = fmt::format(
            "GET {} HTTP/1.1\r\nHost: {}:{}\r\nUser-Agent: millrace-local-probe\r\nConnection: "
            "close\r\n\r\n",
            http["path"].text_or("/"), address_, port_);
    }
}

Probe::~Probe() {
    if (socket_ >= 0) {
        ::close(socket_);
    }
}

void Probe::restart(SteadyTime now) {
    if (socket_ >= 0) {
        ::close(socket_);
        socket_ = -1;
    }
    passing_ = initial_;
    failed_ = false;
    successes_ = 0;
    failures_ = 0;
    next_ = now + delay_;
    count_from_ = next_ + period_;
}

SteadyTime Probe::due() const {
    if (!exists_) {
        return SteadyTime::max();
    }
    return socket_ >= 0 ? deadline_ : next_;
}

void Probe::step(SteadyTime now) {
    if (!exists_) {
        return;
    }
    now_ = now;
    if (socket_ >= 0) {
        progress();
        if (socket_ >= 0 && now >= deadline_) {
            finish(false);
        }
    } else if (now >= next_) {
        begin(now);
    }
}

void Probe::begin(SteadyTime now) {
    deadline_ = now + timeout_;
    next_ = now + (passing_ ? std::chrono::milliseconds(period_) : until_first_success);
    answer_.clear();
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in target{};
    target.sin_family = AF_INET;
    target.sin_port = htons(static_cast<std::uint16_t>(port_));
    ::inet_pton(AF_INET, address_.c_str(), &target.sin_addr);
    connecting_ = true;
    if (socket_ < 0 ||
        (::connect(socket_, reinterpret_cast<sockaddr*>(&target), sizeof(target)) != 0 &&
         errno != EINPROGRESS)) {
        finish(false);
    }
}

void Probe::progress() {
    if (connecting_) {
        int failure = 0;
        socklen_t size = sizeof(failure);
        ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &failure, &size);
        if (failure != 0) {
            finish(false);
            return;
        }
        // Zero bytes tell a connection that is up from one that is still on its way.
        if (::send(socket_, "", 0, MSG_NOSIGNAL) < 0) {
            return;
        }
        connecting_ = false;
        if (request_.empty()) {
            finish(true);
            return;
        }
        if (::send(socket_, request_.data(), request_.size(), MSG_NOSIGNAL) < 0) {
            finish(false);
            return;
        }
    }
    char buffer[256];
    const ssize_t got = ::recv(socket_, buffer, sizeof(buffer), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (got > 0) {
        answer_.append(buffer, static_cast<std::size_t>(got));
    }
    constexpr std::size_t status_end = 12;  // "HTTP/1.1 200"
    if (answer_.size() >= status_end || got <= 0) {
        const int status =
            answer_.size() >= status_end ? std::atoi(answer_.c_str() + status_end - 3) : 0;
        finish(status >= 200 && status < 400);
    }
}

void Probe::finish(bool success) {
    if (socket_ >= 0) {
        ::close(socket_);
        socket_ = -1;
    }
    if (success) {
        failures_ = 0;
        failed_ = false;
        if (++successes_ >= success_threshold_) {
            passing_ = true;
        }
        return;
    }
    successes_ = 0;
    // Quick attempts at the start don't use up the threshold: one failure a period counts.
    if (now_ < count_from_) {
        return;
    }
    count_from_ = now_ + period_;
    if (++failures_ >= failure_threshold_) {
        passing_ = false;
        failed_ = true;
    }
}

}  // namespace millrace::local
