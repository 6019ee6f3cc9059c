// Newcomers: the first batch that a leader sees of a producer does not overtake those before it.
#include "replication/newcomers.h"

#include <gtest/gtest.h>

#include "tests/support/instant.h"

namespace millrace::replication {
namespace {

using support::at;

constexpr ProducerId p{7};
constexpr ProducerEpoch e0{0};

TEST(Newcomers, a_first_batch_from_the_beginning_is_taken_at_once) {
    Newcomers newcomers;
    EXPECT_TRUE(newcomers.admits(p, e0, 0, at(0s)));
}

TEST(Newcomers, who_waits_for_nothing_comes_twice_and_is_taken) {
    Newcomers newcomers;
    EXPECT_FALSE(newcomers.admits(p, e0, 500, at(0s)));
    EXPECT_TRUE(newcomers.admits(p, e0, 500, at(1s)));
}

// A leader that was only coming refused 0 to 2; by the time 3 arrived it could have taken it.
TEST(Newcomers, a_later_batch_does_not_overtake_refused_ones) {
    Newcomers newcomers;
    newcomers.refused(p, e0, 0, at(0s));
    newcomers.refused(p, e0, 1, at(0s));
    EXPECT_FALSE(newcomers.admits(p, e0, 3, at(0s)));
    EXPECT_FALSE(newcomers.admits(p, e0, 3, at(1s)));
    EXPECT_TRUE(newcomers.admits(p, e0, 0, at(1s)));
}

TEST(Newcomers, the_earliest_of_several_is_the_one_that_may_begin) {
    Newcomers newcomers;
    EXPECT_FALSE(newcomers.admits(p, e0, 503, at(0s)));
    EXPECT_FALSE(newcomers.admits(p, e0, 501, at(0s)));
    EXPECT_FALSE(newcomers.admits(p, e0, 503, at(1s)));
    EXPECT_TRUE(newcomers.admits(p, e0, 501, at(1s)));
}

TEST(Newcomers, a_sequence_before_the_turn_of_the_circle_is_earlier) {
    Newcomers newcomers;
    EXPECT_FALSE(newcomers.admits(p, e0, 2, at(0s)));
    EXPECT_FALSE(newcomers.admits(p, e0, INT32_MAX, at(0s)));
    EXPECT_FALSE(newcomers.admits(p, e0, 2, at(1s)));
    EXPECT_TRUE(newcomers.admits(p, e0, INT32_MAX, at(1s)));
}

TEST(Newcomers, another_epoch_begins_anew) {
    Newcomers newcomers;
    newcomers.refused(p, e0, 0, at(0s));
    EXPECT_FALSE(newcomers.admits(p, ProducerEpoch{1}, 9, at(0s)));
    EXPECT_TRUE(newcomers.admits(p, ProducerEpoch{1}, 9, at(1s)));
}

TEST(Newcomers, an_old_refusal_says_nothing) {
    Newcomers newcomers;
    newcomers.refused(p, e0, 0, at(0s));
    const Duration later = Newcomers::remembered_for + 1s;
    EXPECT_FALSE(newcomers.admits(p, e0, 3, at(later)));
    EXPECT_TRUE(newcomers.admits(p, e0, 3, at(later + 1s)));
}

// Whoever makes up producers cannot make a leader remember without bound; the oldest note goes.
TEST(Newcomers, the_oldest_is_forgotten_when_there_are_too_many) {
    Newcomers newcomers;
    for (std::int64_t id = 0; id <= static_cast<std::int64_t>(Newcomers::remembered_most); ++id) {
        EXPECT_FALSE(newcomers.admits(ProducerId{id}, e0, 5, at(std::chrono::milliseconds{id})));
    }
    EXPECT_FALSE(newcomers.admits(ProducerId{0}, e0, 5, at(2s)));
    EXPECT_TRUE(newcomers.admits(ProducerId{9}, e0, 5, at(2s)));
}

}  // namespace
}  // namespace millrace::replication
