// Many seeds of the quorum simulator, and planted bugs that it must find.
//
//   MILLRACE_SIM_SEEDS=100000 test_raft_sim   more of them
//   MILLRACE_SIM_SEED=42 test_raft_sim        one of them, with a trace
#include "tests/raft_sim/quorum_sim.h"

#include <cstdio>
#include <cstdlib>
#include <gtest/gtest.h>

#include "raft/internal/mutants.h"

namespace millrace::raft {

Mutant active_mutant = Mutant::none;

namespace sim {
namespace {

std::uint64_t number_from(const char* name, std::uint64_t fallback) {
    const char* text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : fallback;
}

// Every promise holds in every run, and every cluster gets going once the faults stop.
TEST(QuorumSim, keeps_its_promises_under_faults) {
    const std::uint64_t one = number_from("MILLRACE_SIM_SEED", 0);
    const std::uint64_t first = one != 0 ? one : number_from("MILLRACE_SIM_FIRST", 1);
    const std::uint64_t count = one != 0 ? 1 : number_from("MILLRACE_SIM_SEEDS", 1200);
    Stats total;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        QuorumSim sim(seed, Options::draw(seed), one != 0);
        const auto violation = sim.run();
        total.add(sim.stats());
        ASSERT_FALSE(violation) << *violation;
    }
    std::printf(
        "quorum simulator: %llu seeds, %.1f simulated hours, %llu events, %llu messages, %llu "
        "elections, %llu crashes, %llu partitions, %llu swapped disks, %llu changed addresses, "
        "%llu voter changes asked, "
        "%llu snapshots installed, %llu truncations, %llu records committed, 0 violations\n",
        static_cast<unsigned long long>(count),
        static_cast<double>(total.simulated.count()) / 3.6e12,
        static_cast<unsigned long long>(total.events),
        static_cast<unsigned long long>(total.messages),
        static_cast<unsigned long long>(total.elections),
        static_cast<unsigned long long>(total.crashes),
        static_cast<unsigned long long>(total.partitions),
        static_cast<unsigned long long>(total.swaps), static_cast<unsigned long long>(total.moves),
        static_cast<unsigned long long>(total.voter_changes),
        static_cast<unsigned long long>(total.snapshots_installed),
        static_cast<unsigned long long>(total.truncations),
        static_cast<unsigned long long>(total.committed));
}

// Without this no failure could be replayed.
TEST(QuorumSim, repeats_a_run_from_its_seed) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        QuorumSim a(seed, Options::draw(seed));
        QuorumSim b(seed, Options::draw(seed));
        a.run();
        b.run();
        EXPECT_EQ(a.trace_hash(), b.trace_hash()) << "seed " << seed;
    }
}

struct Planted {
    Mutant mutant;
    const char* name;
};

class PlantedBug : public testing::TestWithParam<Planted> {};

// The simulator is worth its time only if it finds what it is there for.
TEST_P(PlantedBug, is_found_within_500_seeds) {
    active_mutant = GetParam().mutant;
    std::optional<std::string> violation;
    std::uint64_t seed = 0;
    while (!violation && seed < 500) {
        ++seed;
        QuorumSim sim(seed, Options::draw(seed));
        violation = sim.run();
    }
    active_mutant = Mutant::none;
    ASSERT_TRUE(violation) << GetParam().name << " survived " << seed << " seeds";
    std::printf("%s: seed %llu: %.150s\n", GetParam().name, static_cast<unsigned long long>(seed),
                violation->c_str());
}

#define PLANTED(name)       \
    Planted {               \
        Mutant::name, #name \
    }
INSTANTIATE_TEST_SUITE_P(
    Quorum, PlantedBug,
    testing::Values(PLANTED(vote_not_synced), PLANTED(resume_leadership_in_same_epoch),
                    PLANTED(high_watermark_before_leader_change),
                    PLANTED(truncate_below_high_watermark), PLANTED(snapshot_off_by_one),
                    PLANTED(directory_id_unchecked), PLANTED(leader_counts_unsynced),
                    PLANTED(follower_fetches_unsynced), PLANTED(count_diverging_fetch),
                    PLANTED(vote_for_shorter_log), PLANTED(vote_twice_in_epoch),
                    PLANTED(two_changes_at_once), PLANTED(change_before_epoch_committed),
                    PLANTED(removed_leader_still_counts), PLANTED(no_truncation_on_divergence),
                    PLANTED(voters_not_undone_by_truncation), PLANTED(form_without_asking_everyone),
                    PLANTED(recorded_addresses_only)),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace sim
}  // namespace millrace::raft
