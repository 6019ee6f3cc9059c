#include "runtime/real/internal/thread_disk_pool.h"

#include <pthread.h>
#include <utility>

#include "runtime/disk_lanes.h"

namespace millrace::runtime::internal {

ThreadDiskPool::ThreadDiskPool(unsigned threads) : thread_count_(threads) {
    MR_ASSERT(threads > 0);
}

ThreadDiskPool::~ThreadDiskPool() {
    stop();
}

void ThreadDiskPool::start() {
    MR_ASSERT(threads_.empty());
    for (unsigned i = 0; i < thread_count_; ++i) {
        threads_.emplace_back([this] { work(); });
        ::pthread_setname_np(threads_.back().native_handle(), fmt::format("disk-{}", i).c_str());
    }
}

void ThreadDiskPool::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
        changed_.notify_all();
    }
    for (std::thread& thread : threads_) {
        thread.join();
    }
    threads_.clear();
}

void ThreadDiskPool::discard_everything() {
    std::deque<Job> ready;
    std::unordered_map<std::uint64_t, std::deque<Job>> lanes;
    const std::lock_guard lock(mutex_);
    MR_ASSERT(stopped_);
    ready.swap(ready_);
    lanes.swap(lanes_);
}

void ThreadDiskPool::run(std::uint64_t lane, Executor& home, UniqueFunction<void()> job,
                         UniqueFunction<void()> done) {
    Job entry{lane, &home, std::move(job), std::move(done)};  // Dropped outside the lock.
    const std::lock_guard lock(mutex_);
    if (stopped_) {
        return;
    }
    if (lane != 0) {
        const auto [place, is_free] = lanes_.try_emplace(lane);
        if (!is_free) {
            place->second.push_back(std::move(entry));
            return;
        }
    }
    if (lane == first_lane) {
        ready_.push_front(std::move(entry));
    } else {
        ready_.push_back(std::move(entry));
    }
    changed_.notify_one();
}

void ThreadDiskPool::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        changed_.wait(lock, [this] { return stopped_ || !ready_.empty(); });
        if (stopped_) {
            return;
        }
        Job job = std::move(ready_.front());
        ready_.pop_front();
        lock.unlock();
        job.work();
        job.work = nullptr;  // What it owns is gone before its owner hears.
        if (job.done) {
            job.home->post(std::move(job.done));
        }
        lock.lock();
        lane_is_free(job.lane);
    }
}

void ThreadDiskPool::lane_is_free(std::uint64_t lane) {
    const auto place = lanes_.find(lane);
    if (lane == 0 || place == lanes_.end()) {
        return;  // Lane 0 has no order; after stop() there are no lanes.
    }
    if (place->second.empty()) {
        lanes_.erase(place);
        return;
    }
    // At the end of the queue: a busy lane must not hold a thread against the others.
    if (lane == first_lane) {
        ready_.push_front(std::move(place->second.front()));
    } else {
        ready_.push_back(std::move(place->second.front()));
    }
    place->second.pop_front();
    changed_.notify_one();
}

}  // namespace millrace::runtime::internal
