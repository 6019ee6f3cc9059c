#include <gtest/gtest.h>

#include "admin/internal/rate_core.h"
#include "admin/internal/repeats_core.h"

namespace millrace::admin {
namespace {

using Verdict = RepeatsCore::Verdict;

Instant at(Duration d) {
    return Instant{} + d;
}

TEST(RepeatsCore, tells_a_repeated_request_from_another_under_the_same_key) {
    RepeatsCore core;
    EXPECT_EQ(core.begin("k", "request", at(0s)).verdict, Verdict::first);
    EXPECT_EQ(core.begin("k", "request", at(1s)).verdict, Verdict::under_way);
    core.finish("k", {0, "", "answer"}, at(2s));
    const auto repeated = core.begin("k", "request", at(3s));
    ASSERT_EQ(repeated.verdict, Verdict::repeated);
    EXPECT_EQ(repeated.answer->body, "answer");
    EXPECT_EQ(core.begin("k", "other", at(3s)).verdict, Verdict::different);
}

TEST(RepeatsCore, keeps_an_answer_for_its_time_and_no_longer) {
    RepeatsCore core{10, 600s};
    core.begin("k", "r", at(0s));
    core.finish("k", {}, at(5s));
    EXPECT_EQ(core.begin("k", "r", at(604s)).verdict, Verdict::repeated);
    EXPECT_EQ(core.begin("k", "r", at(605s)).verdict, Verdict::first);
}

TEST(RepeatsCore, lets_a_call_without_effect_be_tried_again) {
    RepeatsCore core;
    core.begin("k", "r", at(0s));
    core.forget("k");
    EXPECT_EQ(core.begin("k", "r", at(0s)).verdict, Verdict::first);
}

TEST(RepeatsCore, drops_the_oldest_answer_for_a_new_key_but_never_a_call_under_way) {
    RepeatsCore core{2, 600s};
    core.begin("a", "r", at(0s));
    core.finish("a", {}, at(0s));
    core.begin("b", "r", at(0s));
    EXPECT_EQ(core.begin("c", "r", at(0s)).verdict, Verdict::first);
    EXPECT_EQ(core.begin("d", "r", at(0s)).verdict, Verdict::full);
    EXPECT_EQ(core.begin("b", "r", at(0s)).verdict, Verdict::under_way);
}

TEST(RateCore, gives_so_many_in_a_second_and_saves_no_more_than_a_seconds_worth) {
    RateCore rate{2};
    EXPECT_TRUE(rate.take(at(0s)));
    EXPECT_TRUE(rate.take(at(0s)));
    EXPECT_FALSE(rate.take(at(0s)));
    EXPECT_TRUE(rate.take(at(500ms)));
    EXPECT_FALSE(rate.take(at(500ms)));
    EXPECT_TRUE(rate.take(at(100s)));
    EXPECT_TRUE(rate.take(at(100s)));
    EXPECT_FALSE(rate.take(at(100s)));
}

}  // namespace
}  // namespace millrace::admin
