#include "app/internal/supervisor_core.h"

#include <algorithm>
#include <fmt/format.h>

namespace millrace::app {
void SupervisorCore::Silence::look(std::uint64_t now, bool counts, Duration passed) {
    lasts = now == seen && counts ? lasts + passed : Duration{};
    seen = now;
}

std::optional<std::string> SupervisorCore::judge(const SupervisorLook& look) {
    const Duration passed =
        last_look_ ? std::min(look.at - *last_look_, 2 * rules_.look_every) : Duration{};
    last_look_ = look.at;
    if (look.is_traced) {
        stopped_ = {};
        loops_.clear();
        threads_.clear();
        return std::nullopt;
    }
    stopped_ = look.is_stopped ? stopped_ + passed : Duration{};
    std::map<std::int32_t, Silence> in_disk;
    for (const auto& thread : look.threads) {
        if (thread.waits_for_disk) {
            Silence& silence = in_disk[thread.id] = threads_[thread.id];
            silence.look(thread.turns, true, passed);
        }
    }
    threads_ = std::move(in_disk);
    std::map<std::int32_t, Silence> loops;
    for (const auto& loop : look.loops) {
        Silence& silence = loops[loop.thread] = loops_[loop.thread];
        silence.look(loop.beats, !threads_.contains(loop.thread), passed);
    }
    loops_ = std::move(loops);

    if (stopped_ >= rules_.stopped_for) {
        return fmt::format("it was stopped by a signal for {:.1f} s", to_seconds(stopped_));
    }
    for (const auto& [thread, silence] : loops_) {
        if (silence.lasts >= rules_.loop_silent_for) {
            return fmt::format("the loop of thread {} has not turned for {:.1f} s", thread,
                               to_seconds(silence.lasts));
        }
    }
    for (const auto& [thread, silence] : threads_) {
        if (silence.lasts >= rules_.disk_silent_for) {
            return fmt::format("thread {} has waited {:.1f} s for one answer of a disk", thread,
                               to_seconds(silence.lasts));
        }
    }
    return std::nullopt;
}

}  // namespace millrace::app
