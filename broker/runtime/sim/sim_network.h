// runtime/sim/sim_network.h
//
// The wires between simulated nodes. A node's name is its host name; "localhost" and "127.0.0.1"
// are itself. Connections behave as TCP does: bytes are never reordered or lost inside a living
// connection, a partition delays them, and who crashed tells nobody unless its kernel lives.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime/net.h"
#include "runtime/sim/internal/world.h"

namespace millrace::runtime::sim {

class Connection;
class SimNode;

class SimNetwork {
public:
    explicit SimNetwork(World& world) : world_(world) {}

    // Between nodes, by name.
    void block(const std::string& from, const std::string& to);
    void unblock(const std::string& from, const std::string& to);
    void partition(const std::string& a, const std::string& b);
    void heal(const std::string& a, const std::string& b);
    void heal_everything();
    void slow_down(const std::string& a, const std::string& b, Duration by);
    /// Cuts every connection between the two; "" is everybody. `quietly`: only `a` hears of it.
    void reset_connections(const std::string& a, const std::string& b, bool quietly);

    bool is_blocked(const std::string& from, const std::string& to) const;
    std::size_t open_connections() const;

private:
    friend class Connection;
    friend class SimNet;
    friend class SimNode;
    friend class SimStream;
    friend class Simulation;

    Duration draw_latency(const std::string& from, const std::string& to);
    void path_changed(const std::string& from, const std::string& to);
    SimNode* node_called(const std::string& host, const SimNode& asker) const;
    void add_node(SimNode& node);
    void remember(const std::shared_ptr<Connection>& connection);
    /// What a kernel forgets when the power goes. (A killed process leaves good-byes by itself: its
    /// streams are destroyed.)
    void power_cut(SimNode& node);
    void node_booted(SimNode& node);
    template <typename Visit>
    void each_connection(Visit visit);

    World& world_;
    std::map<std::string, SimNode*> nodes_;
    std::map<std::pair<std::string, std::string>, int> blocked_;  ///< How many faults block it.
    std::map<std::pair<std::string, std::string>, Duration> slow_;
    std::vector<std::weak_ptr<Connection>> connections_;
    std::size_t sweep_at_ = 64;
};

}  // namespace millrace::runtime::sim
