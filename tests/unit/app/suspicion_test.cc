// What a controller concludes from hints and probes.
#include "app/internal/suspicion.h"

#include <gtest/gtest.h>

#include "tests/support/instant.h"

namespace millrace::app {
namespace {

using Probe = Suspicion::Probe;
using Step = Suspicion::Step;
using support::at;

// A hint alone never fences anybody.
TEST(Suspicion, a_hint_starts_a_probe_and_an_answer_ends_it) {
    Suspicion suspicion;
    EXPECT_EQ(suspicion.hint(at(1s)), Step::probe);
    EXPECT_EQ(suspicion.ended(Probe::answered), Step::wait);
    EXPECT_FALSE(suspicion.is_probing());
}

TEST(Suspicion, a_process_that_is_gone_is_fenced_after_two_refusals) {
    Suspicion suspicion;
    suspicion.hint(at(1s));
    EXPECT_EQ(suspicion.ended(Probe::refused), Step::probe_soon);
    EXPECT_EQ(suspicion.ended(Probe::refused), Step::fence);
}

TEST(Suspicion, a_process_that_stands_still_is_fenced_after_two_silences) {
    Suspicion suspicion;
    suspicion.hint(at(1s));
    EXPECT_EQ(suspicion.ended(Probe::silent), Step::probe);
    EXPECT_EQ(suspicion.ended(Probe::silent), Step::fence);
}

// Someone who accepts and hangs up is alive: too busy, or of another protocol.
TEST(Suspicion, a_broker_that_hangs_up_is_never_fenced_for_it) {
    Suspicion suspicion;
    suspicion.hint(at(1s));
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(suspicion.ended(Probe::undecided), Step::probe_soon);
    }
}

// More hints while it looks change nothing, not even when the suspicion began.
TEST(Suspicion, hints_during_a_probe_are_the_same_suspicion) {
    Suspicion suspicion;
    suspicion.hint(at(1s));
    EXPECT_EQ(suspicion.hint(at(2s)), Step::wait);
    EXPECT_EQ(suspicion.since(), at(1s));
}

// What was counted in an earlier suspicion is forgotten with its end.
TEST(Suspicion, each_suspicion_counts_anew) {
    Suspicion suspicion;
    suspicion.hint(at(1s));
    suspicion.ended(Probe::refused);
    suspicion.ended(Probe::answered);
    suspicion.hint(at(5s));
    EXPECT_EQ(suspicion.ended(Probe::refused), Step::probe_soon);
}

}  // namespace
}  // namespace millrace::app
