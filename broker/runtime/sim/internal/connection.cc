#include "runtime/sim/internal/connection.h"

#include <algorithm>
#include <utility>

#include "runtime/sim/internal/sim_executor.h"
#include "runtime/sim/sim_network.h"
#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

namespace {

/// How long a kernel retransmits before it gives a connection up.
constexpr Duration shortest_patience = 10s;
constexpr Duration longest_patience = 120s;
constexpr Duration retransmission = 200ms;

Error again() {
    return {Code::again, {}};
}

std::size_t total(std::span<const iovec> parts) {
    std::size_t sum = 0;
    for (const iovec& part : parts) {
        sum += part.iov_len;
    }
    return sum;
}

Buffer gather(std::span<const iovec> parts, std::size_t most) {
    Buffer bytes;
    bytes.reserve(most);
    for (const iovec& part : parts) {
        const auto* from = static_cast<const std::byte*>(part.iov_base);
        const std::size_t take = std::min(part.iov_len, most - bytes.size());
        bytes.insert(bytes.end(), from, from + take);
    }
    return bytes;
}

}  // namespace

void Connection::Inbox::append(ByteView more) {
    if (empty()) {
        clear();
    }
    bytes_.insert(bytes_.end(), more.begin(), more.end());
}

void Connection::Inbox::take(MutableBytes into) {
    MR_ASSERT(into.size() <= size());
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(taken_), into.size(), into.begin());
    taken_ += into.size();
}

void Connection::Inbox::clear() {
    bytes_.clear();
    taken_ = 0;
}

Connection::Connection(SimNetwork& network, SimNode& client, Address client_address,
                       SimNode& server, Address server_address)
    : network_(network), world_(network.world_) {
    ends_[0].node = &client;
    ends_[0].boot = client.boot();
    ends_[0].address = std::move(client_address);
    ends_[1].node = &server;
    ends_[1].boot = server.boot();
    ends_[1].address = std::move(server_address);
}

Duration Connection::latency(std::size_t from) {
    return network_.draw_latency(ends_[from].node->name(), ends_[other(from)].node->name());
}

void Connection::bind(std::size_t side, SimExecutor& executor) {
    MR_ASSERT(ends_[side].events == nullptr);
    ends_[side].executor = &executor;
}

void Connection::set_events(std::size_t side, StreamEvents* events) {
    End& end = ends_[side];
    end.events = events;
    ++end.binding;
    end.readable_scheduled = end.writable_scheduled = false;
    if (events == nullptr) {
        return;
    }
    if (!end.inbox.empty() || end.peer_ended || end.failure) {
        tell_readable(side);
    }
    if (end.write_blocked) {
        tell_writable(side, Duration{});
    }
}

void Connection::pause_reading(std::size_t side, bool paused) {
    End& end = ends_[side];
    if (std::exchange(end.paused, paused) && !paused) {
        tell_readable(side);
    }
}

Result<std::size_t> Connection::read(std::size_t side, MutableBytes into) {
    End& end = ends_[side];
    if (end.closed) {
        return Error{Code::closed, "the stream is closed"};
    }
    if (end.inbox.empty()) {
        if (end.failure) {
            return *end.failure;
        }
        if (end.peer_ended) {
            return std::size_t{0};
        }
        return again();
    }
    std::size_t taken = std::min(into.size(), end.inbox.size());
    if (taken > 1 && World::chance(world_.network, world_.ambient.torn_reads)) {
        taken = 1 + static_cast<std::size_t>(world_.network.below(taken - 1));
        world_.count(FaultKind::torn_read);
    }
    end.inbox.take(into.first(taken));
    End& peer = ends_[other(side)];
    peer.unread -= taken;
    if (peer.write_blocked) {
        tell_writable(other(side), latency(side));
    }
    return taken;
}

std::size_t Connection::room(std::size_t side) const {
    const End& end = ends_[side];
    if (end.write_blocked || end.unread >= world_.ambient.window_bytes) {
        return 0;
    }
    return world_.ambient.window_bytes - end.unread;
}

Result<std::size_t> Connection::write(std::size_t side, std::span<const iovec> parts) {
    End& end = ends_[side];
    if (end.closed) {
        return Error{Code::closed, "the stream is closed"};
    }
    if (end.failure) {
        return *end.failure;
    }
    const std::size_t wanted = total(parts);
    if (end.node->is_doomed()) {
        return wanted;  // Nobody will ever see what a dying process thinks it sent.
    }
    const std::size_t possible = room(side);
    std::size_t taken = std::min(wanted, possible);
    if (taken > 1 && World::chance(world_.network, world_.ambient.torn_writes)) {
        taken = 1 + static_cast<std::size_t>(world_.network.below(taken - 1));
        world_.count(FaultKind::torn_write);
    }
    if (taken < wanted) {
        end.write_blocked = true;
        if (taken < possible) {
            tell_writable(side, world_.ambient.latency);
        }
    }
    if (taken == 0 && wanted > 0) {
        return again();
    }
    end.unread += taken;
    send(side, {gather(parts, taken), false, false});
    return taken;
}

void Connection::close(std::size_t side) {
    End& end = ends_[side];
    if (std::exchange(end.closed, true)) {
        return;
    }
    end.events = nullptr;
    ++end.binding;
    if (end.failure || end.node->loses_power()) {
        return;
    }
    // As Linux: bytes that nobody read turn the good-bye into a reset.
    const bool abrupt = !end.inbox.empty();
    end.inbox.clear();
    send(side, {{}, !abrupt, abrupt});
}

void Connection::fail(std::size_t side, Error why) {
    End& end = ends_[side];
    if (end.closed || end.failure) {
        return;
    }
    end.failure = std::move(why);
    if (world_.network.one_in(2)) {
        end.inbox.clear();
    }
    end.held.clear();
    tell_readable(side);
    if (end.write_blocked) {
        tell_writable(side, Duration{});
    }
}

void Connection::lose_power(std::size_t side) {
    End& end = ends_[side];
    end.closed = true;
    end.events = nullptr;
    ++end.binding;
    end.inbox.clear();
    end.held.clear();
}

void Connection::send(std::size_t from, Segment segment) {
    End& end = ends_[from];
    world_.trace.fold(ByteView(segment.bytes));
    end.last_arrival = std::max(end.last_arrival, world_.now + world_.stalled + latency(from));
    world_.at(end.last_arrival,
              [self = shared_from_this(), from, segment = std::move(segment)]() mutable {
                  self->arrive(from, std::move(segment));
              });
}

bool Connection::path_is_open(std::size_t from) const {
    const SimNode& to = *ends_[other(from)].node;
    return to.has_power() && !network_.is_blocked(ends_[from].node->name(), to.name());
}

void Connection::arrive(std::size_t from, Segment segment) {
    if (!ends_[from].held.empty() || !path_is_open(from)) {
        hold_back(from, std::move(segment));
        return;
    }
    deliver(from, std::move(segment));
}

void Connection::deliver(std::size_t from, Segment segment) {
    const std::size_t to = other(from);
    End& end = ends_[to];
    if (segment.reset) {
        fail(to, {Code::closed, "connection reset by peer"});
        return;
    }
    const bool forgotten = end.boot != end.node->boot();
    if (end.closed || end.failure || forgotten) {
        if (!segment.bytes.empty() || forgotten) {
            // Nobody is there: the sender's kernel is told, unless its machine died as well.
            world_.in(latency(to), [self = shared_from_this(), from] {
                self->fail(from, {Code::closed, "connection reset by peer"});
            });
        }
        return;
    }
    end.inbox.append(segment.bytes);
    end.peer_ended = end.peer_ended || segment.end;
    tell_readable(to);
    if (World::chance(world_.network, world_.ambient.spurious_events)) {
        world_.in(latency(from), [self = shared_from_this(), to] {
            self->world_.count(FaultKind::spurious_event);
            self->tell_readable(to);
        });
    }
}

void Connection::hold_back(std::size_t from, Segment segment) {
    End& end = ends_[from];
    if (end.boot != end.node->boot() || !end.node->has_power()) {
        return;  // It was on the wire when its sender's machine died: nobody sends it again.
    }
    const bool is_first = end.held.empty();
    end.held.push_back(std::move(segment));
    if (!is_first) {
        return;
    }
    const std::uint64_t hold = ++end.hold;
    const Duration patience =
        Duration{world_.network.between(shortest_patience.count(), longest_patience.count())};
    world_.in(patience, [self = shared_from_this(), from, hold] {
        End& waiting = self->ends_[from];
        if (!waiting.held.empty() && waiting.hold == hold) {
            self->fail(from, {Code::timed_out, "the peer did not acknowledge"});
            waiting.held.clear();
        }
    });
}

void Connection::path_changed() {
    for (std::size_t from = 0; from < 2; ++from) {
        if (!ends_[from].held.empty() && path_is_open(from)) {
            const Duration wait = World::exponential(world_.network, retransmission);
            world_.in(wait, [self = shared_from_this(), from] { self->send_again(from); });
        }
    }
}

void Connection::send_again(std::size_t from) {
    if (!path_is_open(from)) {
        return;
    }
    std::deque<Segment> held = std::exchange(ends_[from].held, {});
    for (Segment& segment : held) {
        deliver(from, std::move(segment));
    }
}

void Connection::tell_readable(std::size_t side) {
    End& end = ends_[side];
    if (end.events == nullptr || end.paused || end.readable_scheduled) {
        return;
    }
    end.readable_scheduled = true;
    const Duration delay = World::up_to(world_.network, world_.ambient.post_delay);
    end.executor->notify(delay, [self = shared_from_this(), side, binding = end.binding] {
        End& now = self->ends_[side];
        if (now.binding != binding) {
            return;
        }
        now.readable_scheduled = false;
        if (!now.paused) {
            now.events->on_readable();
        }
    });
}

void Connection::tell_writable(std::size_t side, Duration delay) {
    End& end = ends_[side];
    if (end.events == nullptr || end.writable_scheduled) {
        return;
    }
    end.writable_scheduled = true;
    end.executor->notify(delay, [self = shared_from_this(), side, binding = end.binding] {
        End& now = self->ends_[side];
        if (now.binding != binding) {
            return;
        }
        now.writable_scheduled = false;
        now.write_blocked = false;
        now.events->on_writable();
    });
}

}  // namespace millrace::runtime::sim
