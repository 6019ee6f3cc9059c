#include "net/server.h"

#include <unordered_map>
#include <utility>

#include "net/internal/shard_connections.h"

namespace millrace::net {

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
public:
    Impl(Options options, std::vector<runtime::Shard> shards, Dispatch& dispatch, Ledger& ledger,
         const Logger& log)
        : address_(std::move(options.address)),
          paused_(options.start_paused),
          shards_(std::move(shards)),
          shared_(std::make_shared<ShardConnections::Shared>()) {
        shared_->listener = std::move(options.listener);
        shared_->limits = options.limits;
        shared_->wrap = std::move(options.wrap);
        shared_->admit = std::move(options.admit);
        pace_ = std::move(options.pace);
        gate_ = options.gate ? std::move(options.gate) : ConnectionGate::make();
        shared_->dispatch = &dispatch;
        shared_->ledger = &ledger;
        shared_->log = &log;
        for (std::size_t i = 0; i < shards_.size(); ++i) {
            tables_.push_back(std::make_shared<ShardConnections>(shared_, shards_[i], i));
        }
    }

    Result<void> listen() {
        MR_TRY(listener_, shards_.front().net->listen(address_, [this](runtime::StreamPtr stream) {
            on_accept(std::move(stream));
        }));
        listener_->pause_accepting(paused_);
        return {};
    }

    void on_accept(runtime::StreamPtr stream) {
        ServerCounters& counters = shared_->counters;
        auto place = gate_->enter(shared_->listener, stream->peer().host);
        if (!place) {
            counters.refused.fetch_add(1, std::memory_order_relaxed);
            MR_LOG(*shared_->log, warn, "net.connection_refused",
                   field("listener", shared_->listener), field("peer", stream->peer().to_string()),
                   field("reason", place.error().message()));
            return;
        }
        runtime::Executor& executor = *shards_.front().executor;
        const Duration wait = pace_ ? pace_(executor.clock().now()) : Duration{};
        if (wait == Duration{}) {
            let_in(std::move(stream), *std::move(place));
            return;
        }
        ++at_the_door_;
        listener_->pause_accepting(true);
        executor.after(wait, [weak = weak_from_this(), stream = std::move(stream),
                              place = *std::move(place)]() mutable {
            if (auto self = weak.lock(); self && self->listener_) {
                if (--self->at_the_door_ == 0) {
                    self->listener_->pause_accepting(false);
                }
                self->let_in(std::move(stream), std::move(place));
            }
        });
    }

    void let_in(runtime::StreamPtr stream, ConnectionGate::Place place) {
        ServerCounters& counters = shared_->counters;
        counters.open_connections.fetch_add(1, std::memory_order_relaxed);
        counters.accepted.fetch_add(1, std::memory_order_relaxed);
        const std::size_t target = next_shard_++ % shards_.size();
        if (target == 0) {
            tables_.front()->add(std::move(stream), std::move(place));
            return;
        }
        shards_[target].executor->post([table = tables_[target], net = shards_[target].net,
                                        stream = std::move(stream),
                                        place = std::move(place)]() mutable {
            table->add(net->adopt(std::move(stream)), std::move(place));
        });
    }

    void drain(Duration deadline, runtime::Task done) {
        listener_.reset();
        drained_ = std::move(done);
        waiting_ = tables_.size();
        for (std::size_t i = 0; i < tables_.size(); ++i) {
            shards_[i].executor->post([self = shared_from_this(), i] {
                // Weak: the table keeps it, and we keep the table.
                self->tables_[i]->drain([weak = self->weak_from_this()] {
                    if (auto server = weak.lock()) {
                        server->shards_.front().executor->post([server] { server->one_empty(); });
                    }
                });
            });
        }
        shards_.front().executor->after(deadline, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->finish();
            }
        });
    }

    void resume() {
        if (listener_) {
            listener_->pause_accepting(false);
        }
    }

    void one_empty() {
        if (--waiting_ == 0) {
            finish();
        }
    }

    void finish() {
        if (drained_) {
            auto done = std::move(drained_);
            drained_ = {};
            done();
        }
    }

    void stop() {
        listener_.reset();
        for (std::size_t i = 0; i < tables_.size(); ++i) {
            if (shards_[i].executor->is_current()) {
                tables_[i]->close_all();
            } else {
                shards_[i].executor->post([table = tables_[i]] { table->close_all(); });
            }
        }
    }

    runtime::Address address() const { return listener_ ? listener_->address() : address_; }
    const ServerCounters& counters() const { return shared_->counters; }

private:
    runtime::Address address_;
    bool paused_ = false;
    std::vector<runtime::Shard> shards_;
    std::shared_ptr<ShardConnections::Shared> shared_;
    std::shared_ptr<ConnectionGate> gate_;
    std::function<Duration(Instant)> pace_;
    std::size_t at_the_door_ = 0;  ///< Accepted, and not let in yet.
    std::vector<std::shared_ptr<ShardConnections>> tables_;
    std::unique_ptr<runtime::Listener> listener_;
    std::size_t next_shard_ = 0;
    std::size_t waiting_ = 0;
    runtime::Task drained_;
};

Result<std::unique_ptr<Server>> Server::start(Options options, std::vector<runtime::Shard> shards,
                                              Dispatch& dispatch, Ledger& ledger,
                                              const Logger& log) {
    auto impl =
        std::make_shared<Impl>(std::move(options), std::move(shards), dispatch, ledger, log);
    MR_TRY_VOID(impl->listen());
    return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

Server::~Server() {
    impl_->stop();
}

void Server::resume() {
    impl_->resume();
}

runtime::Address Server::address() const {
    return impl_->address();
}

const ServerCounters& Server::counters() const {
    return impl_->counters();
}

void Server::drain(Duration deadline, runtime::Task done) {
    impl_->drain(deadline, std::move(done));
}

}  // namespace millrace::net
