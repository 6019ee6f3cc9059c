#include "runtime/sim/internal/event_heap.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/assert.h"

namespace millrace::runtime::sim {

namespace {

bool is_later(const EventHeap::Entry& a, const EventHeap::Entry& b) {
    return std::tie(a.at, a.sequence) > std::tie(b.at, b.sequence);
}

}  // namespace

TimerId EventHeap::add(Instant at, EventOwner owner, Task task) {
    std::uint32_t index = 0;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        index = free_.back();
        free_.pop_back();
    }
    Slot& slot = slots_[index];
    slot.task = std::move(task);
    slot.owner = owner;
    slot.used = true;
    ++size_;
    push({at, next_sequence_++, index, slot.generation});
    return TimerId{(static_cast<std::uint64_t>(slot.generation) << 32) | index};
}

bool EventHeap::cancel(TimerId event) {
    const Entry entry{{},
                      0,
                      static_cast<std::uint32_t>(event.value),
                      static_cast<std::uint32_t>(event.value >> 32)};
    if (!exists(entry)) {
        return false;
    }
    const Task task = release(entry.slot);
    return true;
}

void EventHeap::end_life(LifeId life) {
    MR_ASSERT(life != world_life);
    // Destroying a task may add events of the same life: go on until there are none.
    for (bool found = true; found;) {
        found = false;
        for (std::uint32_t index = 0; index < slots_.size(); ++index) {
            if (slots_[index].used && slots_[index].owner.life == life) {
                found = true;
                const Task task = release(index);
            }
        }
    }
}

std::optional<EventHeap::Entry> EventHeap::pop(Instant limit) {
    while (!heap_.empty() && (heap_.front().at <= limit || !exists(heap_.front()))) {
        std::pop_heap(heap_.begin(), heap_.end(), is_later);
        const Entry entry = heap_.back();
        heap_.pop_back();
        if (exists(entry)) {
            return entry;
        }
    }
    return std::nullopt;
}

bool EventHeap::exists(const Entry& entry) const {
    return entry.slot < slots_.size() && slots_[entry.slot].used &&
           slots_[entry.slot].generation == entry.generation;
}

Task EventHeap::take(const Entry& entry) {
    MR_ASSERT(exists(entry));
    return release(entry.slot);
}

void EventHeap::put_off(Entry entry, Instant at) {
    MR_ASSERT(exists(entry));
    entry.at = at;
    push(entry);
}

void EventHeap::push(const Entry& entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), is_later);
}

Task EventHeap::release(std::uint32_t index) {
    Slot& slot = slots_[index];
    Task task = std::move(slot.task);
    slot.used = false;
    if (++slot.generation == 0) {
        slot.generation = 1;
    }
    free_.push_back(index);
    --size_;
    return task;
}

}  // namespace millrace::runtime::sim
