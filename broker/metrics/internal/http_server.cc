#include "metrics/internal/http_server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <list>
#include <netdb.h>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace millrace::metrics {

namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

/// So long nobody is accepted after there was no descriptor for him.
constexpr std::chrono::milliseconds break_length{100};

class Descriptor {
public:
    explicit Descriptor(int value = -1) : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) {
            ::close(value_);
        }
    }
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    int get() const { return value_; }
    explicit operator bool() const { return value_ >= 0; }

private:
    int value_;
};

Descriptor open_reserve() {
    return Descriptor{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

std::string_view status_text(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 431:
            return "Request Header Fields Too Large";
        default:
            return "Service Unavailable";
    }
}

std::string encoded(const HttpAnswer& answer, bool with_body) {
    std::string text = fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        answer.status, status_text(answer.status), answer.type, answer.body.size());
    if (with_body) {
        text += answer.body;
    }
    return text;
}

/// One connection: a request is read, its answer written, the end.
class Connection {
public:
    Connection(Descriptor socket, SteadyTime deadline)
        : socket_(std::move(socket)), deadline_(deadline) {}

    int descriptor() const { return socket_.get(); }
    SteadyTime deadline() const { return deadline_; }
    short wanted() const { return out_.empty() ? POLLIN : POLLOUT; }
    /// It has not yet said what it wants.
    bool is_silent() const { return out_.empty(); }

    /// False once it is done with.
    bool advance(const HttpLimits& limits,
                 const std::function<HttpAnswer(std::string_view)>& answer) {
        if (out_.empty()) {
            if (!read(limits)) {
                return false;
            }
            respond(limits, answer);
        }
        return out_.empty() || write();
    }

private:
    bool read(const HttpLimits& limits) {
        char buffer[2048];
        while (in_.size() <= limits.request_bytes) {
            const ssize_t n = ::recv(socket_.get(), buffer, sizeof(buffer), 0);
            if (n > 0) {
                in_.append(buffer, static_cast<std::size_t>(n));
            } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                return true;
            } else if (n == 0 || errno != EINTR) {
                return false;
            }
        }
        return true;
    }

    void respond(const HttpLimits& limits,
                 const std::function<HttpAnswer(std::string_view)>& answer) {
        if (in_.find("\r\n\r\n") == std::string::npos) {
            if (in_.size() > limits.request_bytes) {
                out_ = encoded({431, "text/plain", "the request is too long\n"}, true);
            }
            return;
        }
        const std::string_view line = std::string_view{in_}.substr(0, in_.find("\r\n"));
        const std::size_t first = line.find(' ');
        const std::size_t second = line.rfind(' ');
        if (first == std::string_view::npos || second <= first ||
            !line.substr(second + 1).starts_with("HTTP/1.")) {
            out_ = encoded({400, "text/plain", "no HTTP request\n"}, true);
            return;
        }
        const std::string_view method = line.substr(0, first);
        if (method != "GET" && method != "HEAD") {
            out_ = encoded({405, "text/plain", "only GET\n"}, true);
            return;
        }
        const std::string_view target = line.substr(first + 1, second - first - 1);
        out_ = encoded(answer(target.substr(0, target.find('?'))), method == "GET");
    }

    bool write() {
        while (written_ < out_.size()) {
            const ssize_t n =
                ::send(socket_.get(), out_.data() + written_, out_.size() - written_, MSG_NOSIGNAL);
            if (n > 0) {
                written_ += static_cast<std::size_t>(n);
            } else if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
                return true;
            } else if (errno != EINTR) {
                return false;
            }
        }
        return false;
    }

    Descriptor socket_;
    SteadyTime deadline_;
    std::string in_;
    std::string out_;
    std::size_t written_ = 0;
};

class PollingHttpServer final : public HttpServer {
public:
    PollingHttpServer(Descriptor listener, Descriptor wake, std::uint16_t port, HttpLimits limits,
                      std::function<HttpAnswer(std::string_view)> answer)
        : listener_(std::move(listener)),
          wake_(std::move(wake)),
          reserve_(open_reserve()),
          port_(port),
          limits_(limits),
          answer_(std::move(answer)),
          thread_([this] { run(); }) {}

    ~PollingHttpServer() override {
        const std::uint64_t one = 1;
        while (::write(wake_.get(), &one, sizeof(one)) < 0 && errno == EINTR) {
        }
        thread_.join();
    }
    std::uint16_t port() const override { return port_; }

private:
    void run() {
        ::pthread_setname_np(::pthread_self(), "metrics-http");
        while (true) {
            std::vector<pollfd> waits;
            waits.push_back({wake_.get(), POLLIN, 0});
            waits.push_back({accepts() ? listener_.get() : -1, POLLIN, 0});
            for (const Connection& connection : connections_) {
                waits.push_back({connection.descriptor(), connection.wanted(), 0});
            }
            ::poll(waits.data(), waits.size(), milliseconds_to_wait());
            if (waits[0].revents != 0) {
                return;
            }
            serve(waits);
            if (!reserve_) {
                reserve_ = open_reserve();
            }
            if (break_ends_ && *break_ends_ <= std::chrono::steady_clock::now()) {
                break_ends_.reset();
            }
            if (waits[1].revents != 0) {
                accept();
            }
        }
    }

    bool accepts() const {
        return !break_ends_ && (connections_.size() < limits_.connections ||
                                longest_silent() != connections_.end());
    }

    int milliseconds_to_wait() const {
        std::optional<SteadyTime> until = break_ends_;
        if (!connections_.empty()) {
            // Accepted in order, with the same time for each: the first is the next to run out.
            const SteadyTime first = connections_.front().deadline();
            until = until ? std::min(*until, first) : first;
        }
        if (!until) {
            return -1;
        }
        const auto left = *until - std::chrono::steady_clock::now();
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(left).count() + 1;
        return ms < 0 ? 0 : static_cast<int>(ms);
    }

    void serve(const std::vector<pollfd>& waits) {
        const SteadyTime now = std::chrono::steady_clock::now();
        std::size_t i = 2;
        for (auto connection = connections_.begin(); connection != connections_.end(); ++i) {
            const bool goes_on = connection->deadline() > now &&
                                 (waits[i].revents == 0 || connection->advance(limits_, answer_));
            connection = goes_on ? std::next(connection) : connections_.erase(connection);
        }
    }

    std::list<Connection>::const_iterator longest_silent() const {
        return std::find_if(connections_.begin(), connections_.end(),
                            [](const Connection& one) { return one.is_silent(); });
    }

    /// Who is silent gives way: whoever holds all places and asks nothing keeps nobody out. Nor
    /// does whoever has taken all descriptors: this is where one looks when a broker is in need.
    void accept() {
        Descriptor socket = accept_one();
        if (!socket && is_exhausted(errno)) {
            if (reserve_) {
                reserve_ = Descriptor{};
            } else {
                end_longest_silent();
            }
            socket = accept_one();
            if (!socket && is_exhausted(errno)) {
                break_ends_ = std::chrono::steady_clock::now() + break_length;
            }
        }
        if (socket) {
            if (connections_.size() >= limits_.connections) {
                end_longest_silent();
            }
            connections_.emplace_back(std::move(socket),
                                      std::chrono::steady_clock::now() + limits_.deadline);
        }
    }

    Descriptor accept_one() const {
        return Descriptor{
            ::accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
    }

    static bool is_exhausted(int error) {
        return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
    }

    void end_longest_silent() {
        if (const auto silent = longest_silent(); silent != connections_.end()) {
            connections_.erase(silent);
        }
    }

    Descriptor listener_;
    Descriptor wake_;
    Descriptor reserve_;  ///< Given up for whoever asks when there is no other.
    std::uint16_t port_;
    HttpLimits limits_;
    std::function<HttpAnswer(std::string_view)> answer_;
    std::list<Connection> connections_;
    std::optional<SteadyTime> break_ends_;
    std::thread thread_;
};

Error failure(const std::string& host, std::uint16_t port, const char* what) {
    return Error::make(Code::io, "listening on {}:{}: {}", host, port, what);
}

Result<Descriptor> listen_on(const std::string& host, std::uint16_t port) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const char* node = host.empty() ? nullptr : host.c_str();
    const std::string service = std::to_string(port);
    // A literal first: a name loads the resolver's libraries, which takes longer than all the rest.
    hints.ai_flags |= AI_NUMERICHOST;
    int error = ::getaddrinfo(node, service.c_str(), &hints, &found);
    if (error == EAI_NONAME) {
        hints.ai_flags &= ~AI_NUMERICHOST;
        error = ::getaddrinfo(node, service.c_str(), &hints, &found);
    }
    if (error != 0) {
        return failure(host, port, ::gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{found, &::freeaddrinfo};
    Descriptor socket{
        ::socket(found->ai_family, found->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    const int on = 1;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (socket.get() < 0 || ::bind(socket.get(), found->ai_addr, found->ai_addrlen) != 0 ||
        ::listen(socket.get(), 64) != 0) {
        return failure(host, port, std::strerror(errno));
    }
    return socket;
}

std::uint16_t port_of(int listener) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port
                     : reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

}  // namespace

Result<std::unique_ptr<HttpServer>> HttpServer::start(
    const std::string& host, std::uint16_t port, HttpLimits limits,
    std::function<HttpAnswer(std::string_view path)> answer) {
    MR_TRY(Descriptor listener, listen_on(host, port));
    Descriptor wake{::eventfd(0, EFD_CLOEXEC)};
    if (wake.get() < 0) {
        return failure(host, port, std::strerror(errno));
    }
    const std::uint16_t bound = port_of(listener.get());
    // Signals are for the main thread.
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    auto server = std::make_unique<PollingHttpServer>(std::move(listener), std::move(wake), bound,
                                                      limits, std::move(answer));
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return std::unique_ptr<HttpServer>{std::move(server)};
}

}  // namespace millrace::metrics
