#include "storage/leader_epoch_cache.h"

#include <algorithm>

namespace millrace::storage {

LeaderEpochCache::LeaderEpochCache(const std::vector<EpochStart>& entries) {
    for (const EpochStart& entry : entries) {
        assign(entry.epoch, entry.start);
    }
}

bool LeaderEpochCache::assign(LeaderEpoch epoch, Offset start) {
    if (epoch < LeaderEpoch{0} || start < Offset{0}) {
        return false;  // Batches of old formats carry no epoch.
    }
    const bool known = !entries_.empty() && entries_.back().epoch == epoch;
    if (known && entries_.back().start <= start) {
        return false;
    }
    // Whatever claims a later epoch or a later start contradicts this, and is older knowledge.
    while (!entries_.empty() &&
           (entries_.back().epoch >= epoch || entries_.back().start >= start)) {
        entries_.pop_back();
    }
    entries_.push_back({epoch, start});
    return true;
}

bool LeaderEpochCache::truncate_from_end(Offset end) {
    const std::size_t before = entries_.size();
    while (!entries_.empty() && entries_.back().start >= end) {
        entries_.pop_back();
    }
    return entries_.size() != before;
}

bool LeaderEpochCache::truncate_from_start(Offset start) {
    const auto after =
        std::find_if(entries_.begin(), entries_.end(),
                     [start](const EpochStart& entry) { return entry.start > start; });
    if (after == entries_.begin()) {
        return false;
    }
    const auto covering = after - 1;
    const bool changed = covering != entries_.begin() || covering->start != start;
    covering->start = start;
    entries_.erase(entries_.begin(), covering);
    return changed;
}

std::optional<EpochStart> LeaderEpochCache::latest() const {
    return entries_.empty() ? std::nullopt : std::optional{entries_.back()};
}

std::optional<EpochStart> LeaderEpochCache::earliest() const {
    return entries_.empty() ? std::nullopt : std::optional{entries_.front()};
}

std::optional<LeaderEpoch> LeaderEpochCache::epoch_of(Offset offset) const {
    const auto after =
        std::upper_bound(entries_.begin(), entries_.end(), offset,
                         [](Offset at, const EpochStart& entry) { return at < entry.start; });
    return after == entries_.begin() ? std::nullopt : std::optional{(after - 1)->epoch};
}

std::optional<LeaderEpoch> LeaderEpochCache::previous_epoch(LeaderEpoch epoch) const {
    const auto at =
        std::lower_bound(entries_.begin(), entries_.end(), epoch,
                         [](const EpochStart& entry, LeaderEpoch of) { return entry.epoch < of; });
    return at == entries_.begin() ? std::nullopt : std::optional{(at - 1)->epoch};
}

EpochEnd LeaderEpochCache::end_offset_for(LeaderEpoch epoch, Offset log_end) const {
    if (epoch < LeaderEpoch{0} || entries_.empty() || entries_.back().epoch < epoch) {
        return {};
    }
    if (entries_.back().epoch == epoch) {
        return {epoch, log_end};
    }
    const auto higher =
        std::upper_bound(entries_.begin(), entries_.end(), epoch,
                         [](LeaderEpoch of, const EpochStart& entry) { return of < entry.epoch; });
    if (higher == entries_.begin()) {
        return {epoch, higher->start};
    }
    return {(higher - 1)->epoch, higher->start};
}

}  // namespace millrace::storage
