#include "app/internal/beats.h"

#include <algorithm>
#include <unistd.h>
#include <utility>

namespace millrace::app {
namespace {

void beat(runtime::Executor& loop, Beats::Loop& mine) {
    mine.count.fetch_add(1, std::memory_order_relaxed);
    loop.after(Beats::pause, [&loop, &mine] { beat(loop, mine); });
}

void watch_start(runtime::Executor& control, Beats& beats, std::function<bool()> is_ready) {
    if (is_ready()) {
        // Not if it has begun to end meanwhile.
        auto starting = Beats::Phase::starting;
        beats.phase.compare_exchange_strong(starting, Beats::Phase::running);
        return;
    }
    control.after(Beats::pause, [&control, &beats, is_ready = std::move(is_ready)]() mutable {
        watch_start(control, beats, std::move(is_ready));
    });
}

}  // namespace

void beat_from(runtime::Node& node, Beats& beats, std::function<bool()> is_ready) {
    const std::size_t loops = std::min(node.data_shards() + 1, Beats::most_loops);
    for (std::size_t i = 0; i < loops; ++i) {
        runtime::Executor& loop =
            *(i == 0 ? node.control_shard() : node.data_shard(i - 1)).executor;
        loop.post([&loop, &mine = beats.loop[i]] {
            mine.thread = gettid();
            beat(loop, mine);
        });
    }
    beats.loops = loops;
    runtime::Executor& control = *node.control_shard().executor;
    control.post([&control, &beats, is_ready = std::move(is_ready)]() mutable {
        watch_start(control, beats, std::move(is_ready));
    });
}

}  // namespace millrace::app
