#include "tests/sim/harness/shrink.h"

#include <algorithm>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <numeric>

namespace millrace::simtest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool has(const std::vector<std::uint32_t>& all, std::uint32_t one) {
    return std::find(all.begin(), all.end(), one) != all.end();
}

TEST(Minimize, leaves_exactly_what_is_needed) {
    std::vector<std::uint32_t> all(100);
    std::iota(all.begin(), all.end(), 0U);
    const auto needs = [](const std::vector<std::uint32_t>& some) {
        return has(some, 7) && has(some, 8) && has(some, 93);
    };
    EXPECT_THAT(minimize<std::uint32_t>(all, needs), ElementsAre(7, 8, 93));
    EXPECT_THAT(minimize<std::uint32_t>(all, [](const auto&) { return true; }), IsEmpty());
}

RunPlan plan_with(std::size_t faults, std::uint32_t operations) {
    RunPlan plan;
    for (std::size_t i = 0; i < faults; ++i) {
        plan.faults.faults.push_back({.at = Duration{static_cast<std::int64_t>(i)}});
    }
    plan.operations.resize(operations);
    std::iota(plan.operations.begin(), plan.operations.end(), 0U);
    plan.faults.ambient.torn_reads = 100;
    plan.faults.ambient.drift_ppm = 100;
    return plan;
}

// The failure needs fault 5, operation 3 and drifting clocks.
TEST(Shrink, takes_away_faults_operations_and_ambient_that_do_not_matter) {
    const auto fails = [](const RunPlan& plan) {
        const bool fault = std::any_of(plan.faults.faults.begin(), plan.faults.faults.end(),
                                       [](const sim::Fault& f) { return f.at == Duration{5}; });
        return fault && has(plan.operations, 3) && plan.faults.ambient.drift_ppm > 0;
    };
    const Shrunk small = shrink(plan_with(20, 50), fails);
    EXPECT_THAT(small.faults, ElementsAre(5));
    EXPECT_THAT(small.plan.operations, ElementsAre(3));
    EXPECT_EQ(small.plan.faults.ambient.torn_reads, 0U);
    EXPECT_EQ(small.plan.faults.ambient.drift_ppm, 100U);
    EXPECT_THAT(small.calmed, ElementsAre("torn_streams"));
    EXPECT_TRUE(fails(small.plan));
}

TEST(Shrink, stops_at_its_budget_with_a_plan_that_still_fails) {
    const auto fails = [](const RunPlan& plan) { return plan.operations.size() >= 10; };
    const Shrunk small = shrink(plan_with(20, 50), fails, {.runs = 12});
    EXPECT_EQ(small.runs, 12U);
    EXPECT_TRUE(fails(small.plan));
}

TEST(Shrink, stops_when_its_time_is_over) {
    int asked = 0;
    const auto fails = [](const RunPlan& plan) { return plan.operations.size() >= 10; };
    const Shrunk small =
        shrink(plan_with(20, 50), fails, {.out_of_time = [&] { return ++asked > 9; }});
    EXPECT_LE(small.runs, 9U);
    EXPECT_TRUE(fails(small.plan));
}

// A race needs luck: with one operation less it is another run, and most of those pass.
TEST(Shrink, throws_the_dice_anew_where_a_smaller_plan_passed_by_luck) {
    const auto fails = [](const RunPlan& plan) {
        const bool lucky = plan.operations.size() == 50 || plan.luck % 7 == 3;
        return lucky && has(plan.operations, 3);
    };
    const Shrunk small = shrink(plan_with(0, 50), fails);
    EXPECT_THAT(small.plan.operations, ElementsAre(3));
    EXPECT_TRUE(fails(small.plan));
}

}  // namespace
}  // namespace millrace::simtest
