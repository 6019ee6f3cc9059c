#include "operator/planner/ledger.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::planner {

Ledger::Ledger(std::vector<Standing> brokers, int max_unavailable_per_rack)
    : max_unavailable_per_rack_(std::max(max_unavailable_per_rack, 1)) {
    for (Standing& one : brokers) {
        if (!one.up || !one.caught_up) {
            down_.insert(one.id);
        }
        brokers_.emplace(one.id, std::move(one));
    }
}

const Standing* Ledger::find(int id) const {
    const auto found = brokers_.find(id);
    return found == brokers_.end() ? nullptr : &found->second;
}

std::string Ledger::refusal(int id) const {
    const Standing* subject = find(id);
    if (subject != nullptr && subject->recovering) {
        return fmt::format("broker {} checks its logs", id);
    }
    int down_in_rack = 0;
    for (const int other : down_) {
        if (other == id) {
            continue;
        }
        const Standing& standing = brokers_.at(other);
        const bool same_rack =
            subject != nullptr && !subject->rack.empty() && standing.rack == subject->rack;
        if (!same_rack) {
            return fmt::format("broker {} is not back yet ({})", other,
                               standing.why.empty() ? "not ready" : standing.why);
        }
        if (++down_in_rack >= max_unavailable_per_rack_) {
            return fmt::format("{} of rack {} {} down already", down_in_rack, standing.rack,
                               down_in_rack == 1 ? "is" : "are");
        }
    }
    return "";
}

int Ledger::budget() const {
    return down_.empty() ? 1 : 0;
}

}  // namespace millrace::planner
