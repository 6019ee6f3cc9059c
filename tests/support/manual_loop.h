// tests/support/manual_loop.h
//
// An Executor whose time stands still until a test moves it. Tasks run in order of time, then of
// posting.
#pragma once

#include <map>
#include <utility>

#include "runtime/executor.h"

namespace millrace::support {

class ManualLoop final : public runtime::Executor {
public:
    const Clock& clock() const override { return clock_; }
    bool is_current() const override { return true; }
    void post(runtime::Task task) override { add(clock_.now(), std::move(task)); }
    runtime::TimerId after(Duration delay, runtime::Task task) override {
        return {add(clock_.now() + delay, std::move(task))};
    }
    void cancel(runtime::TimerId timer) override {
        if (const auto found = times_.find(timer.value); found != times_.end()) {
            tasks_.erase({found->second, timer.value});
            times_.erase(found);
        }
    }

    Instant now() const { return clock_.now(); }

    /// Runs what is due now, and what that makes due.
    void run_ready() { run_until(clock_.now()); }

    /// Moves time forward, running everything on the way.
    void advance(Duration by) { run_until(clock_.now() + by); }

    /// The loop did not get to run for so long; what was due meanwhile is late.
    void stall(Duration by) { clock_.at = clock_.at + by; }

    /// Runs the next task, wherever in time it is; false if there is none.
    bool step() {
        if (tasks_.empty()) {
            return false;
        }
        const auto first = tasks_.begin();
        clock_.at = std::max(clock_.at, first->first.first);
        run(first);
        return true;
    }
    Instant next() const { return tasks_.empty() ? Instant::never() : tasks_.begin()->first.first; }

private:
    using Key = std::pair<Instant, std::uint64_t>;

    struct ManualClock final : Clock {
        Instant at{1'000'000'000};
        Instant now() const override { return at; }
        Timestamp wall() const override { return {1'700'000'000'000 + at.nanoseconds / 1'000'000}; }
    };

    std::uint64_t add(Instant at, runtime::Task task) {
        const std::uint64_t id = ++last_;
        times_.emplace(id, at);
        tasks_.emplace(Key{at, id}, std::move(task));
        return id;
    }
    void run(std::map<Key, runtime::Task>::iterator at) {
        runtime::Task task = std::move(at->second);
        times_.erase(at->first.second);
        tasks_.erase(at);
        task();
    }
    void run_until(Instant end) {
        while (!tasks_.empty() && tasks_.begin()->first.first <= end) {
            clock_.at = std::max(clock_.at, tasks_.begin()->first.first);
            run(tasks_.begin());
        }
        clock_.at = std::max(clock_.at, end);
    }

    ManualClock clock_;
    std::uint64_t last_ = 0;
    std::map<Key, runtime::Task> tasks_;
    std::map<std::uint64_t, Instant> times_;
};

}  // namespace millrace::support
