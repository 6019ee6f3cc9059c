// runtime/real/internal/mailbox.h
//
// Tasks from other threads. A poster rings the bell (one eventfd write) only if the loop sleeps and
// nobody has rung since it lay down: at most one write per sleep, however many post. A mutex around
// a vector beats a lock-free list here: no allocation per task, and the loop takes all at once.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "runtime/executor.h"

namespace millrace::runtime::internal {

class Mailbox {
public:
    /// `bell` is an eventfd that the loop polls.
    explicit Mailbox(int bell) : bell_(bell) {}

    /// From any thread. False once closed: the task is destroyed here, unrun.
    bool post(Task task);
    /// Makes the loop return from its next sleep. From any thread.
    void wake();

    // The loop's side.
    bool empty() const { return !filled_.load(std::memory_order_acquire); }
    /// Swaps what waits into `into`, which must be empty.
    void take(std::vector<Task>& into);
    /// True if the loop may sleep: nothing waits, and from now on a poster rings.
    bool lie_down();
    void get_up();
    /// No more tasks; returns those that never ran.
    std::vector<Task> close();

private:
    void ring() const;

    const int bell_;
    std::atomic<bool> filled_{false};
    std::mutex mutex_;
    std::vector<Task> tasks_;
    bool sleeping_ = false;
    bool woken_ = false;
    bool closed_ = false;
};

}  // namespace millrace::runtime::internal
