// tests/support/wait_for.h
//
// Threads in a test meet here: a one-shot latch with a deadline far beyond any honest delay, so a
// hang fails the test instead of the build.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace millrace::support {

class Latch {
public:
    explicit Latch(int count = 1) : count_(count) {}

    void count_down() {
        const std::lock_guard lock(mutex_);
        --count_;
        changed_.notify_all();
    }
    /// False if the others did not come.
    [[nodiscard]] bool wait(std::chrono::seconds limit = std::chrono::seconds{30}) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, limit, [this] { return count_ <= 0; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int count_;
};

}  // namespace millrace::support
