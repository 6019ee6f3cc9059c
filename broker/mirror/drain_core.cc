#include "mirror/drain_core.h"

#include <algorithm>
#include <fmt/core.h>

namespace millrace::mirror {
namespace {

/// A fence reaches the brokers within moments; those of a version that doesn't say when.
constexpr Duration fence_settles = std::chrono::seconds{1};
/// Who still takes records after this long may never have been told: somebody has lifted the fence.
constexpr Duration fence_repeats = std::chrono::seconds{5};

}  // namespace

void DrainCore::on_fence(bool is_fenced, std::string why_not) {
    is_answered_ = true;
    is_fenced_ = is_fenced;
    why_not_ = std::move(why_not);
}

void DrainCore::on_no_fence_wished() {
    is_answered_ = true;
    goes_on_ = true;
}

bool DrainCore::on_ends(const TopicEnds& theirs, const TopicEnds& ours, Instant now,
                        Duration standstill) {
    const bool is_another =
        !theirs.id.is_zero() && !source_topic_.is_zero() && theirs.id != source_topic_;
    if (!is_answered_ || is_another) {
        return false;  // what was made anew there is no measure of what we have
    }
    if (goes_on_) {
        target_ = target_.value_or(theirs);
        for (std::size_t i = 0; i < target_->partitions.size(); ++i) {
            // What it has taken back since will never be here.
            LogEnd& end = target_->partitions[i];
            if (i < theirs.partitions.size()) {
                end.offset = std::min(end.offset, theirs.partitions[i].offset);
            }
        }
        has_all(*target_, ours);
        return missing_ == 0;
    }
    if (seen_ != theirs.partitions) {
        seen_ = theirs.partitions;
        still_since_ = now;
    }
    is_closed_ = is_fenced_ && theirs.is_closed;
    const bool all = has_all(theirs, ours);
    if (is_fenced_ && theirs.is_open) {
        // However long it stands still: its next record would be acknowledged, and be nowhere.
        open_since_ = open_since_.value_or(now);
        if (now - *open_since_ >= fence_repeats) {
            is_answered_ = false;
            open_since_.reset();
        }
        return false;
    }
    open_since_.reset();
    return all && (is_closed_ || now - still_since_ >= (is_fenced_ ? fence_settles : standstill));
}

bool DrainCore::has_all(const TopicEnds& theirs, const TopicEnds& ours) {
    missing_ = 0;
    bool same_history = theirs.partitions.size() == ours.partitions.size();
    for (std::size_t i = 0; i < theirs.partitions.size(); ++i) {
        const LogEnd& there = theirs.partitions[i];
        const LogEnd here = i < ours.partitions.size() ? ours.partitions[i] : LogEnd{Offset{0}, {}};
        missing_ += std::max<std::int64_t>(0, there.offset - here.offset);
        // As long, but written later: the source has taken back what we have, and written anew.
        const bool both_known = there.epoch != no_leader_epoch && here.epoch != no_leader_epoch;
        same_history = same_history && (!is_closed_ || !both_known || there.epoch <= here.epoch);
    }
    return missing_ == 0 && same_history;
}

std::string DrainCore::waits_for(const std::string& topic, Duration standstill) const {
    if (!is_answered_) {
        return fmt::format("{}: the source is asked to take no more writes", topic);
    }
    if (goes_on_) {
        return fmt::format("{}: what its source had a moment ago is being copied", topic);
    }
    if (!is_fenced_) {
        return fmt::format(
            "{}: the source can't be fenced ({}), so its end must stand still for {} s: stop its "
            "producers",
            topic, why_not_, to_milliseconds(standstill) / 1000);
    }
    if (missing_ > 0) {
        return fmt::format("{}: the source is fenced; {} records are still to come", topic,
                           missing_);
    }
    if (open_since_) {
        return fmt::format(
            "{}: the source is fenced; a broker there has not heard of it yet and still takes "
            "writes",
            topic);
    }
    return fmt::format("{}: the source is fenced; what is left there is being copied", topic);
}

}  // namespace millrace::mirror
