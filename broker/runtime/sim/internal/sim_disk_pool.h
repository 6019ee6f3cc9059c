// runtime/sim/internal/sim_disk_pool.h
//
// The simulated DiskPool: a few workers in name, jobs that take drawn times. A job acts at one
// moment; what it took of the device lies partly before and partly after, so that a crash finds it
// not done, done and unheard of, or heard of.
#pragma once

#include <cstdint>
#include <deque>
#include <map>

#include "runtime/disk.h"
#include "runtime/sim/internal/world.h"

namespace millrace::runtime::sim {

class SimNode;

class SimDiskPool final : public DiskPool {
public:
    SimDiskPool(World& world, SimNode& node, unsigned workers)
        : world_(world), node_(node), workers_(workers), idle_(workers) {}

    void run(std::uint64_t lane, Executor& home, UniqueFunction<void()> job,
             UniqueFunction<void()> done) override;

    void forget_everything();  ///< The life ended.

private:
    struct Job {
        std::uint64_t lane = 0;
        Executor* home = nullptr;
        UniqueFunction<void()> work;
        UniqueFunction<void()> done;
    };

    void start_what_can();
    void act(Job job);
    void finish(std::uint64_t lane);
    EventOwner owner() const;

    World& world_;
    SimNode& node_;
    const unsigned workers_;
    unsigned idle_;
    std::deque<Job> ready_;
    std::map<std::uint64_t, std::deque<Job>> lanes_;
};

}  // namespace millrace::runtime::sim
