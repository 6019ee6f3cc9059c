// app/internal/beats.h
//
// How a broker shows its supervisor that its loops turn: a counter a loop, in memory that both
// processes see. Written by the loops, read by the supervisor; nothing waits for anything.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/time.h"
#include "runtime/node.h"

namespace millrace::app {

struct Beats {
    static constexpr std::size_t most_loops = 512;
    static constexpr Duration pause = 100ms;

    enum class Phase : std::int32_t {
        starting,  ///< Until it serves: a recovery may take its time.
        running,
        ending,  ///< Loops stop one after another.
    };
    struct Loop {
        std::atomic<std::int32_t> thread{0};
        std::atomic<std::uint64_t> count{0};
    };

    std::atomic<Phase> phase{Phase::starting};
    std::atomic<std::size_t> loops{0};
    Loop loop[most_loops];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free, "two processes share it");

/// Every loop of the node beats from its start on, and counts once `is_ready` says yes, which is
/// asked on the control loop. Before the node starts.
void beat_from(runtime::Node& node, Beats& beats, std::function<bool()> is_ready);

}  // namespace millrace::app
