// sim_runner: simulations from the command line. `make sim` calls it; --help says what it can do.
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fmt/core.h>
#include <map>
#include <string>
#include <vector>

#include "tests/sim/harness/isolated.h"
#include "tests/sim/harness/runner.h"

namespace millrace::simtest {
namespace {

constexpr int exit_clean = 0;
constexpr int exit_violation = 1;
constexpr int exit_usage = 2;

constexpr const char* usage =
    "sim_runner [--scenario NAME] [--seed S] [--seeds N] ...\n"
    "  --scenario NAME      one of --list; all of them if left out\n"
    "  --list               the scenarios and their planted bugs\n"
    "  --seed S             the first seed (1); alone: that seed only\n"
    "  --seeds N            how many (100)\n"
    "  --seconds T          no new seed after this long\n"
    "  --processes N        side by side (1)\n"
    "  --twice              each seed two times: the traces must be equal\n"
    "  --trace              print what happens (one seed)\n"
    "  --shrink             make the first failing seed small and tell what happens in it\n"
    "  --bug NAME           with this planted bug\n"
    "  --hunt N             find each planted bug within N seeds\n"
    "  --ledger             print the row for LEDGER.md\n"
    "  --keep-faults LIST   --keep-operations LIST   --calm GROUPS   --luck N\n"
    "                       as --shrink printed them\n"
    "ends with 0 if all is well, 1 after a violation, 2 if asked wrongly\n";

struct Arguments {
    std::string program;
    std::map<std::string, std::string> values;
    bool has(const std::string& name) const { return values.count(name) > 0; }
    std::string text(const std::string& name) const {
        const auto found = values.find(name);
        return found == values.end() ? "" : found->second;
    }
    std::uint64_t number(const std::string& name, std::uint64_t fallback) const {
        if (!has(name)) {
            return fallback;
        }
        const std::string& value = values.at(name);
        std::uint64_t number = 0;
        const auto end = value.data() + value.size();
        if (std::from_chars(value.data(), end, number).ptr != end || value.empty()) {
            fmt::print(stderr, "--{} {}: not a number\n", name, value);
            std::exit(exit_usage);
        }
        return number;
    }
};

Arguments parse(const std::vector<std::string>& words) {
    const std::map<std::string, bool> takes_value = {
        {"scenario", true}, {"list", false},  {"seed", true},        {"seeds", true},
        {"seconds", true},  {"twice", false}, {"trace", false},      {"processes", true},
        {"shrink", false},  {"bug", true},    {"hunt", true},        {"ledger", false},
        {"help", false},    {"calm", true},   {"keep-faults", true}, {"keep-operations", true},
        {"luck", true}};
    Arguments arguments;
    for (std::size_t i = 0; i < words.size(); ++i) {
        const std::string name = words[i].substr(0, 2) == "--" ? words[i].substr(2) : "";
        const auto known = takes_value.find(name);
        if (known == takes_value.end() || (known->second && i + 1 == words.size())) {
            fmt::print(stderr, "{}: not understood\n{}", words[i], usage);
            std::exit(exit_usage);
        }
        arguments.values[name] = known->second ? words[++i] : "";
    }
    return arguments;
}

std::vector<std::uint32_t> ranges_or_exit(const std::string& text) {
    const auto numbers = parse_ranges(text);
    if (!numbers) {
        fmt::print(stderr, "{}: not a list of numbers like 0,3,7-9\n", text);
        std::exit(exit_usage);
    }
    return *numbers;
}

Selection selection_of(const Arguments& arguments) {
    Selection selection;
    if (arguments.has("keep-faults")) {
        selection.faults = ranges_or_exit(arguments.text("keep-faults"));
    }
    if (arguments.has("keep-operations")) {
        selection.operations = ranges_or_exit(arguments.text("keep-operations"));
    }
    selection.luck = arguments.number("luck", 0);
    std::string groups = arguments.text("calm");
    while (!groups.empty()) {
        const auto comma = std::min(groups.find(','), groups.size());
        selection.calm.push_back(groups.substr(0, comma));
        groups.erase(0, comma + 1);
    }
    return selection;
}

void list() {
    for (const auto& scenario : scenarios()) {
        fmt::print("{:<12} {}\n", scenario->name(), scenario->about());
        for (const std::string& bug : scenario->planted_bugs()) {
            fmt::print("{:<12}   --bug {}\n", "", bug);
        }
    }
}

int hunt_all(const Scenario& scenario, const Arguments& arguments) {
    int result = exit_clean;
    const std::uint64_t seeds = arguments.number("hunt", 0);
    const auto processes = static_cast<unsigned>(arguments.number("processes", 1));
    for (const std::string& bug : scenario.planted_bugs()) {
        if (arguments.has("bug") && arguments.text("bug") != bug) {
            continue;
        }
        const auto found = hunt(scenario, bug, seeds, processes);
        if (found) {
            fmt::print("{:<10} {:<24} found by seed {}: {}\n", scenario.name(), bug, found->seed,
                       found->violation.substr(0, 100));
        } else {
            fmt::print("{:<10} {:<24} NOT FOUND in {} seeds\n", scenario.name(), bug, seeds);
            result = exit_violation;
        }
    }
    return result;
}

int trace_one(const Scenario& scenario, const CampaignOptions& options) {
    RunPlan plan = scenario.plan(options.first_seed, options.bug);
    options.selection.apply(plan);
    plan.trace = [](const std::string& line) { fmt::print("{}\n", line); };
    print_plan(plan);
    const Outcome outcome = scenario.run(plan);
    fmt::print("trace hash {:016x}, {} events, {} operations, {:.3f} s simulated\n{}\n",
               outcome.trace_hash, outcome.events, outcome.operations,
               static_cast<double>(outcome.simulated.count()) / 1e9,
               outcome.violation.value_or("no violation"));
    return outcome.violation ? exit_violation : exit_clean;
}

int run_many(const Scenario& scenario, const CampaignOptions& options, const Arguments& arguments) {
    const Campaign campaign = run_campaign(scenario, options);
    fmt::print("{}\n", campaign.summary(scenario, options));
    if (arguments.has("ledger")) {
        fmt::print("{}\n", campaign.ledger_row(scenario, options));
    }
    constexpr std::size_t shown = 10;
    for (std::size_t i = 0; i < std::min(shown, campaign.failed.size()); ++i) {
        fmt::print("  seed {}: {}\n", campaign.failed[i].seed, campaign.failed[i].violation);
    }
    if (campaign.failed.size() > shown) {
        fmt::print("  ... and {} seeds more\n", campaign.failed.size() - shown);
    }
    if (!campaign.failed.empty() && arguments.has("shrink")) {
        RunPlan plan = scenario.plan(campaign.failed.front().seed, options.bug);
        options.selection.apply(plan);
        shrink_and_print(scenario, plan, {.program = arguments.program, .twice = options.twice});
    }
    return campaign.failed.empty() ? exit_clean : exit_violation;
}

CampaignOptions options_of(const Arguments& arguments) {
    CampaignOptions options;
    options.first_seed = arguments.number("seed", 1);
    options.seeds = arguments.number("seeds", arguments.has("seed") ? 1 : 100);
    options.bug = arguments.text("bug");
    options.twice = arguments.has("twice");
    options.processes =
        static_cast<unsigned>(std::max<std::uint64_t>(1, arguments.number("processes", 1)));
    options.seconds = static_cast<double>(arguments.number("seconds", 0));
    options.selection = selection_of(arguments);
    return options;
}

bool has_bug(const Scenario& scenario, const std::string& bug) {
    const std::vector<std::string> known = scenario.planted_bugs();
    return std::find(known.begin(), known.end(), bug) != known.end();
}

/// Those asked for; a bug is looked for where it can be planted.
std::vector<const Scenario*> chosen(const Arguments& arguments) {
    const std::string wanted = arguments.text("scenario");
    std::vector<const Scenario*> found;
    for (const auto& scenario : scenarios()) {
        const bool named = wanted.empty() || scenario->name() == wanted;
        if (named && (!arguments.has("bug") || has_bug(*scenario, arguments.text("bug")))) {
            found.push_back(scenario.get());
        }
    }
    return found;
}

int main_of(const std::string& program, const std::vector<std::string>& words) {
    Arguments arguments = parse(words);
    arguments.program = program;
    if (arguments.has("help")) {
        fmt::print("{}", usage);
        return exit_clean;
    }
    if (arguments.has("list")) {
        list();
        return exit_clean;
    }
    const std::vector<const Scenario*> asked = chosen(arguments);
    if (asked.empty()) {
        // Without a word, a misspelt bug would be one that is never found.
        fmt::print(stderr, "no scenario {}{}; there are:\n", arguments.text("scenario"),
                   arguments.has("bug") ? " with a planted bug " + arguments.text("bug") : "");
        list();
        return exit_usage;
    }
    const CampaignOptions options = options_of(arguments);
    int result = exit_clean;
    for (const Scenario* scenario : asked) {
        const int outcome = arguments.has("hunt")    ? hunt_all(*scenario, arguments)
                            : arguments.has("trace") ? trace_one(*scenario, options)
                                                     : run_many(*scenario, options, arguments);
        result = std::max(result, outcome);
    }
    return result;
}

}  // namespace
}  // namespace millrace::simtest

int main(int argc, char** argv) {
    return millrace::simtest::main_of(argv[0], {argv + 1, argv + argc});
}
