#include "operator/local/internal/service_proxy.h"

#include <algorithm>
#include <arpa/inet.h>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <list>
#include <netinet/in.h>
#include <optional>
#include <poll.h>
#include <set>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include "operator/local/internal/addresses.h"

namespace millrace::local {

namespace {

constexpr std::size_t most_connections = 512;
constexpr std::size_t most_buffered = 64 * 1024;
constexpr int retry_ms = 1000;
/// Of accepting, when there is no descriptor: who waits makes poll() return at once again.
constexpr int break_ms = 100;

using SteadyClock = std::chrono::steady_clock;

sockaddr_in to_address(const std::string& address, int port) {
    sockaddr_in result{};
    result.sin_family = AF_INET;
    result.sin_port = htons(static_cast<std::uint16_t>(port));
    ::inet_pton(AF_INET, address.c_str(), &result.sin_addr);
    return result;
}

bool would_block() {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/// One direction of a connection.
struct Pipe {
    int from = -1;
    int to = -1;
    std::string held;
    bool ended = false;      ///< `from` has no more.
    bool passed_on = false;  ///< `to` has been told.

    bool wants_read() const { return !ended && held.size() < most_buffered; }
    bool wants_write() const { return !held.empty(); }

    /// False if the connection is broken.
    bool read() {
        char buffer[16 * 1024];
        const ssize_t got = ::recv(from, buffer, sizeof(buffer), 0);
        if (got < 0) {
            return would_block();
        }
        if (got == 0) {
            ended = true;
        }
        held.append(buffer, static_cast<std::size_t>(got));
        return true;
    }

    bool write() {
        if (!held.empty()) {
            const ssize_t sent = ::send(to, held.data(), held.size(), MSG_NOSIGNAL);
            if (sent < 0) {
                return would_block() || errno == ENOTCONN;  // It may still be connecting.
            }
            held.erase(0, static_cast<std::size_t>(sent));
        }
        if (ended && held.empty() && !std::exchange(passed_on, true)) {
            ::shutdown(to, SHUT_WR);
        }
        return true;
    }
};

struct Connection {
    Pipe up;
    Pipe down;
    bool broken = false;

    bool over() const { return broken || (up.passed_on && down.passed_on); }
};

struct Listening {
    ProxyPort port;
    int socket = -1;
    std::size_t next = 0;  ///< The backend that is asked next.
};

class ProxyThread final : public ServiceProxy {
public:
    ProxyThread(Server& server, Logger log)
        : server_(server), log_(std::move(log)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
        server_.wake_on({"services", "endpoints"}, [this] { wake(); });
        thread_ = std::thread([this] { run(); });
    }

    ~ProxyThread() override {
        stop();
        ::close(wake_);
    }

    void stop() override {
        if (!stopping_.exchange(true)) {
            wake();
            thread_.join();
        }
    }

private:
    void wake() {
        const std::uint64_t one = 1;
        (void)!::write(wake_, &one, sizeof(one));  // A full counter wakes as well.
    }

    void run() {
        bool changed = true;
        while (!stopping_) {
            if (changed) {
                listen_to_what_is_wanted();
            }
            changed = wait_and_move();
        }
        for (Listening& listening : listening_) {
            ::close(listening.socket);
        }
        for (Connection& connection : connections_) {
            close_both(connection);
        }
    }

    void listen_to_what_is_wanted() {
        std::vector<ProxyPort> wanted;
        server_.locked([&](Resources& resources) { wanted = plan_proxy(resources.store()); });
        std::list<Listening> kept;
        std::set<std::pair<std::string, int>> unserved;
        for (ProxyPort& port : wanted) {
            const auto same =
                std::find_if(listening_.begin(), listening_.end(), [&](const Listening& candidate) {
                    return candidate.port.address == port.address &&
                           candidate.port.port == port.port;
                });
            Listening next{port, same == listening_.end() ? open(port) : same->socket, 0};
            if (same != listening_.end()) {
                listening_.erase(same);
            }
            if (next.socket >= 0) {
                kept.push_back(std::move(next));
            } else {
                unserved.emplace(port.address, port.port);
            }
        }
        unserved_ = std::move(unserved);
        for (Listening& unwanted : listening_) {
            ::close(unwanted.socket);
        }
        listening_ = std::move(kept);
    }

    int open(const ProxyPort& port) {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (socket < 0) {
            give_up(port, errno);
            return -1;
        }
        const int yes = 1;
        ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
        const sockaddr_in self = to_address(port.address, port.port);
        if (::bind(socket, reinterpret_cast<const sockaddr*>(&self), sizeof(self)) != 0 ||
            ::listen(socket, 64) != 0) {
            const int failure = errno;
            ::close(socket);
            give_up(port, failure);
            return -1;
        }
        return socket;
    }

    /// Somebody else listens there: the service gets another address, which its watchers are told.
    /// A node's address stays, and so does a port that is taken everywhere: they are tried again.
    void give_up(const ProxyPort& port, int failure) {
        bool moves = false;
        if (failure == EADDRINUSE && !port.is_nodes) {
            server_.locked(
                [&](Resources& resources) { moves = move_service(resources, port.service); });
        }
        if (moves) {
            MR_LOG(log_, info, "local.service_moves", field("service", port.service.name),
                   field("from", port.address), field("port", port.port),
                   field("reason", std::strerror(failure)));
        } else if (!unserved_.contains({port.address, port.port})) {
            MR_LOG(log_, warn, "local.service_not_served", field("address", port.address),
                   field("port", port.port), field("reason", std::strerror(failure)));
        }
    }

    /// True if services may have changed, or one that isn't served is to be tried again.
    bool wait_and_move() {
        std::vector<pollfd> polled = {{wake_, POLLIN, 0}};
        for (const Listening& listening : listening_) {
            polled.push_back({break_ends_ ? -1 : listening.socket, POLLIN, 0});
        }
        for (const Connection& connection : connections_) {
            const auto events = [](bool read, bool write) {
                return static_cast<short>((read ? POLLIN : 0) | (write ? POLLOUT : 0));
            };
            polled.push_back({connection.up.from,
                              events(connection.up.wants_read(), connection.down.wants_write()),
                              0});
            polled.push_back({connection.up.to,
                              events(connection.down.wants_read(), connection.up.wants_write()),
                              0});
        }
        const int woken = ::poll(polled.data(), polled.size(), milliseconds_to_wait());
        if (break_ends_ && *break_ends_ <= SteadyClock::now()) {
            break_ends_.reset();
        }
        if (woken <= 0) {
            return woken == 0 && !unserved_.empty();
        }
        std::size_t at = 1 + listening_.size();
        for (Connection& connection : connections_) {
            move(connection, polled[at].revents, polled[at + 1].revents);
            at += 2;
        }
        at = 1;
        for (Listening& listening : listening_) {
            if (polled[at++].revents != 0) {
                accept(listening);
            }
        }
        connections_.remove_if([](Connection& connection) {
            const bool over = connection.over();
            if (over) {
                close_both(connection);
            }
            return over;
        });
        std::uint64_t drained = 0;
        return ::read(wake_, &drained, sizeof(drained)) > 0;
    }

    int milliseconds_to_wait() const {
        return break_ends_ ? break_ms : unserved_.empty() ? -1 : retry_ms;
    }

    static void move(Connection& connection, short client, short server) {
        constexpr short readable = POLLIN | POLLHUP | POLLERR;
        bool fine = true;
        if ((client & readable) != 0 && connection.up.wants_read()) {
            fine = connection.up.read();
        }
        if ((server & readable) != 0 && connection.down.wants_read()) {
            fine = connection.down.read() && fine;
        }
        connection.broken = !(fine && connection.up.write() && connection.down.write());
    }

    void accept(Listening& listening) {
        const int client =
            ::accept4(listening.socket, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
                if (!std::exchange(is_exhausted_, true)) {
                    MR_LOG(log_, warn, "local.service_accepts_nobody",
                           field("address", listening.port.address),
                           field("port", listening.port.port),
                           field("reason", std::strerror(errno)));
                }
                break_ends_ = SteadyClock::now() + std::chrono::milliseconds(break_ms);
            }
            return;
        }
        is_exhausted_ = false;
        const auto& backends = listening.port.backends;
        if (backends.empty() || connections_.size() >= most_connections) {
            ::close(client);
            return;
        }
        const auto& [address, port] = backends[listening.next++ % backends.size()];
        const int server = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        const sockaddr_in target = to_address(address, port);
        if (server < 0 ||
            (::connect(server, reinterpret_cast<const sockaddr*>(&target), sizeof(target)) != 0 &&
             errno != EINPROGRESS)) {
            ::close(client);
            if (server >= 0) {
                ::close(server);
            }
            return;
        }
        Connection connection;
        connection.up = {client, server, "", false, false};
        connection.down = {server, client, "", false, false};
        connections_.push_back(std::move(connection));
    }

    static void close_both(Connection& connection) {
        ::close(connection.up.from);
        ::close(connection.up.to);
    }

    Server& server_;
    const Logger log_;
    const int wake_;
    std::atomic<bool> stopping_ = false;

    // Only the thread's own.
    std::optional<SteadyClock::time_point> break_ends_;
    bool is_exhausted_ = false;  ///< And was told so.
    std::list<Listening> listening_;
    std::set<std::pair<std::string, int>>
        unserved_;  ///< Told already; tried again from time to time.
    std::list<Connection> connections_;
    std::thread thread_;
};

}  // namespace

std::vector<ProxyPort> plan_proxy(const Store& store) {
    std::vector<ProxyPort> ports;
    for (const ObjectPtr& service : store.list("services", "")) {
        const Json& metadata = (*service)["metadata"];
        const std::string& address = (*service)["spec"]["clusterIP"].text();
        const ObjectPtr endpoints =
            store.get({"endpoints", metadata["namespace"].text(), metadata["name"].text()});
        if (!address.starts_with("127.") || !endpoints) {
            continue;
        }
        const Json& subset = (*endpoints)["subsets"][0];
        const Json& wanted = (*service)["spec"]["ports"];
        for (std::size_t i = 0; i < wanted.size(); ++i) {
            ProxyPort port;
            for (const Json& ready : subset["addresses"].items()) {
                port.backends.emplace_back(ready["ip"].text(),
                                           static_cast<int>(subset["ports"][i]["port"].integer()));
            }
            port.service = {"services", metadata["namespace"].text(), metadata["name"].text()};
            port.address = address;
            port.port = static_cast<int>(wanted[i]["port"].integer());
            ports.push_back(port);
            if (const std::int64_t outside = wanted[i]["nodePort"].integer(); outside > 0) {
                for (const ObjectPtr& node : store.list("nodes", "")) {
                    port.is_nodes = true;
                    port.address = (*node)["status"]["addresses"][0]["address"].text();
                    port.port = static_cast<int>(outside);
                    ports.push_back(port);
                }
            }
        }
    }
    return ports;
}

std::unique_ptr<ServiceProxy> ServiceProxy::start(Server& server, Logger log) {
    return std::make_unique<ProxyThread>(server, std::move(log));
}

}  // namespace millrace::local
