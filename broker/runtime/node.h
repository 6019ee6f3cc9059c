// runtime/node.h
//
// Everything a broker object gets from its machine. One real Node per process, many simulated ones
// per simulation; a broker holds no other door to the world.
#pragma once

#include <cstddef>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "runtime/buggify.h"
#include "runtime/disk.h"
#include "runtime/executor.h"
#include "runtime/net.h"

namespace millrace::runtime {

/// A loop with what is bound to it.
struct Shard {
    Executor* executor = nullptr;
    Net* net = nullptr;
    Random* random = nullptr;
};

class Node {
public:
    virtual ~Node() = default;
    virtual std::size_t data_shards() const = 0;
    virtual Shard data_shard(std::size_t index) = 0;
    virtual Shard control_shard() = 0;  ///< Quorum, metadata, coordinators: never starved by data.
    virtual Disk& disk() = 0;
    virtual DiskPool& disk_pool() = 0;
    virtual const Logger& log() const = 0;
    virtual Buggify& buggify() { return Buggify::never(); }
};

}  // namespace millrace::runtime
