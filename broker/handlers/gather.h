// handlers/gather.h
//
// Waits for several partial results that come back to one loop, then goes on. Single-threaded:
// every arrival is on the home loop.
#pragma once

#include <cstddef>
#include <memory>

#include "base/unique_function.h"
#include "runtime/executor.h"

namespace millrace::handlers {

class Gather {
public:
    /// `done` runs when `expected` arrivals have come; at once if none is expected.
    static std::shared_ptr<Gather> of(std::size_t expected, UniqueFunction<void()> done) {
        auto gather = std::make_shared<Gather>();
        gather->left_ = expected;
        gather->done_ = std::move(done);
        if (expected == 0) {
            gather->done_();
        }
        return gather;
    }
    void arrive() {
        if (--left_ == 0) {
            done_();
        }
    }

private:
    std::size_t left_ = 0;
    UniqueFunction<void()> done_;
};

/// Runs `task` on `loop`: in place when called there.
template <typename F>
void run_on(runtime::Executor& loop, F&& task) {
    if (loop.is_current()) {
        std::forward<F>(task)();
    } else {
        loop.post(std::forward<F>(task));
    }
}

}  // namespace millrace::handlers
