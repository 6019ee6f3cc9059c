#include "runtime/sim/internal/sim_net.h"

#include <utility>

#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

namespace {

constexpr std::size_t backlog_limit = 1024;
constexpr Duration first_retry = 1s;  ///< Of a handshake that nobody answers; doubles.

class SimListener final : public Listener {
public:
    SimListener(World& world, std::shared_ptr<ListeningPort> port)
        : world_(world), port_(std::move(port)) {}
    ~SimListener() override {
        port_->open = false;
        port_->node->close_port(port_->address.port);
        for (const auto& connection : port_->backlog) {
            connection->close(1);
        }
        port_->backlog.clear();
    }
    Address address() const override { return port_->address; }
    void pause_accepting(bool paused) override {
        port_->paused = paused;
        if (!paused) {
            for (std::size_t i = 0; i < port_->backlog.size(); ++i) {
                accept_next(world_, port_);
            }
        }
    }

private:
    World& world_;
    const std::shared_ptr<ListeningPort> port_;
};

bool is_any_host(const std::string& host) {
    return host.empty() || host == "0.0.0.0" || host == "::";
}

}  // namespace

void accept_next(World& world, const std::shared_ptr<ListeningPort>& port) {
    const Duration delay = World::up_to(world.network, world.ambient.post_delay);
    port->executor->notify(delay, [port] {
        if (!port->open || port->paused || port->backlog.empty()) {
            return;
        }
        auto connection = std::move(port->backlog.front());
        port->backlog.pop_front();
        port->on_accept(std::make_unique<SimStream>(std::move(connection), 1, *port->executor));
    });
}

struct SimNet::Attempt {
    Address to;
    Address from;
    SimNode* target = nullptr;
    SimExecutor* executor = nullptr;
    TimerId deadline;
    UniqueFunction<void(Result<StreamPtr>)> done;

    void finish(Result<StreamPtr> outcome) {
        executor->cancel(std::exchange(deadline, TimerId{}));
        std::exchange(done, nullptr)(std::move(outcome));
    }
};

Result<std::unique_ptr<Listener>> SimNet::listen(const Address& at,
                                                 UniqueFunction<void(StreamPtr)> on_accept) {
    MR_ASSERT(executor_.may_touch());
    if (!is_any_host(at.host) && network_.node_called(at.host, node_) != &node_) {
        return Error::make(Code::invalid, "listening on {}: Cannot assign requested address",
                           at.to_string());
    }
    auto port = std::make_shared<ListeningPort>();
    port->node = &node_;
    port->executor = &executor_;
    port->address = {node_.name(), at.port == 0 ? node_.free_port() : at.port};
    port->on_accept = std::move(on_accept);
    if (!node_.open_port(port->address.port, port)) {
        return Error::make(Code::exists, "listening on {}: Address already in use", at.to_string());
    }
    return std::unique_ptr<Listener>(std::make_unique<SimListener>(world_, std::move(port)));
}

void SimNet::connect(const Address& to, Duration timeout,
                     UniqueFunction<void(Result<StreamPtr>)> done) {
    MR_ASSERT(executor_.may_touch());
    auto attempt = std::make_shared<Attempt>();
    attempt->to = to;
    attempt->from = {node_.name(), node_.free_port()};
    attempt->target = network_.node_called(to.host, node_);
    attempt->executor = &executor_;
    attempt->done = std::move(done);
    const std::weak_ptr<Attempt> weak = attempt;
    // The timer owns the attempt: it ends with the deadline, with the answer or with the life.
    attempt->deadline = executor_.after(timeout, [attempt] {
        attempt->deadline = TimerId{};
        attempt->finish(
            Error::make(Code::timed_out, "{}: no answer in time", attempt->to.to_string()));
    });
    const Duration delay = network_.draw_latency(node_.name(), to.host);
    if (attempt->target == nullptr) {
        answer(weak, delay, Error::make(Code::not_found, "{}: unknown host", to.host));
        return;
    }
    if (World::chance(world_.network, world_.ambient.connect_failures)) {
        world_.count(FaultKind::connect_failure);
        answer(weak, delay, Error::make(Code::unavailable, "{}: refused", to.to_string()));
        return;
    }
    world_.in(delay, [this, weak] { knock(weak, 0); });
}

void SimNet::answer(const std::weak_ptr<Attempt>& weak, Duration delay, Error error) {
    executor_.notify(delay, [weak, error = std::move(error)]() mutable {
        if (const auto attempt = weak.lock()) {
            attempt->finish(std::move(error));
        }
    });
}

void SimNet::knock(const std::weak_ptr<Attempt>& weak, unsigned tries) {
    const auto attempt = weak.lock();
    if (!attempt) {
        return;
    }
    SimNode& target = *attempt->target;
    const bool is_heard = target.has_power() && !network_.is_blocked(node_.name(), target.name()) &&
                          !network_.is_blocked(target.name(), node_.name());
    const auto port = target.port(attempt->to.port);
    if (!is_heard || (port && port->backlog.size() >= backlog_limit)) {
        world_.in(first_retry * (1U << std::min(tries, 6U)),
                  [this, weak, tries] { knock(weak, tries + 1); });
    } else if (!port) {
        answer(weak, network_.draw_latency(target.name(), node_.name()),
               Error::make(Code::unavailable, "{}: Connection refused", attempt->to.to_string()));
    } else {
        if (World::chance(world_.network, world_.ambient.ghost_connections)) {
            // A handshake that was sent twice: one connection more, over which nothing comes.
            world_.count(FaultKind::ghost_connection);
            const auto ghost =
                std::make_shared<Connection>(network_, node_, attempt->from, target, port->address);
            network_.remember(ghost);
            port->backlog.push_back(ghost);
            accept_next(world_, port);
            ghost->close(0);
        }
        establish(weak, port);
    }
}

void SimNet::establish(const std::weak_ptr<Attempt>& weak,
                       const std::shared_ptr<ListeningPort>& port) {
    const auto attempt = weak.lock();
    const auto connection = std::make_shared<Connection>(network_, node_, attempt->from,
                                                         *attempt->target, port->address);
    network_.remember(connection);
    port->backlog.push_back(connection);
    accept_next(world_, port);
    world_.in(network_.draw_latency(attempt->target->name(), node_.name()), [weak, connection] {
        const auto waiting = weak.lock();
        if (!waiting) {
            connection->close(0);  // Too late: the kernel says good-bye.
            return;
        }
        auto stream = std::make_unique<SimStream>(connection, 0, *waiting->executor);
        waiting->executor->notify(Duration{}, [weak, stream = std::move(stream)]() mutable {
            if (const auto still = weak.lock()) {
                still->finish(StreamPtr(std::move(stream)));
            }
        });
    });
}

/// Here hosts are called what they are.
void SimNet::look_up(const std::string& host,
                     UniqueFunction<void(Result<std::vector<std::string>>)> done) {
    executor_.post([host, done = std::move(done)]() mutable { done(std::vector{host}); });
}

StreamPtr SimNet::adopt(StreamPtr stream) {
    static_cast<SimStream&>(*stream).rebind(executor_);
    return stream;
}

}  // namespace millrace::runtime::sim
