// tests/sim/harness/runner.h
//
// What sim_runner does, as functions: many seeds of a scenario, a hunt for its planted bugs, one
// failing seed made small.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/harness/scenario.h"
#include "tests/sim/harness/shrink.h"

namespace millrace::simtest {

/// A plan and what was taken away from it, as a command line says it.
struct Selection {
    std::optional<std::vector<std::uint32_t>> faults;      ///< Indexes that stay.
    std::optional<std::vector<std::uint32_t>> operations;  ///< Numbers that stay.
    std::vector<std::string> calm;                         ///< Groups of the ambient that are calm.
    std::uint64_t luck = 0;                                ///< As in RunPlan.

    void apply(RunPlan& plan) const;
    std::string to_arguments() const;
};

/// "0,3,7-9" and back.
std::optional<std::vector<std::uint32_t>> parse_ranges(std::string_view text);
std::string to_ranges(const std::vector<std::uint32_t>& numbers);

struct CampaignOptions {
    std::uint64_t first_seed = 1;
    std::uint64_t seeds = 100;
    std::string bug;
    bool twice = false;  ///< Each seed two times: the traces must be equal.
    bool stop_at_violation = false;
    unsigned processes = 1;
    double seconds = 0;  ///< No new seed after this long; 0: no limit.
    bool quiet = false;
    Selection selection;
};

struct FailedSeed {
    std::uint64_t seed = 0;
    std::string violation;
};

struct Campaign {
    std::uint64_t runs = 0;
    std::uint64_t events = 0;
    std::uint64_t operations = 0;
    Duration simulated{};
    double seconds = 0;
    sim::FaultCounts faults;
    std::vector<FailedSeed> failed;
    std::uint64_t trace_hash = 0;  ///< Of the last run.
    /// One line for a person, one row for LEDGER.md.
    std::string summary(const Scenario& scenario, const CampaignOptions& options) const;
    std::string ledger_row(const Scenario& scenario, const CampaignOptions& options) const;
};

Campaign run_campaign(const Scenario& scenario, const CampaignOptions& options);

/// The first seed that finds the bug, if one of `seeds` does.
std::optional<FailedSeed> hunt(const Scenario& scenario, const std::string& bug,
                               std::uint64_t seeds, unsigned processes);

/// Makes a failing seed small, within the time given, and prints what is left, what happens in it
/// and how to run it again with `program`. With `twice` it fails if two runs of it differ.
struct ShrinkRequest {
    std::string program = "sim_runner";
    bool twice = false;
    std::chrono::seconds time{60};
};
Shrunk shrink_and_print(const Scenario& scenario, const RunPlan& failing,
                        const ShrinkRequest& request);

void print_plan(const RunPlan& plan);

}  // namespace millrace::simtest
