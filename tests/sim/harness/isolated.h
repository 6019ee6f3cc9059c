// tests/sim/harness/isolated.h
//
// Runs in child processes: an assertion, a sanitizer's report or a hang of one run is that run's
// violation, and the others go on.
#pragma once

#include <chrono>
#include <functional>
#include <vector>

#include "tests/sim/harness/scenario.h"

namespace millrace::simtest {

struct IsolatedOptions {
    unsigned processes = 1;
    std::chrono::seconds longest_run{120};  ///< Real time; then it counts as hung.
    bool quiet = false;                     ///< Nothing of the runs' standard error is shown.
};

/// How one numbered run is made, in the child.
using MakeOutcome = std::function<Outcome(std::size_t index)>;
/// Told in the parent, in any order; false ends everything.
using OnOutcome = std::function<bool(std::size_t index, const Outcome&)>;

void run_isolated(std::size_t count, const MakeOutcome& make, const OnOutcome& on_outcome,
                  const IsolatedOptions& options = {});

/// One run.
Outcome run_alone(const std::function<Outcome()>& make, const IsolatedOptions& options);

}  // namespace millrace::simtest
