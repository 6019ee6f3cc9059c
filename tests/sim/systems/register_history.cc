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

/// Long values are filled up with x.
std::string shown(const std::string& value) {
    return value.empty() ? "nothing" : fmt::format("\"{}\"", value.substr(0, value.find('x')));
}

std::string shown(Instant at) {
    return at == Instant{INT64_MIN}
               ? "the start"
               : fmt::format("{:.6f}", static_cast<double>(at.nanoseconds) / 1e9);
}

std::string show(const Zone& zone) {
    return fmt::format("{} ({} to {} s)", shown(zone.value), shown(zone.low()), shown(zone.high()));
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
            return fmt::format("{} was read and never written", shown(value));
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
            return fmt::format("{} and {} were both the newest for a while: an old value came back",
                               show(forward[i - 1]), show(forward[i]));
        }
    }
    for (const Zone& inner : backward) {
        for (const Zone& outer : forward) {
            if (outer.low() < inner.low() && inner.high() < outer.high()) {
                return fmt::format(
                    "{} took effect while {} was there before it and after it: a write was lost, "
                    "or "
                    "an old value came back",
                    show(inner), show(outer));
            }
        }
    }
    return std::nullopt;
}

}  // namespace millrace::simtest
