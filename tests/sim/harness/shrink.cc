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

/// How often the dice are thrown for a smaller plan before it counts as one that passes.
constexpr std::uint64_t throws[] = {1, 4, 16, 64};

class Shrinker {
public:
    Shrinker(RunPlan failing, const StillFails& still_fails, const ShrinkLimits& limits)
        : still_fails_(still_fails), limits_(limits), all_faults_(failing.faults.faults) {
        small_.faults.resize(all_faults_.size());
        std::iota(small_.faults.begin(), small_.faults.end(), std::size_t{0});
        small_.plan = std::move(failing);
        next_luck_ = small_.plan.luck + 1;
    }

    Shrunk run() && {
        for (const std::uint64_t count : throws) {
            throws_ = count;
            for (bool smaller = true; smaller && !is_over();) {
                const std::size_t before = size();
                calm();
                drop_faults();
                drop_operations();
                smaller = size() < before;
            }
        }
        return std::move(small_);
    }

private:
    bool is_over() const { return small_.runs >= limits_.runs || limits_.out_of_time(); }
    std::size_t size() const {
        return small_.faults.size() + small_.plan.operations.size() + sim::ambient_knobs().size() -
               small_.calmed.size();
    }

    /// With the luck that it leaves in `plan`.
    bool fails(RunPlan& plan) {
        for (std::uint64_t thrown = 0; thrown < throws_ && !is_over(); ++thrown) {
            if (thrown > 0) {
                plan.luck = next_luck_++;
            }
            ++small_.runs;
            if (still_fails_(plan)) {
                return true;
            }
        }
        return false;
    }

    void calm() {
        for (const sim::AmbientKnob& knob : sim::ambient_knobs()) {
            if (knob.is_calm(small_.plan.faults.ambient)) {
                continue;
            }
            RunPlan calmer = small_.plan;
            knob.calm(calmer.faults.ambient);
            if (fails(calmer)) {
                small_.plan = std::move(calmer);
                small_.calmed.emplace_back(knob.name);
            }
        }
    }

    void drop_faults() {
        small_.faults =
            minimize<std::size_t>(small_.faults, [&](const std::vector<std::size_t>& kept) {
                RunPlan fewer = small_.plan;
                fewer.faults.faults = pick(all_faults_, kept);
                const bool does = fails(fewer);
                if (does) {
                    small_.plan = std::move(fewer);
                }
                return does;
            });
    }

    void drop_operations() {
        minimize<std::uint32_t>(small_.plan.operations,
                                [&](const std::vector<std::uint32_t>& kept) {
                                    RunPlan fewer = small_.plan;
                                    fewer.operations = kept;
                                    const bool does = fails(fewer);
                                    if (does) {
                                        small_.plan = std::move(fewer);
                                    }
                                    return does;
                                });
    }

    const StillFails& still_fails_;
    const ShrinkLimits& limits_;
    const std::vector<sim::Fault> all_faults_;
    Shrunk small_;
    std::uint64_t throws_ = 1;
    std::uint64_t next_luck_ = 1;
};

}  // namespace

Shrunk shrink(RunPlan failing, const StillFails& still_fails, const ShrinkLimits& limits) {
    return Shrinker(std::move(failing), still_fails, limits).run();
}

}  // namespace millrace::simtest
