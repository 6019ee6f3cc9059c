// app/internal/supervisor.h
//
// The process above a broker's: it hands on signals and the exit code, and ends a broker that no
// longer turns, so that its connections break and others take over. It forks before the broker has
// made a thread and does nothing else itself.
#pragma once

#include "app/internal/beats.h"
#include "app/internal/supervisor_core.h"
#include "base/unique_function.h"

namespace millrace::app {

enum class AfterEnd {
    exit,     ///< Whoever started us (an orchestrator) starts us again.
    restart,  ///< A broker that was ended here, crashed or halted is started anew.
};

/// Exit code where the supervisor ended the broker.
inline constexpr int exit_stood_still = 75;

/// Runs `broker` in a child process, and returns there what it returns; in this process, what the
/// child ended with: its exit code, 128 + the signal that ended it, or exit_stood_still.
int supervise(AfterEnd after_end, const SupervisorRules& rules, UniqueFunction<int(Beats&)> broker);

}  // namespace millrace::app
