#include "runtime/sim/sim_network.h"

#include <algorithm>

#include "runtime/sim/internal/connection.h"
#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

template <typename Visit>
void SimNetwork::each_connection(Visit visit) {
    // A copy: what is told may open or close others.
    const auto connections = connections_;
    for (const auto& weak : connections) {
        if (const auto connection = weak.lock()) {
            visit(*connection);
        }
    }
}

void SimNetwork::add_node(SimNode& node) {
    MR_ASSERT(nodes_.emplace(node.name(), &node).second);
}

SimNode* SimNetwork::node_called(const std::string& host, const SimNode& asker) const {
    if (host == "localhost" || host == "127.0.0.1" || host == "::1") {
        return nodes_.at(asker.name());
    }
    const auto found = nodes_.find(host);
    return found == nodes_.end() ? nullptr : found->second;
}

void SimNetwork::remember(const std::shared_ptr<Connection>& connection) {
    if (connections_.size() >= sweep_at_) {
        std::erase_if(connections_, [](const auto& weak) { return weak.expired(); });
        sweep_at_ = 64 + 2 * connections_.size();
    }
    connections_.push_back(connection);
}

std::size_t SimNetwork::open_connections() const {
    return static_cast<std::size_t>(
        std::count_if(connections_.begin(), connections_.end(), [](const auto& weak) {
            const auto connection = weak.lock();
            return connection && (connection->is_open(0) || connection->is_open(1));
        }));
}

Duration SimNetwork::draw_latency(const std::string& from, const std::string& to) {
    if (from == to) {
        return 10us;
    }
    Duration latency = world_.ambient.latency;
    if (world_.ambient.uneven_links > 1) {
        const std::uint64_t pair = derive_seed(derive_seed(world_.seed, from), to);
        latency *= static_cast<std::int64_t>(1 + pair % world_.ambient.uneven_links);
    }
    if (world_.ambient.jitter > Duration::zero()) {
        latency += World::exponential(world_.network, world_.ambient.jitter);
    }
    if (slow_.empty()) {
        return latency;
    }
    const auto slow = slow_.find({from, to});
    return slow == slow_.end() ? latency : latency + slow->second;
}

bool SimNetwork::is_blocked(const std::string& from, const std::string& to) const {
    return !blocked_.empty() && blocked_.count({from, to}) > 0;
}

void SimNetwork::block(const std::string& from, const std::string& to) {
    if (from != to) {
        ++blocked_[{from, to}];
    }
}

void SimNetwork::unblock(const std::string& from, const std::string& to) {
    const auto found = blocked_.find({from, to});
    if (found != blocked_.end() && --found->second == 0) {
        blocked_.erase(found);
        path_changed(from, to);
    }
}

void SimNetwork::partition(const std::string& a, const std::string& b) {
    block(a, b);
    block(b, a);
}

void SimNetwork::heal(const std::string& a, const std::string& b) {
    unblock(a, b);
    unblock(b, a);
}

void SimNetwork::heal_everything() {
    blocked_.clear();
    slow_.clear();
    each_connection([](Connection& connection) { connection.path_changed(); });
}

void SimNetwork::slow_down(const std::string& a, const std::string& b, Duration by) {
    slow_[{a, b}] = by;
    slow_[{b, a}] = by;
}

void SimNetwork::path_changed(const std::string& from, const std::string& to) {
    each_connection([&](Connection& connection) {
        for (std::size_t side = 0; side < 2; ++side) {
            if (connection.node(side).name() == from && connection.node(1 - side).name() == to) {
                connection.path_changed();
            }
        }
    });
}

void SimNetwork::reset_connections(const std::string& a, const std::string& b, bool quietly) {
    each_connection([&](Connection& connection) {
        for (std::size_t side = 0; side < 2; ++side) {
            const std::string& here = connection.node(side).name();
            const std::string& there = connection.node(1 - side).name();
            if (here != a || (there != b && !b.empty())) {
                continue;
            }
            world_.count(quietly ? FaultKind::half_open : FaultKind::reset);
            connection.fail(side, {Code::closed, "connection reset"});
            if (!quietly) {
                connection.fail(1 - side, {Code::closed, "connection reset by peer"});
            }
            return;
        }
    });
}

void SimNetwork::power_cut(SimNode& node) {
    each_connection([&](Connection& connection) {
        for (std::size_t side = 0; side < 2; ++side) {
            if (&connection.node(side) == &node) {
                connection.lose_power(side);
            }
        }
    });
}

void SimNetwork::node_booted(SimNode& node) {
    each_connection([&](Connection& connection) {
        if (&connection.node(0) == &node || &connection.node(1) == &node) {
            connection.path_changed();
        }
    });
}

}  // namespace millrace::runtime::sim
