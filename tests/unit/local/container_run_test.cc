#include "operator/local/internal/container_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::local {
namespace {

using namespace std::chrono_literals;
using kube::Json;

struct ContainerRuns : testing::Test {
    ContainerRun run{Json::object({}), Json::object({{"name", "broker"}}), Json{}};
    SteadyTime now{100s};

    void start() { run.started({.pid = 1}, now, "then"); }
    void end_by(int exit_code) {
        run.process() = {};
        run.ended({.exit_code = exit_code}, "", now, "now", "Always");
    }
    std::string waits_for() { return run.status()["state"]["waiting"]["reason"].text(); }
};

// A broker that was killed once was in a "CrashLoopBackOff".
TEST_F(ContainerRuns, a_first_end_is_no_loop_and_it_starts_again_at_once) {
    start();
    end_by(137);
    EXPECT_EQ(run.status()["state"]["terminated"]["exitCode"].integer(), 137);
    EXPECT_EQ(waits_for(), "");
    EXPECT_TRUE(run.may_start(now));
    start();
    const Json status = run.status();
    EXPECT_EQ(status["restartCount"].integer(), 1);
    EXPECT_TRUE(status["state"].has("running"));
    EXPECT_EQ(status["lastState"]["terminated"]["exitCode"].integer(), 137);
}

TEST_F(ContainerRuns, a_second_end_soon_after_is_a_loop_that_waits_ever_longer) {
    start();
    end_by(1);
    for (const auto pause : {1s, 2s, 4s}) {
        start();
        end_by(2);
        EXPECT_EQ(waits_for(), "CrashLoopBackOff");
        EXPECT_EQ(run.status()["lastState"]["terminated"]["exitCode"].integer(), 2);
        now += pause - 1ms;
        EXPECT_FALSE(run.may_start(now));
        now += 1ms;
        EXPECT_TRUE(run.may_start(now));
    }
}

TEST_F(ContainerRuns, an_end_after_a_good_run_is_a_first_one_again) {
    for (int i = 0; i < 3; ++i) {
        start();
        now += 60s;
        end_by(1);
        EXPECT_TRUE(run.may_start(now));
    }
}

TEST_F(ContainerRuns, what_keeps_it_from_starting_again_does_not_hide_how_it_ended) {
    start();
    end_by(3);
    run.wait("ContainerCreating", "secret \"main-ca\" not found");
    EXPECT_EQ(run.status()["lastState"]["terminated"]["exitCode"].integer(), 3);
}

}  // namespace
}  // namespace millrace::local
