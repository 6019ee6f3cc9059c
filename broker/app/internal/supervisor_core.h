// app/internal/supervisor_core.h
//
// When a broker that still runs is as good as dead. Pure; the supervisor looks, this judges.
//
// Time counts only as far as the supervisor itself was on time: on a machine that gives nobody a
// turn, or after a pause of the whole machine, silence says nothing. A thread that waits for a disk
// has a threshold of its own, so a slow sync ends no broker.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"

namespace millrace::app {

struct SupervisorRules {
    Duration look_every = 250ms;
    Duration stopped_for = 1s;       ///< By a signal (SIGSTOP): nobody in it can answer.
    Duration loop_silent_for = 2s;   ///< A loop does not turn, and waits for no disk.
    Duration disk_silent_for = 30s;  ///< A thread is in one and the same wait for a disk.
};

struct SupervisorLook {
    struct Loop {
        std::int32_t thread = 0;
        std::uint64_t beats = 0;
    };
    struct Thread {
        std::int32_t id = 0;
        bool waits_for_disk = false;  ///< Uninterruptible sleep.
        std::uint64_t turns = 0;      ///< How often it has got the processor.
    };
    Instant at;
    bool is_stopped = false;
    bool is_traced = false;   ///< A debugger holds it: it is meant to stand still.
    std::vector<Loop> loops;  ///< Empty before they run, and while the broker ends.
    std::vector<Thread> threads;
};

class SupervisorCore {
public:
    explicit SupervisorCore(SupervisorRules rules) : rules_(rules) {}
    /// Why the broker is to be ended, if it is.
    std::optional<std::string> judge(const SupervisorLook& look);

private:
    struct Silence {
        std::uint64_t seen = 0;
        Duration lasts{};
        void look(std::uint64_t now, bool counts, Duration passed);
    };

    const SupervisorRules rules_;
    std::optional<Instant> last_look_;
    Duration stopped_{};
    std::map<std::int32_t, Silence> loops_;    // By thread.
    std::map<std::int32_t, Silence> threads_;  // Those that wait for a disk.
};

}  // namespace millrace::app
