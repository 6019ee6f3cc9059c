#include "net/internal/shard_connections.h"

#include <algorithm>
#include <utility>

namespace millrace::net {
namespace {

constexpr std::size_t scratch_size = 256U << 10;
constexpr Duration tick_interval = 1s;

}  // namespace

ShardConnections::ShardConnections(std::shared_ptr<Shared> shared, runtime::Shard shard,
                                   std::size_t index)
    : shared_(std::move(shared)), shard_(shard), index_(index) {}

void ShardConnections::add(runtime::StreamPtr stream, ConnectionGate::Place place) {
    if (stopped_) {
        shared_->counters.open_connections.fetch_sub(1, std::memory_order_relaxed);
        return;
    }
    const Duration wait = shared_->admit ? shared_->admit(stream->peer().host, now()) : Duration{};
    if (shared_->wrap) {
        stream = shared_->wrap(std::move(stream), shard_, {});
    }
    ConnectionInfo info;
    info.id = shared_->next_id.fetch_add(1, std::memory_order_relaxed);
    info.shard = index_;
    info.listener = shared_->listener;
    info.peer = stream->peer();
    info.local = stream->local();
    const std::uint64_t id = info.id;
    auto connection =
        std::make_unique<Connection>(*this, std::move(info), std::move(stream), std::move(place));
    Connection& added = *connection;
    connections_.emplace(id, std::move(connection));
    if (wait > Duration{}) {
        added.turn_away(wait);
    } else {
        added.start();
    }
    arm_tick();
}

void ShardConnections::drain(runtime::Task on_empty) {
    on_empty_ = std::move(on_empty);
    stopped_ = true;
    std::vector<std::uint64_t> ids;
    // unordered: sorted before anything is done
    for (const auto& [id, connection] : connections_) {
        ids.push_back(id);
    }
    std::sort(ids.begin(), ids.end());
    for (const std::uint64_t id : ids) {
        if (Connection* connection = find(id)) {
            connection->drain();
        }
    }
    if (connections_.empty() && on_empty_) {
        shard_.executor->post(std::move(on_empty_));
    }
}

void ShardConnections::close_all() {
    stopped_ = true;
    shard_.executor->cancel(tick_);
    tick_ = {};
    const auto gone = static_cast<std::int64_t>(connections_.size());
    shared_->counters.open_connections.fetch_sub(gone, std::memory_order_relaxed);
    connections_.clear();
}

void ShardConnections::deliver(std::uint64_t id, std::uint64_t sequence, Response response) {
    if (Connection* connection = find(id)) {
        connection->deliver(sequence, std::move(response));
    }
}

void ShardConnections::abandon(std::uint64_t id, std::uint64_t) {
    if (Connection* connection = find(id)) {
        connection->close("request dropped without an answer", true);
    }
}

MutableBytes ShardConnections::scratch() {
    if (!scratch_) {
        scratch_ = std::make_unique<Buffer>(scratch_size);
    }
    return *scratch_;
}

void ShardConnections::flush_later(Connection& connection) {
    if (to_flush_.empty()) {
        shard_.executor->post([weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                const std::vector<std::uint64_t> ids = std::exchange(self->to_flush_, {});
                for (const std::uint64_t id : ids) {
                    if (Connection* ready = self->find(id)) {
                        ready->flush();
                    }
                }
            }
        });
    }
    to_flush_.push_back(connection.info().id);
}

void ShardConnections::run_later(std::uint64_t id, void (Connection::*method)()) {
    shard_.executor->post([weak = weak_from_this(), id, method] {
        if (auto self = weak.lock()) {
            if (Connection* connection = self->find(id)) {
                (connection->*method)();
            }
        }
    });
}

void ShardConnections::run_after(Duration delay, std::uint64_t id, void (Connection::*method)()) {
    shard_.executor->after(delay, [weak = weak_from_this(), id, method] {
        if (auto self = weak.lock()) {
            if (Connection* connection = self->find(id)) {
                (connection->*method)();
            }
        }
    });
}

void ShardConnections::on_closed(std::uint64_t id) {
    // Later: the connection may be on the stack right now.
    shard_.executor->post([weak = weak_from_this(), id] {
        auto self = weak.lock();
        if (!self || self->connections_.erase(id) == 0) {
            return;
        }
        self->shared_->counters.open_connections.fetch_sub(1, std::memory_order_relaxed);
        if (self->connections_.empty() && self->on_empty_) {
            auto on_empty = std::move(self->on_empty_);
            on_empty();
        }
    });
}

bool ShardConnections::is_open(std::uint64_t id) const {
    return find(id) != nullptr;
}

Connection* ShardConnections::find(std::uint64_t id) const {
    const auto at = connections_.find(id);
    return at == connections_.end() || at->second->closed() ? nullptr : at->second.get();
}

void ShardConnections::arm_tick() {
    if (tick_ || connections_.empty()) {
        return;
    }
    tick_ = shard_.executor->after(tick_interval, [weak = weak_from_this()] {
        auto self = weak.lock();
        if (!self) {
            return;
        }
        self->tick_ = {};
        const Instant now = self->now();
        // unordered: the deadlines of one connection say nothing of another's
        for (const auto& [id, connection] : self->connections_) {
            if (!connection->closed()) {
                connection->check_deadlines(now);  // closing defers the erase: iteration is safe
            }
        }
        self->arm_tick();
    });
}

}  // namespace millrace::net
