// runtime/executor.h
//
// One event loop as the rest of the house sees it: run this soon, run this later. Real: an epoll
// reactor with a timing wheel, on a thread of its own. Simulated: a slice of the one seeded event
// heap. Everything that a loop owns is touched only from its tasks; post() is the only call that
// another thread may make.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "base/unique_function.h"

namespace millrace::runtime {

using Task = UniqueFunction<void()>;

struct TimerId {
    std::uint64_t value = 0;  ///< 0: no timer.
    explicit operator bool() const { return value != 0; }
};

class Executor {
public:
    virtual ~Executor() = default;

    virtual const Clock& clock() const = 0;

    /// Runs `task` on this loop, never inside the call. From any thread; tasks of one poster keep
    /// their order. After stop, tasks are destroyed unrun.
    virtual void post(Task task) = 0;

    /// Runs `task` once `delay` has passed. Only on this loop's thread.
    virtual TimerId after(Duration delay, Task task) = 0;
    /// Harmless for a timer that has run or was cancelled. Only on this loop's thread.
    virtual void cancel(TimerId timer) = 0;

    /// True on the loop's own thread (in the simulator, while its task runs).
    virtual bool is_current() const = 0;

    /// The time at this very moment: clock().now() stands still within one turn of the loop, this
    /// does not. For timing a call that may stall (a write into the page cache).
    virtual Instant read_clock() const { return clock().now(); }
};

}  // namespace millrace::runtime
