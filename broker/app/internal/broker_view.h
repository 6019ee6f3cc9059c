// app/internal/broker_view.h
//
// What the edge (metrics, admin endpoint) may see of a broker. Everything pointed to outlives the
// edge and may be read from any thread, but for what says otherwise.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "admin/doors.h"
#include "app/internal/tls_node.h"
#include "handlers/dispatch.h"
#include "handlers/doors.h"
#include "metadata/publisher.h"
#include "mirror/links.h"
#include "net/ledger.h"
#include "net/server.h"
#include "raft/raft_driver.h"
#include "replication/cleaner.h"
#include "replication/throttle.h"

namespace millrace::app {

struct BrokerView {
    const handlers::Doors* doors = nullptr;
    /// Only on the first data loop.
    handlers::Dispatcher* dispatch = nullptr;
    runtime::Executor* dispatch_loop = nullptr;
    /// Only before the loops start, and on the control loop.
    metadata::Publisher* publisher = nullptr;
    /// Only on the control loop.
    const raft::RaftDriver* quorum = nullptr;
    const net::Ledger* ledger = nullptr;
    /// Its contexts; to reload them, only on the control loop.
    TlsNode* tls = nullptr;
    const replication::Throttles* throttles = nullptr;
    mirror::Links* mirrors = nullptr;  ///< Null without the broker role.
    std::string inter_broker_listener;
    net::StreamWrapper to_brokers;  ///< Around connections to it; empty for plaintext.
    std::vector<std::pair<std::string, const net::ServerCounters*>> listeners;
    std::vector<admin::LogDirectory> directories;
    std::vector<std::string> roles;
    std::string rack;
    std::function<bool()> is_ready;
    const replication::Cleaner* cleaner = nullptr;  ///< As mirrors.
};

}  // namespace millrace::app
