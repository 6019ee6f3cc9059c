// Drawn lives of groups: see sim_world.h for what is checked.
#include <gtest/gtest.h>

#include <cstdlib>

#include "sim_world.h"

namespace millrace::groups::sim {
namespace {

struct Simulation : ::testing::TestWithParam<const char*> {};

/// SIM_SEED runs one seed alone, SIM_SEEDS that many.
std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

TEST_P(Simulation, keeps_its_promises) {
    const std::uint64_t only = from_environment("SIM_SEED", 0);
    const std::uint64_t first = only != 0 ? only : 1;
    const std::uint64_t last = only != 0 ? only : from_environment("SIM_SEEDS", 12);
    std::size_t takeovers = 0;
    std::size_t assignments = 0;
    std::size_t commits = 0;
    for (std::uint64_t seed = first; seed <= last; ++seed) {
        SCOPED_TRACE(seed);
        World world{seed, GetParam()};
        world.run(1500);
        world.settle();
        takeovers += world.takeovers;
        assignments += world.assignments;
        commits += world.commits;
        if (HasFailure()) {
            FAIL() << "SIM_SEED=" << seed;
        }
    }
    // It did happen.
    EXPECT_GT(takeovers, last - first);
    EXPECT_GT(assignments, 20 * (last - first));
    EXPECT_GT(commits, 50 * (last - first));
}

// A seed tells everything: the same one leaves the same bytes in the log.
TEST_P(Simulation, is_the_same_for_the_same_seed) {
    const auto trace = [&] {
        World world{99, GetParam()};
        world.run(600);
        std::string bytes;
        for (const auto& entry : world.topic[PartitionIndex{0}].entries) {
            bytes += as_text(entry.batch);
        }
        return bytes;
    };
    const std::string first = trace();
    EXPECT_FALSE(first.empty());
    EXPECT_EQ(first, trace());
}

INSTANTIATE_TEST_SUITE_P(Groups, Simulation, ::testing::Values("classic", "consumer", "mixed"),
                         [](const auto& info) { return std::string{info.param}; });

}  // namespace
}  // namespace millrace::groups::sim
