// runtime/sim/internal/event_heap.h
//
// Everything that will happen, in the order of simulated time; equal times in the order of asking.
// Each event belongs to a life (one run of one program on one node; 0 is the world), so that ending
// the life destroys its events, with all that they captured, at once.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/time.h"
#include "runtime/executor.h"

namespace millrace::runtime::sim {

using LifeId = std::uint32_t;
inline constexpr LifeId world_life = 0;

class SimExecutor;
class SimNode;

struct EventOwner {
    LifeId life = world_life;
    SimNode* node = nullptr;          ///< Whose pause parks it; null: nobody's.
    SimExecutor* executor = nullptr;  ///< On whose loop it runs; null: none.
    Instant not_before{0};            ///< On the node's own clock, which may run slow.
};

class EventHeap {
public:
    /// A place in the heap, kept when the event is put off.
    struct Entry {
        Instant at;
        std::uint64_t sequence = 0;
        std::uint32_t slot = 0;
        std::uint32_t generation = 0;
    };

    TimerId add(Instant at, EventOwner owner, Task task);
    /// Destroys the task. False if it has run or is gone.
    bool cancel(TimerId event);
    /// Destroys every task of a life, also of those put aside.
    void end_life(LifeId life);

    /// The next event at or before `limit`, out of the heap but still in its slot.
    std::optional<Entry> pop(Instant limit);
    const EventOwner& owner(const Entry& entry) const { return slots_[entry.slot].owner; }
    bool exists(const Entry& entry) const;
    /// Ends a popped event's stay: the caller runs the task.
    Task take(const Entry& entry);
    /// Back into the heap, for later. Its place among equals stays.
    void put_off(Entry entry, Instant at);

    std::size_t size() const { return size_; }

private:
    struct Slot {
        Task task;
        EventOwner owner;
        std::uint32_t generation = 1;
        bool used = false;
    };

    void push(const Entry& entry);
    Task release(std::uint32_t slot);

    std::vector<Entry> heap_;
    std::vector<Slot> slots_;
    std::vector<std::uint32_t> free_;
    std::uint64_t next_sequence_ = 0;
    std::size_t size_ = 0;
};

}  // namespace millrace::runtime::sim
