// runtime/real/loop_stats.h
//
// What a loop did, readable from any thread: for metrics, and for whoever watches that it lives.
#pragma once

#include <atomic>
#include <cstdint>

namespace millrace::runtime {

struct LoopStats {
    // Written by the loop's thread alone, so an increment is a plain load and store.
    std::atomic<std::uint64_t> turns{0};
    std::atomic<std::uint64_t> sleeps{0};
    std::atomic<std::uint64_t> descriptor_events{0};
    std::atomic<std::uint64_t> timers{0};
    std::atomic<std::uint64_t> tasks{0};
    std::atomic<std::int64_t> turn_started_ns{0};  ///< Monotonic; 0 while asleep.

    static void add(std::atomic<std::uint64_t>& counter, std::uint64_t n) {
        counter.store(counter.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
    }
};

}  // namespace millrace::runtime
