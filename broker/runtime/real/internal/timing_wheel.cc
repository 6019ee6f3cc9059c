#include "runtime/real/internal/timing_wheel.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "base/assert.h"

namespace millrace::runtime::internal {

TimingWheel::TimingWheel() = default;

TimerId TimingWheel::add(std::uint64_t tick, Task task) {
    std::uint32_t index = free_;
    if (index == none) {
        index = static_cast<std::uint32_t>(entries_.size());
        MR_ASSERT(index != none);
        entries_.emplace_back();
    } else {
        free_ = entries_[index].next;
    }
    Entry& entry = entries_[index];
    entry.task = std::move(task);
    entry.tick = std::min(tick, last_tick);
    entry.used = true;
    ++size_;
    place(index);
    return TimerId{(static_cast<std::uint64_t>(entry.generation) << 32) | index};
}

bool TimingWheel::cancel(TimerId timer) {
    const auto index = static_cast<std::uint32_t>(timer.value);
    const auto generation = static_cast<std::uint32_t>(timer.value >> 32);
    if (index >= entries_.size() || !entries_[index].used ||
        entries_[index].generation != generation) {
        return false;
    }
    unlink(index);
    // The task may own what adds or cancels timers in its destructor: last, and outside the entry.
    const Task task = std::move(entries_[index].task);
    release(index);
    return true;
}

void TimingWheel::advance(std::uint64_t tick) {
    tick = std::min(tick, last_tick);
    for (;;) {
        const std::uint64_t next = next_tick();
        if (next > tick) {
            break;
        }
        unsigned level = 0;
        while (occupied_[level] == 0) {
            ++level;
        }
        current_ = next;
        const auto digit = static_cast<unsigned>(next >> (level_bits * level)) & (slots - 1);
        const auto slot = static_cast<std::uint16_t>(level * slots + digit);
        std::uint32_t index = lists_[slot].head;
        lists_[slot] = List{};
        occupied_[level] &= ~(1ULL << digit);
        while (index != none) {
            const std::uint32_t following = entries_[index].next;
            place(index);
            index = following;
        }
    }
    current_ = std::max(current_, tick);
}

Task TimingWheel::take_due() {
    const std::uint32_t index = lists_[due_slot].head;
    MR_ASSERT(index != none);
    unlink(index);
    Task task = std::move(entries_[index].task);
    release(index);
    return task;
}

std::uint64_t TimingWheel::next_tick() const {
    for (unsigned level = 0; level < levels; ++level) {
        if (occupied_[level] != 0) {
            const auto digit = static_cast<std::uint64_t>(std::countr_zero(occupied_[level]));
            const unsigned shift = level_bits * level;
            const std::uint64_t block = current_ >> (shift + level_bits) << (shift + level_bits);
            return block + (digit << shift);
        }
    }
    return no_tick;
}

void TimingWheel::clear() {
    for (std::uint32_t index = 0; index < entries_.size(); ++index) {
        if (entries_[index].used) {
            unlink(index);
            const Task task = std::move(entries_[index].task);
            release(index);
        }
    }
}

void TimingWheel::place(std::uint32_t index) {
    const std::uint64_t tick = entries_[index].tick;
    if (tick <= current_) {
        link(index, due_slot);
        return;
    }
    const auto top_bit = static_cast<unsigned>(std::bit_width(tick ^ current_)) - 1;
    const unsigned level = top_bit / level_bits;
    const auto digit = static_cast<unsigned>(tick >> (level_bits * level)) & (slots - 1);
    link(index, static_cast<std::uint16_t>(level * slots + digit));
}

void TimingWheel::link(std::uint32_t index, std::uint16_t slot) {
    Entry& entry = entries_[index];
    List& list = lists_[slot];
    entry.slot = slot;
    entry.previous = list.tail;
    entry.next = none;
    (list.tail == none ? list.head : entries_[list.tail].next) = index;
    list.tail = index;
    if (slot == due_slot) {
        ++due_count_;
    } else {
        occupied_[slot / slots] |= 1ULL << (slot % slots);
    }
}

void TimingWheel::unlink(std::uint32_t index) {
    const Entry& entry = entries_[index];
    List& list = lists_[entry.slot];
    (entry.previous == none ? list.head : entries_[entry.previous].next) = entry.next;
    (entry.next == none ? list.tail : entries_[entry.next].previous) = entry.previous;
    if (entry.slot == due_slot) {
        --due_count_;
    } else if (list.head == none) {
        occupied_[entry.slot / slots] &= ~(1ULL << (entry.slot % slots));
    }
}

void TimingWheel::release(std::uint32_t index) {
    Entry& entry = entries_[index];
    entry.used = false;
    if (++entry.generation == 0) {
        entry.generation = 1;  // TimerId{0} means no timer.
    }
    entry.next = free_;
    free_ = index;
    --size_;
}

}  // namespace millrace::runtime::internal
