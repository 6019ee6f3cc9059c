// An executor whose tasks and timers run when the test says so.
#pragma once

#include <deque>
#include <map>

#include "runtime/executor.h"

namespace millrace::metadata::testing {

class ManualExecutor final : public runtime::Executor {
public:
    const Clock& clock() const override { return clock_; }
    void post(runtime::Task task) override { tasks_.push_back(std::move(task)); }
    runtime::TimerId after(Duration delay, runtime::Task task) override {
        timers_.emplace(std::pair(clock_.instant + delay, ++last_), std::move(task));
        return {last_};
    }
    void cancel(runtime::TimerId timer) override {
        std::erase_if(timers_,
                      [&](const auto& entry) { return entry.first.second == timer.value; });
    }
    bool is_current() const override { return true; }

    void run() {
        while (!tasks_.empty()) {
            runtime::Task task = std::move(tasks_.front());
            tasks_.pop_front();
            task();
        }
    }
    void advance(Duration by) {
        const Instant to = clock_.instant + by;
        run();
        while (!timers_.empty() && timers_.begin()->first.first <= to) {
            auto due = timers_.extract(timers_.begin());
            clock_.instant = due.key().first;
            due.mapped()();
            run();
        }
        clock_.instant = to;
    }
    std::size_t timers() const { return timers_.size(); }

private:
    struct ManualClock final : Clock {
        Instant now() const override { return instant; }
        Timestamp wall() const override {
            return {1'700'000'000'000 + to_milliseconds(instant - Instant{})};
        }
        Instant instant{};
    };
    ManualClock clock_;
    std::deque<runtime::Task> tasks_;
    std::map<std::pair<Instant, std::uint64_t>, runtime::Task> timers_;
    std::uint64_t last_ = 0;
};

}  // namespace millrace::metadata::testing
