#include "runtime/real/real_node.h"

#include <utility>
#include <vector>

#include "runtime/real/internal/file_disk.h"
#include "runtime/real/internal/reactor.h"
#include "runtime/real/internal/resolver.h"
#include "runtime/real/internal/socket_net.h"
#include "runtime/real/internal/thread_disk_pool.h"
#include "runtime/real/os_random.h"

namespace millrace::runtime {

struct RealNode::Loop {
    Loop(std::unique_ptr<internal::Reactor> the_reactor, internal::Resolver& resolver,
         const Logger& log)
        : reactor(std::move(the_reactor)), net(*reactor, resolver, log) {}

    std::unique_ptr<internal::Reactor> reactor;
    internal::SocketNet net;
    OsRandom random;
};

struct RealNode::Parts {
    explicit Parts(const RealNodeOptions& options)
        : log(options.log), resolver(options.resolver_threads), pool(options.disk_threads) {}

    // Resolver and pool post to the loops: they end first, that is, they stand below them.
    const Logger log;
    internal::FileDisk disk;
    std::vector<std::unique_ptr<Loop>> loops;  ///< The last one is the control loop.
    internal::Resolver resolver;
    internal::ThreadDiskPool pool;
    bool started = false;
};

Result<std::unique_ptr<RealNode>> RealNode::create(RealNodeOptions options) {
    MR_ASSERT(options.data_shards > 0);
    auto parts = std::make_unique<Parts>(options);
    for (std::size_t i = 0; i <= options.data_shards; ++i) {
        const bool is_control = i == options.data_shards;
        MR_TRY(auto reactor,
               internal::Reactor::create(is_control ? "control" : fmt::format("data-{}", i)));
        parts->loops.push_back(
            std::make_unique<Loop>(std::move(reactor), parts->resolver, parts->log));
    }
    return std::unique_ptr<RealNode>(new RealNode(std::move(parts)));
}

RealNode::RealNode(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

RealNode::~RealNode() {
    stop();
}

void RealNode::start() {
    MR_ASSERT(!parts_->started);
    parts_->started = true;
    parts_->pool.start();
    for (const auto& loop : parts_->loops) {
        loop->reactor->start();
    }
}

void RealNode::stop() {
    parts_->resolver.stop();
    parts_->pool.stop();
    for (const auto& loop : parts_->loops) {
        loop->reactor->stop();
    }
    // Only now that no thread runs: what a task owns may belong to any loop.
    parts_->pool.discard_everything();
    for (const auto& loop : parts_->loops) {
        loop->reactor->discard_everything();
        loop->net.discard_everything();
    }
}

std::size_t RealNode::data_shards() const {
    return parts_->loops.size() - 1;
}

Shard RealNode::data_shard(std::size_t index) {
    MR_ASSERT(index < data_shards());
    return shard_of(*parts_->loops[index]);
}

Shard RealNode::control_shard() {
    return shard_of(*parts_->loops.back());
}

Shard RealNode::shard_of(Loop& loop) {
    return {loop.reactor.get(), &loop.net, &loop.random};
}

Disk& RealNode::disk() {
    return parts_->disk;
}

DiskPool& RealNode::disk_pool() {
    return parts_->pool;
}

const Logger& RealNode::log() const {
    return parts_->log;
}

const LoopStats& RealNode::loop_stats(std::size_t index) const {
    MR_ASSERT(index < parts_->loops.size());
    return parts_->loops[index]->reactor->stats();
}

internal::Reactor& RealNode::control_reactor() {
    return *parts_->loops.back()->reactor;
}

}  // namespace millrace::runtime
