#include "tests/sim/systems/promises.h"

#include <algorithm>
#include <atomic>
#include <fmt/core.h>
#include <utility>

namespace millrace::simtest {

namespace {

constexpr Duration longest_timer = 300ms;
constexpr int most_tasks = 8;

double milliseconds(Duration time) {
    return static_cast<double>(time.count()) / 1e6;
}

}  // namespace

PromiseKeeper::PromiseKeeper(runtime::Node& node, Broken broken)
    : node_(node),
      loop_(*node.control_shard().executor),
      broken_(std::move(broken)),
      last_now_(loop_.clock().now()) {}

PromiseKeeper::~PromiseKeeper() {
    *alive_ = false;
}

runtime::Task PromiseKeeper::ours(std::function<void()> task) {
    return [this, alive = alive_, task = std::move(task)] {
        if (*alive) {
            look_at_clock();
            task();
        }
    };
}

void PromiseKeeper::look_at_clock() {
    const Instant now = loop_.clock().now();
    if (!loop_.is_current()) {
        broken_("a task runs on another loop than its own");
    }
    if (now < last_now_) {
        broken_(fmt::format("the clock went back by {:.6f} ms", milliseconds(last_now_ - now)));
    }
    last_now_ = now;
}

void PromiseKeeper::try_one(SeededRandom random) {
    const auto pause = [&] { return Duration{random.between(0, longest_timer.count())}; };
    const int count = static_cast<int>(1 + random.below(most_tasks));
    switch (random.below(4)) {
        case 0:
            return timer(pause());
        case 1: {
            const Duration delay = pause();
            return cancelled_timer(delay, delay / 2);
        }
        case 2:
            return posts_there_and_back(
                *node_.data_shard(random.below(node_.data_shards())).executor, count);
        default:
            return jobs_in_a_lane(next_lane_++, count);
    }
}

void PromiseKeeper::timer(Duration delay) {
    ++open_;
    const Instant begun = loop_.clock().now();
    loop_.after(delay, ours([this, begun, delay] {
                    --open_;
                    const Duration passed = loop_.clock().now() - begun;
                    if (passed < delay) {
                        broken_(fmt::format("a timer of {:.6f} ms came after {:.6f} ms",
                                            milliseconds(delay), milliseconds(passed)));
                    }
                }));
}

void PromiseKeeper::cancelled_timer(Duration delay, Duration cancelled_after) {
    ++open_;
    // The two may be late together; then the first is not cancelled in time, which is no fault.
    auto came = std::make_shared<bool>(false);
    auto cancelled = std::make_shared<bool>(false);
    const runtime::TimerId id = loop_.after(delay, ours([this, came, cancelled] {
                                                *came = true;
                                                --open_;
                                                if (*cancelled) {
                                                    broken_("a timer came after it was cancelled");
                                                }
                                            }));
    loop_.after(cancelled_after, ours([this, id, came, cancelled] {
                    if (!*came) {
                        loop_.cancel(id);
                        *cancelled = true;
                        --open_;
                    }
                    loop_.cancel(id);  // Harmless, says its contract.
                }));
}

void PromiseKeeper::posts_there_and_back(runtime::Executor& there, int count) {
    auto next = std::make_shared<int>(0);
    for (int number = 0; number < count; ++number) {
        ++open_;
        there.post([this, alive = alive_, &there, number, next]() mutable {
            const bool at_home = there.is_current();
            loop_.post([this, alive = std::move(alive), at_home, number, next] {
                if (!*alive) {
                    return;
                }
                look_at_clock();
                --open_;
                if (!at_home) {
                    broken_("a task that was posted runs on another loop");
                }
                if (*next != number) {
                    broken_(
                        fmt::format("task {} of one poster came where {} was due", number, *next));
                }
                *next = number + 1;
            });
        });
    }
}

void PromiseKeeper::jobs_in_a_lane(std::uint64_t lane, int count) {
    struct Jobs {
        std::atomic<int> begun{0};
        std::atomic<bool> busy{false};
        std::atomic<bool> in_order{true};
        std::vector<std::atomic<bool>> worked = std::vector<std::atomic<bool>>(most_tasks);
        int done = 0;
    };
    auto jobs = std::make_shared<Jobs>();
    for (int number = 0; number < count; ++number) {
        ++open_;
        const auto work = [jobs, number] {
            const bool alone = !jobs->busy.exchange(true);
            const bool its_turn = jobs->begun.fetch_add(1) == number;
            if (!alone || !its_turn) {
                jobs->in_order = false;
            }
            jobs->worked[static_cast<std::size_t>(number)] = true;
            jobs->busy = false;
        };
        node_.disk_pool().run(
            lane, loop_, work, ours([this, jobs, number] {
                --open_;
                if (!jobs->worked[static_cast<std::size_t>(number)]) {
                    broken_(fmt::format("job {} was done before it ran", number));
                }
                if (!jobs->in_order || jobs->done != number) {
                    broken_("jobs of one lane did not run one at a time, in order");
                }
                jobs->done = number + 1;
            }));
    }
}

}  // namespace millrace::simtest
