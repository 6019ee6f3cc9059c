#include "raft/epoch_history.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace millrace::raft {

std::string LogPosition::to_string() const {
    return fmt::format("{}@{}", end, epoch);
}

EpochHistory::EpochHistory(LogPosition base, std::vector<Entry> entries) : base_(base) {
    for (const Entry& entry : entries) {
        append(entry.epoch, entry.start);
    }
}

void EpochHistory::append(QuorumEpoch epoch, Offset start) {
    MR_ASSERT(epoch >= last());
    MR_ASSERT(start >= (entries_.empty() ? base_.end : entries_.back().start));
    if (entries_.empty() || entries_.back().epoch != epoch) {
        entries_.push_back({epoch, start});
    }
}

void EpochHistory::truncate(Offset end) {
    MR_ASSERT(end >= base_.end);
    while (!entries_.empty() && entries_.back().start >= end) {
        entries_.pop_back();
    }
}

void EpochHistory::trim_front(Offset start) {
    MR_ASSERT(start >= base_.end);
    base_ = {start, epoch_at(start - 1)};
    const auto first_kept = std::find_if(entries_.begin(), entries_.end(),
                                         [&](const Entry& entry) { return entry.start >= start; });
    // The epoch that spans the new start goes on from there.
    const bool spans = first_kept != entries_.begin();
    const QuorumEpoch spanning = spans ? std::prev(first_kept)->epoch : base_.epoch;
    entries_.erase(entries_.begin(), first_kept);
    if (spans && (entries_.empty() || entries_.front().start > start)) {
        entries_.insert(entries_.begin(), {spanning, start});
    }
}

QuorumEpoch EpochHistory::epoch_at(Offset offset) const {
    MR_ASSERT(offset + 1 >= base_.end);
    if (offset < base_.end) {
        return base_.epoch;
    }
    const auto after = std::find_if(entries_.rbegin(), entries_.rend(),
                                    [&](const Entry& entry) { return entry.start <= offset; });
    return after == entries_.rend() ? base_.epoch : after->epoch;
}

LogPosition EpochHistory::end_of(QuorumEpoch epoch, Offset log_end) const {
    MR_ASSERT(epoch >= base_.epoch);
    LogPosition result{base_.end, base_.epoch};
    for (std::size_t i = 0; i <= entries_.size(); ++i) {
        // The base, then each entry: ends where the next one starts.
        const QuorumEpoch known = i == 0 ? base_.epoch : entries_[i - 1].epoch;
        if (known > epoch) {
            break;
        }
        result = {i < entries_.size() ? entries_[i].start : log_end, known};
    }
    return result;
}

}  // namespace millrace::raft
