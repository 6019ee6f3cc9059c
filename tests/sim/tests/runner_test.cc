#include "tests/sim/harness/runner.h"

#include <cstdlib>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/sim/harness/isolated.h"

namespace millrace::simtest {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Behaves as its seed says.
class Puppet final : public Scenario {
public:
    std::string_view name() const override { return "puppet"; }
    std::string_view about() const override { return "for tests of the runner"; }
    std::uint32_t operations() const override { return 10; }
    sim::FaultProfile faults() const override { return {}; }
    Outcome run(const RunPlan& plan) const override {
        Outcome outcome;
        outcome.simulated = 1s;
        outcome.operations = plan.operations.size();
        if (plan.seed == 3) {
            std::abort();
        }
        if (plan.seed == 5) {
            outcome.violation = "five";
        }
        static std::uint64_t calls = 0;
        outcome.trace_hash = plan.seed == 6 ? ++calls : plan.seed;
        return outcome;
    }
};

TEST(Runner, a_crash_and_a_violation_are_counted_and_the_rest_goes_on) {
    for (const unsigned processes : {1U, 3U}) {
        CampaignOptions options;
        options.seeds = 10;
        options.processes = processes;
        options.quiet = true;
        const Campaign campaign = run_campaign(Puppet{}, options);
        EXPECT_EQ(campaign.runs, 10U);
        EXPECT_EQ(campaign.operations, 90U);
        ASSERT_EQ(campaign.failed.size(), 2U);
        EXPECT_EQ(campaign.failed[0].seed, 3U);
        EXPECT_THAT(campaign.failed[0].violation, HasSubstr("Aborted"));
        EXPECT_EQ(campaign.failed[1].seed, 5U);
        EXPECT_EQ(campaign.failed[1].violation, "five");
    }
}

TEST(Runner, notices_a_plan_that_runs_differently_the_second_time) {
    CampaignOptions options;
    options.first_seed = 6;
    options.seeds = 2;
    options.twice = true;
    const Campaign campaign = run_campaign(Puppet{}, options);
    ASSERT_EQ(campaign.failed.size(), 1U);
    EXPECT_EQ(campaign.failed[0].seed, 6U);
    EXPECT_THAT(campaign.failed[0].violation, HasSubstr("ran differently"));
}

TEST(Runner, a_run_that_hangs_is_a_violation) {
    const auto make = [](std::size_t index) -> Outcome {
        while (index == 1) {
            pause();
        }
        return {};
    };
    std::vector<std::string> violations(3);
    run_isolated(3, make,
                 [&](std::size_t index, const Outcome& outcome) {
                     violations[index] = outcome.violation.value_or("");
                     return true;
                 },
                 {.longest_run = std::chrono::seconds{1}});
    EXPECT_THAT(violations, ElementsAre("", HasSubstr("hangs"), ""));
}

TEST(Runner, ranges_are_read_as_they_are_printed) {
    EXPECT_EQ(to_ranges({0, 1, 2, 7, 9, 10}), "0-2,7,9-10");
    EXPECT_THAT(*parse_ranges("0-2,7,9-10"), ElementsAre(0, 1, 2, 7, 9, 10));
    EXPECT_TRUE(parse_ranges("")->empty());
    EXPECT_FALSE(parse_ranges("1,x").has_value());
    EXPECT_FALSE(parse_ranges("1-").has_value());
}

TEST(Runner, a_selection_leaves_the_faults_and_operations_it_names) {
    RunPlan plan;
    plan.faults.faults.resize(4);
    for (std::size_t i = 0; i < 4; ++i) {
        plan.faults.faults[i].value = i;
    }
    plan.faults.ambient.torn_reads = 5;
    plan.faults.ambient.buggify = 5;
    Selection selection;
    selection.faults = {1, 3};
    selection.operations = {2};
    selection.calm = {"buggify"};
    selection.apply(plan);
    ASSERT_EQ(plan.faults.faults.size(), 2U);
    EXPECT_EQ(plan.faults.faults[1].value, 3U);
    EXPECT_THAT(plan.operations, ElementsAre(2));
    EXPECT_EQ(plan.faults.ambient.buggify, 0U);
    EXPECT_EQ(plan.faults.ambient.torn_reads, 5U);
}

TEST(FaultPlan, is_the_same_for_the_same_seed_and_stays_within_its_profile) {
    sim::FaultProfile profile;
    for (const auto& kinds : {sim::process_faults(), sim::network_faults(), sim::disk_faults(),
                              sim::silent_disk_faults(), sim::clock_faults()}) {
        profile.kinds.insert(profile.kinds.end(), kinds.begin(), kinds.end());
    }
    profile.nodes = {0, 1, 2};
    profile.from = 1s;
    profile.until = 5s;
    profile.may_lose_data = 1;
    sim::FaultCounts seen;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        SeededRandom one(seed);
        SeededRandom two(seed);
        const sim::FaultPlan plan = draw_plan(one, profile);
        const sim::FaultPlan again = draw_plan(two, profile);
        EXPECT_EQ(describe(plan.ambient), describe(again.ambient));
        ASSERT_EQ(plan.faults.size(), again.faults.size());
        for (std::size_t i = 0; i < plan.faults.size(); ++i) {
            const sim::Fault& fault = plan.faults[i];
            EXPECT_EQ(fault.to_string(), again.faults[i].to_string());
            EXPECT_GE(fault.at, profile.from);
            seen.add(fault.kind);
            if (fault.kind == sim::FaultKind::empty_disk || fault.kind == sim::FaultKind::bit_rot) {
                EXPECT_EQ(fault.node, 0U) << "only the first may lose data";
            }
        }
    }
    for (const sim::FaultKind kind : profile.kinds) {
        EXPECT_GT(seen.of(kind), 0U) << to_string(kind);
    }
}

TEST(FaultPlan, a_knob_that_was_calmed_is_calm) {
    SeededRandom random(5);
    for (int i = 0; i < 20; ++i) {
        sim::Ambient ambient = sim::Ambient::draw(random);
        for (const sim::AmbientKnob& knob : sim::ambient_knobs()) {
            knob.calm(ambient);
            EXPECT_TRUE(knob.is_calm(ambient)) << knob.name;
        }
        EXPECT_EQ(describe(ambient), "calm") << "every member belongs to a knob";
    }
}

}  // namespace
}  // namespace millrace::simtest
