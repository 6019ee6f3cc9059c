// runtime/real/internal/timing_wheel.h
//
// Timers by tick: add and cancel in constant time, no allocation once warm. Eight levels of 64
// slots; a timer sits on the level of the highest base-64 digit in which its tick differs from the
// current one, and moves down as that digit is reached. So every occupied slot lies ahead of the
// current one on its level, and the lowest occupied level holds the next timer.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "runtime/executor.h"

namespace millrace::runtime::internal {

class TimingWheel {
public:
    static constexpr std::uint64_t no_tick = UINT64_MAX;

    TimingWheel();

    /// Due once advance() has reached `tick`; at once for a tick already reached.
    TimerId add(std::uint64_t tick, Task task);
    /// Destroys the task. False if the timer is gone already.
    bool cancel(TimerId timer);

    /// Makes every timer up to `tick` due, in the order of their ticks.
    void advance(std::uint64_t tick);
    std::size_t due() const { return due_count_; }
    /// The first due task; its timer is gone before it runs. There must be one.
    Task take_due();

    /// When advance() next has something to do (perhaps only moving timers down a level).
    std::uint64_t next_tick() const;

    std::size_t size() const { return size_; }
    void clear();

private:
    static constexpr std::uint32_t none = UINT32_MAX;
    static constexpr unsigned level_bits = 6;
    static constexpr unsigned levels = 8;
    static constexpr unsigned slots = 1U << level_bits;
    static constexpr std::uint16_t due_slot = levels * slots;
    static constexpr std::uint64_t last_tick = (1ULL << (level_bits * levels)) - 1;

    struct Entry {
        Task task;
        std::uint64_t tick = 0;
        std::uint32_t generation = 1;
        std::uint32_t previous = none;
        std::uint32_t next = none;
        std::uint16_t slot = 0;
        bool used = false;
    };
    struct List {
        std::uint32_t head = none;
        std::uint32_t tail = none;
    };

    void place(std::uint32_t index);
    void link(std::uint32_t index, std::uint16_t slot);
    void unlink(std::uint32_t index);
    void release(std::uint32_t index);

    std::vector<Entry> entries_;
    std::uint32_t free_ = none;
    std::array<List, levels * slots + 1> lists_;  ///< The last one: due.
    std::array<std::uint64_t, levels> occupied_{};
    std::uint64_t current_ = 0;
    std::size_t size_ = 0;
    std::size_t due_count_ = 0;
};

}  // namespace millrace::runtime::internal
