// runtime/real/internal/thread_disk_pool.h
//
// The real DiskPool: N threads, one queue, lanes that let one job run at a time.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "runtime/disk.h"

namespace millrace::runtime::internal {

class ThreadDiskPool final : public DiskPool {
public:
    explicit ThreadDiskPool(unsigned threads);
    ~ThreadDiskPool() override;

    void run(std::uint64_t lane, Executor& home, UniqueFunction<void()> job,
             UniqueFunction<void()> done) override;

    void start();
    /// Ends after the jobs that run now; those that wait stay until discard_everything().
    void stop();
    void discard_everything();

private:
    struct Job {
        std::uint64_t lane = 0;
        Executor* home = nullptr;
        UniqueFunction<void()> work;
        UniqueFunction<void()> done;
    };

    void work();
    void lane_is_free(std::uint64_t lane);

    const unsigned thread_count_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> ready_;
    /// The lanes with a job that is ready or running, and what waits behind it.
    std::unordered_map<std::uint64_t, std::deque<Job>> lanes_;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace millrace::runtime::internal
