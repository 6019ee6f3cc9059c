// runtime/real/internal/reactor.h
//
// The real Executor: one thread, one epoll set, one timing wheel, one mailbox. A turn waits for
// events, reads the clock once, and runs in this order: ready descriptors, due timers, tasks. Each
// phase runs only what was there when it began, so none can starve another.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "runtime/executor.h"
#include "runtime/real/internal/mailbox.h"
#include "runtime/real/internal/system.h"
#include "runtime/real/internal/timing_wheel.h"
#include "runtime/real/loop_stats.h"

namespace millrace::runtime::internal {

/// What a descriptor's owner hears: the EPOLL* bits.
class Watcher {
public:
    virtual void on_ready(std::uint32_t events) = 0;
    /// Whose descriptor it is, for the last words of a process.
    virtual std::string about() const = 0;

protected:
    ~Watcher() = default;
};

/// A registered descriptor. Zero: none.
struct WatchId {
    std::uint64_t value = 0;
    explicit operator bool() const { return value != 0; }
};

class Reactor final : public Executor {
public:
    static Result<std::unique_ptr<Reactor>> create(std::string name);
    ~Reactor() override;

    void start();  ///< On a thread of its own.
    /// Ends the loop and waits for its thread. What had not run stays until discard_everything().
    void stop();
    /// Destroys every task and timer; after stop().
    void discard_everything();

    const Clock& clock() const override { return clock_; }
    void post(Task task) override;
    TimerId after(Duration delay, Task task) override;
    void cancel(TimerId timer) override;
    bool is_current() const override;
    Instant read_clock() const override { return monotonic_now(); }

    /// A place for `watcher` in this loop; arm() makes the kernel report to it. remove() ends that
    /// at once, even for events of this turn that were not told yet: call it before closing.
    WatchId add(Watcher& watcher);
    Result<void> arm(WatchId watch, int descriptor, std::uint32_t events);
    void change(WatchId watch, int descriptor, std::uint32_t events);
    void remove(WatchId watch, int descriptor);
    bool is_watched(WatchId watch) { return watcher_of(watch.value) != nullptr; }
    /// Tells the watcher `events` in the next turn, as if the kernel had.
    void tell(WatchId watch, std::uint32_t events);

    /// This thread owns the loop's objects: it is the loop's, or the loop does not run.
    bool may_touch() const { return is_current() || !running_.load(std::memory_order_acquire); }

    const LoopStats& stats() const { return stats_; }

private:
    class LoopClock final : public Clock {
    public:
        Instant now() const override { return now_; }
        Timestamp wall() const override;
        void refresh();

    private:
        Instant now_;
        mutable Timestamp wall_;
        mutable bool wall_read_ = false;
    };
    struct Slot {
        Watcher* watcher = nullptr;
        std::uint32_t generation = 1;
        std::uint32_t next_free = 0;
    };

    explicit Reactor(std::string name, Descriptor epoll, Descriptor bell);
    void run();
    void turn();
    int wait();
    void dispatch(int ready);
    void run_timers();
    void run_tasks();
    void run_all(std::vector<Task>& tasks);
    Watcher* watcher_of(std::uint64_t id);
    [[noreturn]] void lost(std::string_view call, WatchId watch, int descriptor, int error_number);
    std::uint64_t tick_of(Instant at) const;

    const std::string name_;
    const Descriptor epoll_;
    const Descriptor bell_;
    Mailbox mailbox_;
    LoopClock clock_;
    const Instant origin_;
    TimingWheel wheel_;
    std::vector<Task> local_;  ///< Posted by this thread.
    std::vector<Task> running_tasks_;
    std::vector<Slot> slots_;
    std::uint32_t free_slot_ = UINT32_MAX;
    std::vector<std::byte> events_;  ///< epoll_event[]; its header stays out of this one.
    std::atomic<bool> stopping_{false};
    std::atomic<bool> running_{false};
    LoopStats stats_;
    std::thread thread_;
};

}  // namespace millrace::runtime::internal
