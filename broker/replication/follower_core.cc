#include "replication/follower_core.h"

#include <algorithm>

#include "base/mutants.h"

namespace millrace::replication {

LeaderEpoch FollowerCore::last_fetched_epoch(const LogFacts& log) {
    const auto latest = log.epochs->latest();
    return latest ? latest->epoch : no_leader_epoch;
}

std::vector<FollowerEffect> FollowerCore::on_fetched(const Fetched& fetched, const LogFacts& log) {
    std::vector<FollowerEffect> effects;
    if (!MR_PLANTED(takes_answers_of_another_epoch) &&
        (fetched.asked_in_epoch != epoch_ || fetched.asked_from != log.end)) {
        return effects;  // of an earlier epoch, or our log has changed since: of no use now
    }
    if (fetched.error == KafkaError::offset_out_of_range) {
        effects.emplace_back(AskLeaderRange{});
        return effects;
    }
    if (fetched.error != KafkaError::none) {
        effects.emplace_back(BackOff{fetched.error});
        return effects;
    }
    if (fetched.diverging && MR_PLANTED(no_truncation_on_divergence)) {
        effects.emplace_back(TruncateTo{log.end});
        return effects;
    }
    if (fetched.diverging && MR_PLANTED(truncates_to_high_watermark)) {
        effects.emplace_back(TruncateTo{high_watermark_});
        return effects;
    }
    if (fetched.diverging) {
        // Cut first: a high watermark that came along speaks of the leader's log, not of ours.
        effects.emplace_back(TruncateTo{diverging_end(*fetched.diverging, log)});
        return effects;
    }
    if (fetched.bytes > 0) {
        effects.emplace_back(AppendFetched{});
    }
    leader_high_watermark_ = fetched.high_watermark;
    if (fetched.log_start > log.start) {
        effects.emplace_back(AdvanceStart{fetched.log_start});
    }
    return effects;
}

std::vector<FollowerEffect> FollowerCore::on_leader_range(Offset start, Offset end,
                                                          const LogFacts& log) {
    std::vector<FollowerEffect> effects;
    if (log.end > end) {
        // The leader has less than we do (an unclean election): its end is where we agree at most.
        effects.emplace_back(TruncateTo{std::max(end, log.start)});
    } else if (log.end < start) {
        effects.emplace_back(StartOverAt{start});
        high_watermark_ = start;
    }
    return effects;
}

Offset FollowerCore::diverging_end(const DivergingEpoch& diverging, const LogFacts& log) const {
    // The leader's largest epoch not above ours ends at `diverging.end`. What we have of that epoch
    // may end earlier, or we may lack it: then the end of our next lower epoch counts.
    const storage::EpochEnd ours = log.epochs->end_offset_for(diverging.epoch, log.end);
    if (ours.end == no_offset) {
        return std::min(diverging.end, log.end);
    }
    return std::min({ours.epoch == diverging.epoch ? diverging.end : ours.end, ours.end, log.end});
}

void FollowerCore::on_log_end(Offset end) {
    if (leader_high_watermark_ != no_offset) {
        high_watermark_ = std::max(high_watermark_, MR_PLANTED(high_watermark_beyond_log)
                                                        ? leader_high_watermark_
                                                        : std::min(leader_high_watermark_, end));
    }
    if (!MR_PLANTED(high_watermark_beyond_log)) {
        high_watermark_ = std::min(high_watermark_, end);
    }
}

}  // namespace millrace::replication
