// runtime/real/real_node.h
//
// The one Node of a real process: data loops, a control loop, a disk pool. Loops accept posts,
// listeners and timers before start(); these run once it was called. After stop() no thread of the
// node runs: what its loops owned (streams, listeners) may then be destroyed from any thread, and
// must be before the node is.
#pragma once

#include <cstddef>
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "runtime/node.h"
#include "runtime/real/loop_stats.h"

namespace millrace::runtime {

namespace internal {
class Reactor;
}

struct RealNodeOptions {
    std::size_t data_shards = 1;
    unsigned disk_threads = 4;
    unsigned resolver_threads = 2;
    Logger log;
};

class RealNode final : public Node {
public:
    static Result<std::unique_ptr<RealNode>> create(RealNodeOptions options);
    ~RealNode() override;  ///< Stops first.

    void start();
    /// From outside its loops. Ends the disk jobs that run, then the loops; the rest never runs.
    void stop();

    std::size_t data_shards() const override;
    Shard data_shard(std::size_t index) override;
    Shard control_shard() override;
    Disk& disk() override;
    DiskPool& disk_pool() override;
    const Logger& log() const override;

    /// Index data_shards() is the control loop. From any thread.
    const LoopStats& loop_stats(std::size_t index) const;

    internal::Reactor& control_reactor();  ///< For other shells inside this room.

private:
    struct Loop;
    struct Parts;
    explicit RealNode(std::unique_ptr<Parts> parts);
    static Shard shard_of(Loop& loop);

    std::unique_ptr<Parts> parts_;
};

}  // namespace millrace::runtime
