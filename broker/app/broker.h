// app/broker.h
//
// One broker (and controller) on one Node: made from its configuration, started, stopped. Several
// may live in one process, each on a Node of its own; nothing is shared between them.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/config.h"
#include "metrics/metrics.h"
#include "net/ledger.h"
#include "runtime/node.h"

namespace millrace::app {

struct BrokerView;

struct BrokerOptions {
    std::shared_ptr<const config::Given> given;
    std::string host_name = "localhost";  ///< Advertised where a listener names no host.
    /// Whether a name leads to this machine; may block. None: nobody knows.
    std::function<bool(const std::string& host)> is_own_host;
    /// What requests and answers may hold in memory together; none: a gibibyte. Outlives the node,
    /// for what its last tasks hold is given back when they go.
    std::shared_ptr<net::Ledger> request_memory;
    /// Where requests are counted; none: nowhere. Outlives the broker.
    std::shared_ptr<metrics::Registry> registry;
    std::int32_t max_connections = 0;  ///< The machine's bound on max.connections; 0: none.
    std::size_t log_files = 4096;      ///< Segment files held open; the rest is opened when needed.
    /// What compaction may hold in memory, whatever log.cleaner.dedupe.buffer.size asks for.
    std::size_t compaction_bytes = std::size_t{128} << 20;
    unsigned journal_after = 100;  ///< Syncs that meet, within a second, before it is made.
};

class Broker {
public:
    /// Opens directories and the quorum, listens; blocks on the disk, so it comes before the loops
    /// start. The node outlives the broker. `on_halt` runs on the control loop when going on would
    /// lose data; the process should end.
    static Result<std::unique_ptr<Broker>> make(BrokerOptions options, runtime::Node& node,
                                                UniqueFunction<void(Error)> on_halt);
    ~Broker();

    /// Asks the controller to move leadership away, answers what is open, then runs `done` on the
    /// control loop. From the control loop. Afterwards stop the node and call close().
    void drain(UniqueFunction<void()> done);
    /// After the node's loops have stopped: writes what a clean start needs.
    Result<void> close();

    /// Instead of starting the node, when something beside the broker could not start: the
    /// directories are as their last owner left them.
    void give_up();

    bool is_ready() const;  ///< Unfenced and serving. From any thread.
    const std::string& cluster_id() const;
    /// For the edge, see there for what may be done from where.
    BrokerView view() const;
    /// Where the broker listener with this name really listens; for tests with port 0.
    runtime::Address listening_at(const std::string& listener) const;

private:
    struct Inside;
    explicit Broker(std::unique_ptr<Inside> inside);
    std::unique_ptr<Inside> inside_;
};

}  // namespace millrace::app
