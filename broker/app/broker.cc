#include "app/broker.h"

#include <iterator>
#include <utility>

#include "app/internal/broker_inside.h"
#include "app/internal/broker_view.h"
#include "app/internal/settings.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

constexpr Duration drain_deadline = 5s;
constexpr Duration leave_patience = 10s;

}  // namespace

void Broker::Inside::start_on_control() {
    metadata->start([this](const Error& why) {
        // Whatever it says, it isn't what we were started with: that was read before.
        halt(why.code() == Code::invalid ? Error(Code::internal, why.message()) : why);
    });
    tls->start();
    if (roles.broker) {
        proposals->connect(*controller, *lifecycle, replicas);
        keeper->set(config->broker());
        move_throttle->start();
        recover_logs(
            [this](std::vector<Uuid> recovered) { lifecycle->start(std::move(recovered)); });
    }
}

void Broker::Inside::halt(Error why) {
    MR_LOG(log, error, "broker.halted", field("reason", why.message()));
    if (on_halt) {
        on_halt(std::move(why));
    }
}

Result<std::unique_ptr<Broker>> Broker::make(BrokerOptions options, runtime::Node& node,
                                             UniqueFunction<void(Error)> on_halt) {
    auto inside = std::make_unique<Inside>(node);
    inside->on_halt = std::move(on_halt);
    MR_TRY_VOID(inside->open(std::move(options)));
    node.control_shard().executor->post([raw = inside.get()] { raw->start_on_control(); });
    return std::unique_ptr<Broker>(new Broker(std::move(inside)));
}

Broker::Broker(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}

Broker::~Broker() = default;

void Broker::drain(UniqueFunction<void()> done) {
    Inside& inside = *inside_;
    inside.draining = true;
    inside.ready = false;
    auto shared = std::make_shared<UniqueFunction<void()>>(std::move(done));
    const auto stop_quorum = [&inside, shared] {
        inside.driver->shutdown(2s, [shared] { (*shared)(); });
    };
    const auto quiet_logs = [&inside, stop_quorum] {
        runtime::Executor& control = *inside.node.control_shard().executor;
        auto left = std::make_shared<std::size_t>(1);
        const auto arrive = [left, stop_quorum] {
            if (--*left == 0) {
                stop_quorum();
            }
        };
        for (std::size_t i = 0; i < inside.replicas.size(); ++i) {
            ++*left;
            inside.replicas.on_shard(i, [&control, arrive](replication::ShardReplicas& shard) {
                shard.quiesce([&control, arrive] { control.post(arrive); });
            });
        }
        control.post(arrive);
    };
    const auto stop_keeping = [&inside, quiet_logs] {
        inside.keeper ? inside.keeper->stop(quiet_logs) : quiet_logs();
    };
    const auto stop_listeners = [&inside, stop_keeping] {
        runtime::Executor& control = *inside.node.control_shard().executor;
        auto left = std::make_shared<std::size_t>(1);
        const auto arrive = [left, stop_keeping] {
            if (--*left == 0) {
                stop_keeping();
            }
        };
        for (Inside::Listening& one : inside.servers) {
            if (one.controller) {
                continue;
            }
            ++*left;
            inside.node.data_shard(0).executor->post([&one, &control, arrive] {
                one.server->drain(drain_deadline, [&control, arrive] { control.post(arrive); });
            });
        }
        control.post(arrive);
    };
    if (inside.lifecycle && inside.config->broker().get(option::controlled_shutdown_enable)) {
        inside.lifecycle->leave(leave_patience, stop_listeners);
    } else {
        stop_listeners();
    }
}

Result<void> Broker::close() {
    Inside& inside = *inside_;
    inside.servers.clear();
    inside.groups.reset();
    inside.mirrors.reset();
    Result<void> outcome;
    std::vector<replication::LogMark> marks;
    for (auto& shard : inside.shards) {
        auto closed = shard->close_cleanly();
        if (!closed) {
            outcome = closed.error();
            continue;
        }
        std::move(closed->begin(), closed->end(), std::back_inserter(marks));
    }
    if (outcome && inside.keeper) {
        outcome = inside.keeper->close(marks);
    }
    inside.driver.reset();
    if (outcome) {
        outcome = inside.mark_clean_shutdown(inside.lifecycle ? inside.lifecycle->epoch()
                                                              : BrokerEpoch{-1});
    }
    return outcome;
}

void Broker::give_up() {
    inside_->give_up();
}

bool Broker::is_ready() const {
    return inside_->ready;
}

BrokerView Broker::view() const {
    Inside& inside = *inside_;
    BrokerView view;
    view.doors = &inside.doors;
    view.dispatch = inside.broker_dispatch.get();
    view.dispatch_loop = inside.node.data_shard(0).executor;
    view.publisher = &inside.metadata->publisher();
    view.quorum = inside.driver.get();
    view.ledger = inside.ledger.get();
    view.tls = inside.tls.get();
    view.throttles = inside.throttles.get();
    view.mirrors = inside.mirrors ? &inside.mirrors->links() : nullptr;
    view.cleaner = inside.keeper ? &inside.keeper->cleaner() : nullptr;
    for (const Inside::Listening& one : inside.servers) {
        view.listeners.emplace_back(one.name, &one.server->counters());
    }
    view.inter_broker_listener = inside.inter_broker_listener(inside.config->broker());
    view.to_brokers = inside.tls->dialed(view.inter_broker_listener);
    for (const auto& directory : inside.store->directories()) {
        view.directories.push_back({directory->id(), directory->path()});
    }
    view.roles = inside.config->broker().get(option::process_roles);
    view.rack = inside.config->broker().get(option::broker_rack);
    view.is_ready = [&inside] { return inside.ready.load(); };
    return view;
}

const std::string& Broker::cluster_id() const {
    return inside_->cluster_id;
}

runtime::Address Broker::listening_at(const std::string& listener) const {
    for (const Inside::Listening& one : inside_->servers) {
        if (one.name == listener) {
            return one.server->address();
        }
    }
    return {};
}

}  // namespace millrace::app
