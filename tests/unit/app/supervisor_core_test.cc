// SupervisorCore: who stands still is ended, who is only slow is not.
#include "app/internal/supervisor_core.h"

#include <gtest/gtest.h>

namespace millrace::app {
namespace {

using Look = SupervisorLook;

/// Looks every 250 ms, and the reason once there is one.
struct Watch {
    SupervisorCore core{SupervisorRules{}};
    Instant at{};
    std::optional<std::string> after(Duration time, Look look) {
        std::optional<std::string> why;
        for (const Instant end = at + time; at < end && !why;) {
            at = at + SupervisorRules{}.look_every;
            look.at = at;
            why = core.judge(look);
        }
        return why;
    }
};

TEST(SupervisorCore, a_loop_that_does_not_turn_is_noticed_within_its_threshold) {
    Watch watch;
    const Look frozen{.loops = {{7, 100}}};
    EXPECT_FALSE(watch.after(2s, frozen));
    const auto why = watch.after(500ms, frozen);
    ASSERT_TRUE(why);
    EXPECT_EQ(*why, "the loop of thread 7 has not turned for 2.0 s");
}

TEST(SupervisorCore, a_loop_that_turns_now_and_then_lives) {
    Watch watch;
    for (std::uint64_t beats = 0; beats < 100; ++beats) {
        EXPECT_FALSE(watch.after(1900ms, {.loops = {{7, beats}}}));
    }
}

// One silent loop among busy ones is enough: its partitions are dead.
TEST(SupervisorCore, each_loop_is_looked_at_by_itself) {
    Watch watch;
    std::optional<std::string> why;
    for (std::uint64_t beats = 0; beats < 12 && !why; ++beats) {
        why = watch.after(250ms, {.loops = {{7, beats}, {8, 1}}});
    }
    ASSERT_TRUE(why);
    EXPECT_NE(why->find("thread 8"), std::string::npos);
}

TEST(SupervisorCore, before_it_serves_and_while_it_ends_no_loop_must_turn) {
    Watch watch;
    EXPECT_FALSE(watch.after(10min, {}));
}

TEST(SupervisorCore, a_process_that_was_stopped_is_ended_after_a_second) {
    Watch watch;
    EXPECT_FALSE(watch.after(1s, {.is_stopped = true}));
    const auto why = watch.after(500ms, {.is_stopped = true});
    ASSERT_TRUE(why);
    EXPECT_EQ(*why, "it was stopped by a signal for 1.0 s");
}

TEST(SupervisorCore, one_that_goes_on_in_time_is_not) {
    Watch watch;
    EXPECT_FALSE(watch.after(750ms, {.is_stopped = true}));
    EXPECT_FALSE(watch.after(250ms, {}));
    EXPECT_FALSE(watch.after(750ms, {.is_stopped = true}));
}

// A sync of twenty seconds holds a loop's write up, or a pool's thread: nobody is ended for that.
TEST(SupervisorCore, a_slow_sync_ends_nobody) {
    Watch watch;
    EXPECT_FALSE(watch.after(20s, {.loops = {{7, 100}, {8, 5}},
                                   .threads = {{7, true, 44}, {8, true, 9}, {9, true, 3}}}));
}

TEST(SupervisorCore, a_disk_that_never_answers_does) {
    Watch watch;
    const auto why = watch.after(31s, {.threads = {{9, true, 3}}});
    ASSERT_TRUE(why);
    EXPECT_EQ(*why, "thread 9 has waited 30.0 s for one answer of a disk");
}

TEST(SupervisorCore, a_thread_that_reads_for_long_gets_its_answers) {
    Watch watch;
    for (std::uint64_t turns = 0; turns < 100; ++turns) {
        EXPECT_FALSE(watch.after(1s, {.threads = {{9, true, turns}}}));
    }
}

// The machine gave nobody a turn, or was itself paused for a minute: silence says nothing then.
TEST(SupervisorCore, time_in_which_the_supervisor_stood_still_itself_does_not_count) {
    Watch watch;
    const Look frozen{.loops = {{7, 100}}};
    EXPECT_FALSE(watch.after(1s, frozen));
    watch.at = watch.at + 60s;
    EXPECT_FALSE(watch.after(500ms, frozen));
    EXPECT_TRUE(watch.after(1s, frozen));
}

TEST(SupervisorCore, a_debugger_may_hold_it_as_long_as_it_likes) {
    Watch watch;
    EXPECT_FALSE(watch.after(10min, {.is_stopped = true, .is_traced = true, .loops = {{7, 100}}}));
    EXPECT_FALSE(watch.after(2s, {.loops = {{7, 100}}}));
}

}  // namespace
}  // namespace millrace::app
