#include "tests/sim/harness/runner.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <deque>
#include <fmt/format.h>
#include <utility>

#include "tests/sim/harness/isolated.h"

namespace millrace::simtest {

namespace {

double seconds_since(std::chrono::steady_clock::time_point begun) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

Outcome run_twice(const Scenario& scenario, const RunPlan& plan) {
    const Outcome first = scenario.run(plan);
    Outcome second = scenario.run(plan);
    if (first.trace_hash != second.trace_hash) {
        second.violation = fmt::format(
            "the same plan ran differently: trace {:016x} of {} events, then {:016x} of {}",
            first.trace_hash, first.events, second.trace_hash, second.events);
    }
    return second;
}

/// The last that happens in a run; it may end the process, so each line is written at once.
void print_story(const Scenario& scenario, RunPlan plan, const IsolatedOptions& isolated) {
    constexpr std::size_t most_lines = 40;
    std::FILE* const lines = std::tmpfile();
    if (lines == nullptr) {
        return;
    }
    plan.trace = [lines](const std::string& line) {
        fmt::print(lines, "{}\n", line);
        std::fflush(lines);
    };
    (void)run_alone([&] { return scenario.run(plan); }, isolated);
    std::rewind(lines);
    std::deque<std::string> last;
    std::size_t left_out = 0;
    for (char text[512]; std::fgets(text, sizeof(text), lines) != nullptr;) {
        last.emplace_back(text);
        if (last.size() > most_lines) {
            last.pop_front();
            ++left_out;
        }
        if (last.back().find(" violation: ") != std::string::npos) {
            break;  // What follows is the end of the world.
        }
    }
    std::fclose(lines);
    fmt::print("what happens (seconds, machine){}:\n",
               left_out > 0 ? fmt::format(", after {} lines more", left_out) : "");
    for (const std::string& line : last) {
        fmt::print("  {}{}", line, line.ends_with('\n') ? "" : " ...\n");
    }
}

template <typename T>
bool parse_number(std::string_view text, T& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

std::optional<std::vector<std::uint32_t>> parse_ranges(std::string_view text) {
    std::vector<std::uint32_t> numbers;
    while (!text.empty()) {
        const auto comma = std::min(text.find(','), text.size());
        const std::string_view part = text.substr(0, comma);
        text.remove_prefix(std::min(comma + 1, text.size()));
        const auto dash = std::min(part.find('-'), part.size());
        std::uint32_t first = 0;
        std::uint32_t last = 0;
        if (!parse_number(part.substr(0, dash), first)) {
            return std::nullopt;
        }
        last = first;
        if (dash < part.size() && !parse_number(part.substr(dash + 1), last)) {
            return std::nullopt;
        }
        for (std::uint32_t number = first; number <= last && numbers.size() < 1'000'000; ++number) {
            numbers.push_back(number);
        }
    }
    return numbers;
}

std::string to_ranges(const std::vector<std::uint32_t>& numbers) {
    std::string text;
    for (std::size_t i = 0; i < numbers.size();) {
        std::size_t last = i;
        while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) {
            ++last;
        }
        text += fmt::format("{}{}", text.empty() ? "" : ",", numbers[i]);
        if (last > i) {
            text += fmt::format("-{}", numbers[last]);
        }
        i = last + 1;
    }
    return text;
}

void Selection::apply(RunPlan& plan) const {
    plan.luck = luck;
    if (faults) {
        std::vector<sim::Fault> kept;
        for (const std::uint32_t index : *faults) {
            if (index < plan.faults.faults.size()) {
                kept.push_back(plan.faults.faults[index]);
            }
        }
        plan.faults.faults = std::move(kept);
    }
    if (operations) {
        plan.operations = *operations;
    }
    for (const sim::AmbientKnob& knob : sim::ambient_knobs()) {
        if (std::find(calm.begin(), calm.end(), knob.name) != calm.end()) {
            knob.calm(plan.faults.ambient);
        }
    }
}

std::string Selection::to_arguments() const {
    std::string text;
    if (luck != 0) {
        text += fmt::format(" --luck {}", luck);
    }
    if (faults) {
        text += fmt::format(" --keep-faults '{}'", to_ranges(*faults));
    }
    if (operations) {
        text += fmt::format(" --keep-operations '{}'", to_ranges(*operations));
    }
    if (!calm.empty()) {
        text += fmt::format(" --calm {}", fmt::join(calm, ","));
    }
    return text;
}

Campaign run_campaign(const Scenario& scenario, const CampaignOptions& options) {
    Campaign campaign;
    const auto begun = std::chrono::steady_clock::now();
    run_isolated(
        options.seeds,
        [&](std::size_t index) {
            RunPlan plan = scenario.plan(options.first_seed + index, options.bug);
            options.selection.apply(plan);
            return options.twice ? run_twice(scenario, plan) : scenario.run(plan);
        },
        [&](std::size_t index, const Outcome& outcome) {
            ++campaign.runs;
            campaign.events += outcome.events;
            campaign.operations += outcome.operations;
            campaign.simulated += outcome.simulated;
            campaign.faults.merge(outcome.counts);
            campaign.trace_hash = outcome.trace_hash;
            if (outcome.violation) {
                campaign.failed.push_back({options.first_seed + index, *outcome.violation});
            }
            const bool out_of_time = options.seconds > 0 && seconds_since(begun) > options.seconds;
            return !out_of_time && !(outcome.violation && options.stop_at_violation);
        },
        {.processes = options.processes, .quiet = options.quiet});
    campaign.seconds = seconds_since(begun);
    std::sort(campaign.failed.begin(), campaign.failed.end(),
              [](const FailedSeed& a, const FailedSeed& b) { return a.seed < b.seed; });
    return campaign;
}

std::string Campaign::summary(const Scenario& scenario, const CampaignOptions& options) const {
    const double hours = static_cast<double>(simulated.count()) / 3.6e12;
    return fmt::format(
        "{}{}: {} seeds from {}, {} operations, {:.2f} simulated hours in {:.1f} s "
        "({:.1f} hours a minute), {} events, {} faults ({}), {} violations{}",
        scenario.name(), options.twice ? " (each twice)" : "", runs, options.first_seed, operations,
        hours, seconds, seconds > 0 ? hours * 60 / seconds : 0, events, faults.total(),
        faults.to_string(), failed.size(),
        runs == 1 ? fmt::format(", trace hash {:016x}", trace_hash) : "");
}

std::string Campaign::ledger_row(const Scenario& scenario, const CampaignOptions& options) const {
    return fmt::format("| {} | {}..{} | {:.2f} | {} | {} | {} |", scenario.name(),
                       options.first_seed, options.first_seed + (runs > 0 ? runs - 1 : 0),
                       static_cast<double>(simulated.count()) / 3.6e12, operations,
                       faults.to_string(), failed.size());
}

std::optional<FailedSeed> hunt(const Scenario& scenario, const std::string& bug,
                               std::uint64_t seeds, unsigned processes) {
    CampaignOptions options;
    options.seeds = seeds;
    options.bug = bug;
    options.stop_at_violation = true;
    options.processes = processes;
    options.quiet = true;
    const Campaign campaign = run_campaign(scenario, options);
    if (campaign.failed.empty()) {
        return std::nullopt;
    }
    return campaign.failed.front();
}

void print_plan(const RunPlan& plan) {
    fmt::print("  seed {}, {} operations: {}\n", plan.seed, plan.operations.size(),
               to_ranges(plan.operations));
    fmt::print("  ambient: {}\n", sim::describe(plan.faults.ambient));
    for (const sim::Fault& fault : plan.faults.faults) {
        fmt::print("  {}\n", fault.to_string());
    }
}

Shrunk shrink_and_print(const Scenario& scenario, const RunPlan& failing,
                        const ShrinkRequest& request) {
    const auto begun = std::chrono::steady_clock::now();
    // A run that hangs shows it soon enough: its like took a fraction of a second.
    const IsolatedOptions isolated{.longest_run = std::chrono::seconds{10}, .quiet = true};
    const auto run = [&](const RunPlan& plan) {
        return request.twice ? run_alone([&] { return run_twice(scenario, plan); }, isolated)
                             : run_alone([&] { return scenario.run(plan); }, isolated);
    };
    const Shrunk small =
        shrink(failing, [&](const RunPlan& plan) { return run(plan).violation.has_value(); },
               {.out_of_time = [&] {
                   return seconds_since(begun) > static_cast<double>(request.time.count());
               }});
    Selection selection;
    selection.faults.emplace(small.faults.begin(), small.faults.end());
    selection.operations = small.plan.operations;
    selection.calm = small.calmed;
    selection.luck = small.plan.luck;
    fmt::print(
        "made small in {} runs and {:.0f} s: {} of {} faults and {} of {} operations are left\n",
        small.runs, seconds_since(begun), small.faults.size(), failing.faults.faults.size(),
        small.plan.operations.size(), failing.operations.size());
    print_plan(small.plan);
    print_story(scenario, small.plan, {.longest_run = isolated.longest_run});
    fmt::print(
        "  => {}\n",
        run(small.plan).violation.value_or("passes now: it was at the edge of the time limit"));
    fmt::print("again: {} --scenario {} --seed {}{}{} {}\n", request.program, scenario.name(),
               small.plan.seed, failing.bug.empty() ? "" : " --bug " + failing.bug,
               selection.to_arguments(), request.twice ? "--twice" : "--trace");
    return small;
}

}  // namespace millrace::simtest
