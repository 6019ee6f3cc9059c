// runtime/real/signals.h
//
// SIGTERM and its like as tasks on a loop. Construct it first thing in main(), before any thread
// exists: it blocks the signals in this thread, so that every later thread inherits that, and lets
// SIGPIPE be ignored.
#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "base/unique_function.h"

namespace millrace::runtime {

class RealNode;

class Signals {
public:
    static Result<std::unique_ptr<Signals>> catch_from_here(std::vector<int> numbers);
    virtual ~Signals() = default;
    /// Each signal runs `on_signal` on the node's control loop. Call before the node starts; this
    /// object goes before the node does.
    virtual Result<void> deliver_to(RealNode& node, UniqueFunction<void(int)> on_signal) = 0;
};

}  // namespace millrace::runtime
