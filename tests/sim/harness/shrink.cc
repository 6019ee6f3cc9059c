#include "tests/sim/harness/shrink.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace millrace::simtest {

namespace {

std::vector<sim::Fault> pick(const std::vector<sim::Fault>& all,
                             const std::vector<std::size_t>& kept) {
    std::vector<sim::Fault> picked;
    for (const std::size_t index : kept) {
        picked.push_back(all[index]);
    }
    return picked;
}

}  // namespace

Shrunk shrink(RunPlan failing, const StillFails& still_fails, std::uint64_t most_runs) {
    Shrunk result;
    const std::vector<sim::Fault> all_faults = failing.faults.faults;
    result.faults.resize(all_faults.size());
    std::iota(result.faults.begin(), result.faults.end(), std::size_t{0});
    result.plan = std::move(failing);
    const auto fails = [&](const RunPlan& plan) {
        return result.runs < most_runs && (++result.runs, still_fails(plan));
    };
    for (bool smaller = true; smaller && result.runs < most_runs;) {
        const std::size_t before =
            result.faults.size() + result.plan.operations.size() - result.calmed.size();
        for (const sim::AmbientKnob& knob : sim::ambient_knobs()) {
            RunPlan calmer = result.plan;
            knob.calm(calmer.faults.ambient);
            if (!knob.is_calm(result.plan.faults.ambient) && fails(calmer)) {
                result.plan = std::move(calmer);
                result.calmed.emplace_back(knob.name);
            }
        }
        result.faults =
            minimize<std::size_t>(result.faults, [&](const std::vector<std::size_t>& kept) {
                RunPlan fewer = result.plan;
                fewer.faults.faults = pick(all_faults, kept);
                return fails(fewer);
            });
        result.plan.faults.faults = pick(all_faults, result.faults);
        result.plan.operations = minimize<std::uint32_t>(
            result.plan.operations, [&](const std::vector<std::uint32_t>& kept) {
                RunPlan fewer = result.plan;
                fewer.operations = kept;
                return fails(fewer);
            });
        smaller =
            result.faults.size() + result.plan.operations.size() - result.calmed.size() < before;
    }
    return result;
}

}  // namespace millrace::simtest
