// tests/sim/systems/promises.h
//
// What the loops and the disk pool promise to everybody, held against what they do: timers come
// when they are due and not before, what was cancelled does not come, tasks of one poster keep
// their order, jobs of one lane run one at a time and in order, done comes after its job and on its
// own loop, a loop's clock does not go back, and nothing is lost while the machine lives.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "runtime/node.h"

namespace millrace::simtest {

/// All of its state belongs to the control loop of `node`; `broken` hears of a promise that was not
/// kept.
class PromiseKeeper {
public:
    using Broken = std::function<void(const std::string&)>;

    PromiseKeeper(runtime::Node& node, Broken broken);
    ~PromiseKeeper();
    PromiseKeeper(const PromiseKeeper&) = delete;
    PromiseKeeper& operator=(const PromiseKeeper&) = delete;

    /// One thing of a few kinds, drawn from `random`. On the control loop.
    void try_one(SeededRandom random);
    /// What was begun and has not come to its end.
    std::size_t open() const { return open_; }

private:
    void timer(Duration delay);
    void cancelled_timer(Duration delay, Duration cancelled_after);
    void posts_there_and_back(runtime::Executor& there, int count);
    void jobs_in_a_lane(std::uint64_t lane, int count);
    /// Every task begins with this.
    void look_at_clock();
    /// A task on the control loop that says nothing once this keeper is gone.
    runtime::Task ours(std::function<void()> task);

    runtime::Node& node_;
    runtime::Executor& loop_;
    const Broken broken_;
    Instant last_now_;
    std::size_t open_ = 0;
    std::uint64_t next_lane_ = 1;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace millrace::simtest
