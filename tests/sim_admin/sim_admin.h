// The simulated cluster behind a real gRPC endpoint on loopback, with the real gate in front
// (rules, guards, repeated calls): a client under test can't tell it from a broker.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "admin/server.h"
#include "tests/sim_admin/sim_cluster.h"

namespace millrace::sim_admin {

class SimAdmin {
public:
    /// Listens on a free port; all brokers of the cluster answer alike. `denied` names resources
    /// that nobody may use.
    explicit SimAdmin(std::shared_ptr<SimCluster> cluster, std::set<std::string> denied = {});
    ~SimAdmin();

    std::uint16_t port() const;
    std::string address() const { return "127.0.0.1:" + std::to_string(port()); }
    /// As if the broker's process ended.
    void stop();

private:
    std::unique_ptr<admin::Server> server_;
};

}  // namespace millrace::sim_admin
