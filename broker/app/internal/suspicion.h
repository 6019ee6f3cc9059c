// app/internal/suspicion.h
//
// What the active controller concludes about one broker from hints and probes. Pure; time is an
// input. A hint (a lost connection, missed heartbeats) only starts a probe; only probes that find
// nobody, twice, lead to fencing, and the controller still has the last word
// (Controller::fence_unreachable): a heartbeat that came since clears everything.
#pragma once

#include "base/time.h"

namespace millrace::app {

class Suspicion {
public:
    enum class Probe {
        answered,
        refused,   ///< Nobody listens there: the process is gone.
        silent,    ///< No answer in time: the process stands still, or the way there is cut.
        undecided  ///< Something answered and hung up: it lives, but is busy.
    };
    enum class Step { wait, probe, probe_soon, fence };

    static constexpr int refusals_to_fence = 2;
    static constexpr int silences_to_fence = 2;

    /// A reason to look. Nothing new while a probe is under way.
    Step hint(Instant now) {
        if (is_probing_) {
            return Step::wait;
        }
        is_probing_ = true;
        since_ = now;
        refusals_ = silences_ = 0;
        return Step::probe;
    }

    Step ended(Probe probe) {
        switch (probe) {
            case Probe::answered:
                is_probing_ = false;
                return Step::wait;
            case Probe::refused:
                return ++refusals_ >= refusals_to_fence ? fence() : Step::probe_soon;
            case Probe::silent:
                return ++silences_ >= silences_to_fence ? fence() : Step::probe;
            case Probe::undecided:
                return Step::probe_soon;
        }
        return Step::wait;
    }

    bool is_probing() const { return is_probing_; }
    Instant since() const { return since_; }  ///< Of the hint that began it.

private:
    Step fence() {
        is_probing_ = false;
        return Step::fence;
    }

    bool is_probing_ = false;
    Instant since_;
    int refusals_ = 0;
    int silences_ = 0;
};

}  // namespace millrace::app
