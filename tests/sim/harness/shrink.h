// tests/sim/harness/shrink.h
//
// From a run that fails to a smaller one that still does: the ambient is calmed group by group,
// faults and operations are taken away by bisection (delta debugging), until nothing more can go.
// What is taken away changes every throw of the dice that follows, so a smaller plan may pass by
// luck alone: once nothing more goes, each gets more throws.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/sim/harness/scenario.h"

namespace millrace::simtest {

/// True if this plan still fails.
using StillFails = std::function<bool(const RunPlan&)>;

struct ShrinkLimits {
    std::uint64_t runs = 20'000;
    std::function<bool()> out_of_time = [] { return false; };
};

struct Shrunk {
    RunPlan plan;
    std::vector<std::size_t> faults;  ///< Which of the original ones are left.
    std::vector<std::string> calmed;  ///< Which groups of the ambient are calm now.
    std::uint64_t runs = 0;
};

Shrunk shrink(RunPlan failing, const StillFails& still_fails, const ShrinkLimits& limits = {});

/// Leaves out what can be left out of `items`: the result, a subsequence, still satisfies `holds`,
/// and (if the budget lasted) no single item more can go. `holds(items)` must be true.
template <typename T>
std::vector<T> minimize(std::vector<T> items,
                        const std::function<bool(const std::vector<T>&)>& holds) {
    for (std::size_t chunk = items.size(); chunk > 0; chunk /= 2) {
        for (std::size_t at = 0; at < items.size();) {
            std::vector<T> without(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(at));
            const std::size_t after = std::min(items.size(), at + chunk);
            without.insert(without.end(), items.begin() + static_cast<std::ptrdiff_t>(after),
                           items.end());
            if (holds(without)) {
                items = std::move(without);
            } else {
                at += chunk;
            }
        }
    }
    return items;
}

}  // namespace millrace::simtest
