// runtime/sim/internal/sim_net.h
//
// The Net of one simulated loop.
#pragma once

#include <deque>
#include <memory>

#include "runtime/net.h"
#include "runtime/sim/internal/connection.h"
#include "runtime/sim/internal/sim_executor.h"
#include "runtime/sim/sim_network.h"

namespace millrace::runtime::sim {

class SimStream final : public Stream {
public:
    SimStream(std::shared_ptr<Connection> connection, std::size_t side, SimExecutor& executor);
    ~SimStream() override { close(); }

    void set_events(StreamEvents* events) override;
    Result<std::size_t> read(MutableBytes into) override;
    Result<std::size_t> write(std::span<const iovec> parts, bool more_follows) override;
    Result<std::size_t> send_file(File& file, std::uint64_t offset, std::size_t length) override;
    void pause_reading(bool paused) override;
    void close() override;
    const Address& peer() const override { return connection_->address(1 - side_); }
    const Address& local() const override { return connection_->address(side_); }

    void rebind(SimExecutor& executor);

private:
    void check_thread() const;

    const std::shared_ptr<Connection> connection_;
    const std::size_t side_;
    SimExecutor* executor_;
    bool has_events_ = false;
};

/// A listening port. Shared with the events on their way to it.
struct ListeningPort {
    SimNode* node = nullptr;
    SimExecutor* executor = nullptr;
    Address address;
    UniqueFunction<void(StreamPtr)> on_accept;
    std::deque<std::shared_ptr<Connection>> backlog;
    bool paused = false;
    bool open = true;
};

class SimNet final : public Net {
public:
    SimNet(SimNetwork& network, SimNode& node, SimExecutor& executor)
        : network_(network), world_(network.world_), node_(node), executor_(executor) {}

    Result<std::unique_ptr<Listener>> listen(const Address& at,
                                             UniqueFunction<void(StreamPtr)> on_accept) override;
    void connect(const Address& to, Duration timeout,
                 UniqueFunction<void(Result<StreamPtr>)> done) override;
    void look_up(const std::string& host,
                 UniqueFunction<void(Result<std::vector<std::string>>)> done) override;
    StreamPtr adopt(StreamPtr stream) override;

private:
    struct Attempt;
    void knock(const std::weak_ptr<Attempt>& weak, unsigned tries);
    void establish(const std::weak_ptr<Attempt>& weak, const std::shared_ptr<ListeningPort>& port);
    void answer(const std::weak_ptr<Attempt>& weak, Duration delay, Error error);

    SimNetwork& network_;
    World& world_;
    SimNode& node_;
    SimExecutor& executor_;
};

/// Takes the next connection of a port's backlog, if it may, in an event of its own.
void accept_next(World& world, const std::shared_ptr<ListeningPort>& port);

}  // namespace millrace::runtime::sim
