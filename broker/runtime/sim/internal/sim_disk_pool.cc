#include "runtime/sim/internal/sim_disk_pool.h"

#include <utility>

#include "runtime/sim/sim_node.h"

namespace millrace::runtime::sim {

EventOwner SimDiskPool::owner() const {
    return {node_.life(), &node_, nullptr, {}};
}

void SimDiskPool::run(std::uint64_t lane, Executor& home, UniqueFunction<void()> job,
                      UniqueFunction<void()> done) {
    Job entry{lane, &home, std::move(job), std::move(done)};
    if (!node_.accepts_tasks()) {
        return;
    }
    if (lane != 0) {
        const auto [place, is_free] = lanes_.try_emplace(lane);
        if (!is_free) {
            place->second.push_back(std::move(entry));
            return;
        }
    }
    ready_.push_back(std::move(entry));
    start_what_can();
}

void SimDiskPool::start_what_can() {
    while (idle_ > 0 && !ready_.empty()) {
        --idle_;
        Job job = std::move(ready_.front());
        ready_.pop_front();
        const Duration wait = World::exponential(world_.scheduling, world_.ambient.device_time) / 2;
        world_.events.add(world_.now + world_.stalled + wait, owner(),
                          [this, job = std::move(job)]() mutable { act(std::move(job)); });
    }
}

void SimDiskPool::act(Job job) {
    world_.in_pool_job = true;
    job.work();
    job.work = nullptr;
    world_.in_pool_job = false;
    const Duration took = std::exchange(world_.stalled, Duration{});
    world_.events.add(
        world_.now + took, owner(),
        [this, lane = job.lane, home = job.home, done = std::move(job.done)]() mutable {
            if (done) {
                home->post(std::move(done));
            }
            finish(lane);
        });
}

void SimDiskPool::finish(std::uint64_t lane) {
    ++idle_;
    const auto place = lanes_.find(lane);
    if (lane != 0 && place != lanes_.end()) {
        if (place->second.empty()) {
            lanes_.erase(place);
        } else {
            ready_.push_back(std::move(place->second.front()));
            place->second.pop_front();
        }
    }
    start_what_can();
}

void SimDiskPool::forget_everything() {
    const std::deque<Job> ready = std::exchange(ready_, {});
    const std::map<std::uint64_t, std::deque<Job>> lanes = std::exchange(lanes_, {});
    idle_ = workers_;
}

}  // namespace millrace::runtime::sim
