// relay LISTEN_PORT UPSTREAM_PORT ONE_WAY_MS [BYTES_PER_SECOND]
//
// A long wire between two local ports: every byte arrives ONE_WAY_MS later, in either direction, as
// many as may come. What is under way lies here, so neither side's socket buffers shape the flow;
// only what is beyond `most_under_way` of one connection waits in the sender's. With a rate, all
// connections share a line that carries so much and no more in either direction.
#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fcntl.h>
#include <map>
#include <memory>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t piece = 1 << 20;
constexpr std::size_t most_under_way = 512 << 20;
/// With a rate: what a line holds in its queues, more waits in the sender's.
constexpr std::size_t most_queued = 1 << 20;

struct Piece {
    Clock::time_point due;
    std::vector<char> bytes;
    std::size_t sent = 0;
};

/// One direction of the line that all connections share.
struct Line {
    double seconds_per_byte = 0;
    Clock::time_point free_at;

    Clock::time_point carry(std::size_t bytes) {
        const std::chrono::duration<double> takes(seconds_per_byte * static_cast<double>(bytes));
        free_at =
            std::max(free_at, Clock::now()) + std::chrono::duration_cast<Clock::duration>(takes);
        return free_at;
    }
};

/// One direction of one connection.
struct Way {
    int from = -1;
    int to = -1;
    Line* line = nullptr;
    std::deque<Piece> pieces;
    std::size_t under_way = 0;
    bool has_ended = false;   ///< Nothing more comes.
    bool is_closed = false;   ///< And that was passed on.
    bool is_blocked = false;  ///< The receiver takes nothing right now.
};

struct Wire {
    Way ways[2];
    bool is_broken = false;
    ~Wire() {
        close(ways[0].from);
        close(ways[0].to);
    }
};

sockaddr_in local(const char* port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void set_up(int socket) {
    const int on = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

void receive(Wire& wire, Way& way, Clock::duration delay) {
    static std::vector<char> buffer(piece);
    const ssize_t got = recv(way.from, buffer.data(), buffer.size(), 0);
    if (got > 0) {
        Piece next;
        next.bytes.assign(buffer.begin(), buffer.begin() + got);
        next.due = way.line->carry(next.bytes.size()) + delay;
        way.under_way += next.bytes.size();
        way.pieces.push_back(std::move(next));
    } else if (got == 0) {
        way.has_ended = true;
    } else if (errno != EAGAIN) {
        wire.is_broken = true;
    }
}

void deliver(Wire& wire, Way& way, Clock::time_point now) {
    while (!way.pieces.empty() && way.pieces.front().due <= now) {
        Piece& first = way.pieces.front();
        const ssize_t put = send(way.to, first.bytes.data() + first.sent,
                                 first.bytes.size() - first.sent, MSG_NOSIGNAL);
        if (put < 0) {
            way.is_blocked = errno == EAGAIN;
            wire.is_broken = wire.is_broken || !way.is_blocked;
            return;
        }
        first.sent += static_cast<std::size_t>(put);
        way.under_way -= static_cast<std::size_t>(put);
        if (first.sent == first.bytes.size()) {
            way.pieces.pop_front();
        }
    }
    way.is_blocked = false;
    if (way.has_ended && way.pieces.empty() && !way.is_closed) {
        way.is_closed = true;
        shutdown(way.to, SHUT_WR);
    }
}

}  // namespace

int main(int count, char** words) {
    if (count != 4 && count != 5) {
        std::fprintf(stderr, "relay LISTEN_PORT UPSTREAM_PORT ONE_WAY_MS [BYTES_PER_SECOND]\n");
        return 2;
    }
    const auto delay = std::chrono::milliseconds(std::atoi(words[3]));
    const double rate = count == 5 ? std::atof(words[4]) : 0;
    const std::size_t most = rate > 0 ? most_queued : most_under_way;
    Line lines[2];
    for (Line& line : lines) {
        line.seconds_per_byte = rate > 0 ? 1 / rate : 0;
    }
    const int listener = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in here = local(words[1]);
    const sockaddr_in there = local(words[2]);
    if (bind(listener, reinterpret_cast<sockaddr*>(&here), sizeof here) != 0 ||
        listen(listener, 64) != 0) {
        std::perror("relay");
        return 1;
    }
    std::vector<std::unique_ptr<Wire>> wires;
    while (true) {
        std::vector<pollfd> polled{{listener, POLLIN, 0}};
        std::vector<std::pair<Wire*, Way*>> of{{nullptr, nullptr}};
        const auto now = Clock::now();
        auto next = now + std::chrono::seconds(1);
        for (const auto& wire : wires) {
            for (Way& way : wire->ways) {
                if (!way.has_ended && way.under_way < most) {
                    polled.push_back({way.from, POLLIN, 0});
                    of.emplace_back(wire.get(), &way);
                }
                if (way.is_blocked) {
                    polled.push_back({way.to, POLLOUT, 0});
                    of.emplace_back(wire.get(), nullptr);
                } else if (!way.pieces.empty()) {
                    next = std::min(next, way.pieces.front().due);
                }
            }
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(next - now).count();
        poll(polled.data(), polled.size(), static_cast<int>(std::max<long>(0, left)));
        for (std::size_t i = 1; i < polled.size(); ++i) {
            if (polled[i].revents != 0 && of[i].second != nullptr) {
                receive(*of[i].first, *of[i].second, delay);
            }
        }
        if (polled[0].revents != 0) {
            const int a = accept(listener, nullptr, nullptr);
            const int b = socket(AF_INET, SOCK_STREAM, 0);
            if (connect(b, reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0) {
                set_up(a);
                set_up(b);
                auto wire = std::make_unique<Wire>();
                wire->ways[0].from = wire->ways[1].to = a;
                wire->ways[0].to = wire->ways[1].from = b;
                wire->ways[0].line = &lines[0];
                wire->ways[1].line = &lines[1];
                wires.push_back(std::move(wire));
            } else {
                close(a);
                close(b);
            }
        }
        const auto then = Clock::now();
        for (const auto& wire : wires) {
            for (Way& way : wire->ways) {
                deliver(*wire, way, then);
            }
        }
        std::erase_if(wires, [](const auto& wire) {
            return wire->is_broken || (wire->ways[0].is_closed && wire->ways[1].is_closed);
        });
    }
}
