// Compacted mirrors and tombstones that the source may have dropped before they were read.
#include "mirror/horizon_core.h"

#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

constexpr Duration day = std::chrono::hours{24};

Timestamp past(Duration time) {
    return Timestamp{1'000'000} + time;
}

TEST(MirrorHorizon, begins_to_watch_at_the_first_look) {
    const CaughtUp note = next_note(std::nullopt, 50, past(0s), false, past(1s), day);
    EXPECT_EQ(note, (CaughtUp{past(0s), 50, false}));
}

TEST(MirrorHorizon, a_mirror_that_keeps_up_never_passes_it) {
    std::optional<CaughtUp> note = CaughtUp{past(0s), 0, false};
    for (int hour = 1; hour < 100; ++hour) {
        const Timestamp now = past(std::chrono::hours{hour});
        note = next_note(note, hour * 10, now, true, now + 5s, day);
    }
    EXPECT_EQ(note, (CaughtUp{past(std::chrono::hours{99}), 990, false}));
}

TEST(MirrorHorizon, is_passed_by_who_is_behind_for_longer_than_tombstones_stay) {
    const CaughtUp before{past(0s), 10, false};
    EXPECT_FALSE(next_note(before, 20, past(day), false, past(day), day).horizon_passed);
    EXPECT_TRUE(next_note(before, 20, past(day), false, past(day + 1ms), day).horizon_passed);
}

TEST(MirrorHorizon, is_passed_also_if_it_has_caught_up_by_the_time_somebody_looks) {
    const CaughtUp before{past(0s), 10, false};
    const CaughtUp after = next_note(before, 20, past(2 * day), true, past(2 * day), day);
    EXPECT_EQ(after, (CaughtUp{past(2 * day), 20, true}));
}

TEST(MirrorHorizon, is_not_passed_while_nothing_is_written) {
    const CaughtUp before{past(0s), 10, false};
    const CaughtUp after = next_note(before, 10, past(9 * day), true, past(9 * day), day);
    EXPECT_EQ(after, (CaughtUp{past(9 * day), 10, false}));
}

TEST(MirrorHorizon, catching_up_does_not_bring_tombstones_back) {
    const CaughtUp passed{past(0s), 10, true};
    EXPECT_TRUE(next_note(passed, 20, past(1s), true, past(1s), day).horizon_passed);
}

TEST(MirrorHorizon, a_note_comes_back_from_its_text_and_nothing_else_does) {
    const CaughtUp note{past(5s), 123, true};
    EXPECT_EQ(caught_up_in(to_text(note)), note);
    EXPECT_EQ(caught_up_in(""), std::nullopt);
    EXPECT_EQ(caught_up_in("x:1:0"), std::nullopt);
}

}  // namespace
}  // namespace millrace::mirror
