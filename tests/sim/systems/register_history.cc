#include "tests/sim/systems/register_history.h"

#include <algorithm>
#include <fmt/core.h>
#include <set>
#include <utility>

namespace millrace::simtest {

namespace {

/// All that happened to one value: its write and the reads that returned it (Gibbons and Korach:
/// a register's history with distinct values is linearizable exactly if these zones fit together).
struct Zone {
    std::string value;
    bool written = false;
    Instant write_begun{INT64_MIN};
    Instant first_end = Instant::never();
    Instant last_begin{INT64_MIN};

    /// Forward: somebody had finished with the value before somebody else began; it must have been
    /// the register's value all that while.
    bool is_forward() const { return first_end < last_begin; }
    Instant low() const { return std::min(first_end, last_begin); }
    Instant high() const { return std::max(first_end, last_begin); }
};

std::string show(const Zone& zone) {
    const auto seconds = [](Instant at) { return static_cast<double>(at.nanoseconds) / 1e9; };
    return fmt::format("\"{}\" ({:.6f}..{:.6f} s)", zone.value.substr(0, 12), seconds(zone.low()),
                       seconds(zone.high()));
}

}  // namespace

RegisterHistory::Id RegisterHistory::begin_write(const std::string& key, std::string value,
                                                 Instant at) {
    operations_.push_back({key, true, std::move(value), at});
    return operations_.size() - 1;
}

RegisterHistory::Id RegisterHistory::begin_read(const std::string& key, Instant at) {
    operations_.push_back({key, false, {}, at});
    return operations_.size() - 1;
}

void RegisterHistory::end_write(Id id, Instant at) {
    operations_[id].ended = at;
}

void RegisterHistory::end_read(Id id, std::string value, Instant at) {
    operations_[id].value = std::move(value);
    operations_[id].ended = at;
}

std::size_t RegisterHistory::answered() const {
    return static_cast<std::size_t>(std::count_if(
        operations_.begin(), operations_.end(),
        [](const Operation& operation) { return operation.ended != Instant::never(); }));
}

std::optional<std::string> RegisterHistory::violation() const {
    std::set<std::string> keys;
    for (const Operation& operation : operations_) {
        keys.insert(operation.key);
    }
    for (const std::string& key : keys) {
        if (auto found = violation_of(key)) {
            return fmt::format("key {}: {}", key, *found);
        }
    }
    return std::nullopt;
}

std::optional<std::string> RegisterHistory::violation_of(const std::string& key) const {
    std::map<std::string, Zone> zones;
    zones[""] = {"", true, {INT64_MIN}, {INT64_MIN}, {INT64_MIN}};
    for (const Operation& operation : operations_) {
        const bool counts = operation.is_write || operation.ended != Instant::never();
        if (operation.key != key || !counts) {
            continue;
        }
        Zone& zone = zones[operation.value];
        zone.value = operation.value;
        zone.first_end = std::min(zone.first_end, operation.ended);
        zone.last_begin = std::max(zone.last_begin, operation.begun);
        if (operation.is_write) {
            zone.written = true;
            zone.write_begun = operation.begun;
        }
    }
    std::vector<Zone> forward;
    std::vector<Zone> backward;
    for (const auto& [value, zone] : zones) {
        if (!zone.written) {
            return fmt::format("\"{}\" was read and never written", value);
        }
        if (zone.first_end < zone.write_begun) {
            return fmt::format("{} was read before it was written", show(zone));
        }
        (zone.is_forward() ? forward : backward).push_back(zone);
    }
    std::sort(forward.begin(), forward.end(),
              [](const Zone& a, const Zone& b) { return a.low() < b.low(); });
    for (std::size_t i = 1; i < forward.size(); ++i) {
        if (forward[i].low() < forward[i - 1].high()) {
            return fmt::format("{} and {} were the newest at one time", show(forward[i - 1]),
                               show(forward[i]));
        }
    }
    for (const Zone& inner : backward) {
        for (const Zone& outer : forward) {
            if (outer.low() < inner.low() && inner.high() < outer.high()) {
                return fmt::format("{} must have come while {} stayed", show(inner), show(outer));
            }
        }
    }
    return std::nullopt;
}

}  // namespace millrace::simtest
