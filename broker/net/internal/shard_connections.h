// net/internal/shard_connections.h
//
// The connections of one listener on one shard: their table, the shared scratch, one flush per loop
// for what was answered in it, and one slow timer for every deadline.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "net/internal/connection.h"

namespace millrace::net {

class ShardConnections final : public Reply::Target,
                               public std::enable_shared_from_this<ShardConnections> {
public:
    struct Shared {
        std::string listener;
        ServerLimits limits;
        StreamWrapper wrap;
        std::function<Duration(const std::string& address, Instant now)> admit;
        Dispatch* dispatch = nullptr;
        Ledger* ledger = nullptr;
        const Logger* log = nullptr;
        ServerCounters counters;
        std::atomic<std::uint64_t> next_id{1};
    };

    ShardConnections(std::shared_ptr<Shared> shared, runtime::Shard shard, std::size_t index);

    void add(runtime::StreamPtr stream, ConnectionGate::Place place);
    void drain(runtime::Task on_empty);
    void close_all();

    // Reply::Target
    void deliver(std::uint64_t connection, std::uint64_t sequence, Response response) override;
    void abandon(std::uint64_t connection, std::uint64_t sequence) override;
    runtime::Executor& home() override { return *shard_.executor; }
    bool is_open(std::uint64_t connection) const override;

    // For Connection.
    Shared& shared() { return *shared_; }
    const Logger& log() { return *shared_->log; }
    Instant now() const { return shard_.executor->clock().now(); }
    MutableBytes scratch();
    void flush_later(Connection& connection);
    void run_later(std::uint64_t connection, void (Connection::*method)());
    void run_after(Duration delay, std::uint64_t connection, void (Connection::*method)());
    void on_closed(std::uint64_t connection);

private:
    Connection* find(std::uint64_t connection) const;
    void arm_tick();

    std::shared_ptr<Shared> shared_;
    runtime::Shard shard_;
    std::size_t index_;
    std::unordered_map<std::uint64_t, std::unique_ptr<Connection>> connections_;
    std::unique_ptr<Buffer> scratch_;
    std::vector<std::uint64_t> to_flush_;
    runtime::TimerId tick_{};
    runtime::Task on_empty_;
    bool stopped_ = false;
};

}  // namespace millrace::net
