#include "mirror/partition_core.h"

#include <algorithm>

#include "base/mutants.h"

namespace millrace::mirror {
namespace {

/// Asked for beyond what is needed, so that not every election at the source costs one here.
constexpr std::int32_t head_room = 64;
constexpr std::int32_t stride = 1000;
/// Leaves room for elections below the next stride.
constexpr std::uint32_t salts = 900;

bool is_empty(const LogFacts& log) {
    return log.start == log.end;
}

}  // namespace

std::string_view to_string(HaltReason reason) {
    switch (reason) {
        case HaltReason::data_gap:
            return "DataGap";
        case HaltReason::topic_recreated:
            return "TopicRecreated";
        case HaltReason::divergence:
            return "Divergence";
        case HaltReason::name_conflict:
            return "NameConflict";
        case HaltReason::provenance_loop:
            return "ProvenanceLoop";
        case HaltReason::unsupported_format:
            return "UnsupportedFormat";
        case HaltReason::unauthorized:
            return "Unauthorized";
    }
    return "Unknown";
}

LeaderEpoch PartitionCore::last_epoch(const LogFacts& log) {
    if (is_empty(log)) {
        return no_leader_epoch;
    }
    return log.epochs->epoch_of(log.end - 1).value_or(no_leader_epoch);
}

LeaderEpoch PartitionCore::promoted_epoch(LeaderEpoch local, LeaderEpoch last_source,
                                          std::uint32_t salt) {
    const std::int32_t highest = std::max({local.value, last_source.value, 0});
    return LeaderEpoch{(highest / stride + 1) * stride + 1 +
                       static_cast<std::int32_t>(salt % salts)};
}

PartitionEffects PartitionCore::on_fetched(const SourceFetched& fetched,
                                           const LogFacts& log) const {
    if (fetched.asked_from != log.end) {
        return {};  // late or twice: the log has moved on
    }
    switch (fetched.error) {
        case KafkaError::none:
            break;
        case KafkaError::offset_out_of_range:
            return {AskRange{}};
        case KafkaError::not_leader_or_follower:
        case KafkaError::fenced_leader_epoch:
        case KafkaError::unknown_leader_epoch:
        case KafkaError::unknown_topic_or_partition:
        case KafkaError::unknown_topic_id:
        case KafkaError::inconsistent_topic_id:
            return {RefreshSource{}, BackOff{fetched.error}};
        case KafkaError::topic_authorization_failed:
            return {Halt{HaltReason::unauthorized}};
        default:
            return {BackOff{fetched.error}};
    }
    if (begins_later(log)) {
        return {StartAt{policy_.begin}};
    }
    if (fetched.diverging) {
        return on_epoch_end(last_epoch(log), fetched.diverging->epoch, fetched.diverging->end, log);
    }
    if (fetched.old_format) {
        return {Halt{HaltReason::unsupported_format}};
    }
    if (!log.is_known && !is_empty(log)) {
        return {Verify{log.end}, Known{}};  // and then this is asked for again
    }
    PartitionEffects effects;
    if (fetched.bytes > 0) {
        const bool overlaps = fetched.first_base != no_offset && fetched.first_base < log.end &&
                              fetched.first_end > log.end;
        if (overlaps && is_empty(log)) {
            // The source's log begins inside a batch, and batches are taken whole.
            effects.push_back(StartAt{fetched.first_base});
        }
        effects.push_back(TakeOver{});
    }
    if (fetched.log_start > log.start) {
        effects.push_back(FollowStart{fetched.log_start});
    }
    return effects;
}

bool PartitionCore::begins_later(const LogFacts& log) const {
    return log.end == Offset{0} && log.end < policy_.begin;
}

PartitionEffects PartitionCore::on_appended(const replication::MirrorAppended& appended,
                                            const SourceFetched& fetched) const {
    if (appended.epoch_needed) {
        return {RaiseEpoch{LeaderEpoch{appended.epoch_needed->value + head_room}}};
    }
    if (appended.error != KafkaError::none) {
        return {BackOff{appended.error}};
    }
    if (appended.batches == 0 && fetched.first_end > fetched.asked_from) {
        // A batch reaches over our end that does not begin there: not the history that we have.
        return {Halt{HaltReason::divergence}};
    }
    return {};
}

PartitionEffects PartitionCore::on_range(Offset start, Offset end, const LogFacts& log) const {
    if (begins_later(log)) {
        return {StartAt{policy_.begin}};
    }
    if (log.end == Offset{0} && log.end < start) {
        // Nothing was mirrored yet, so nothing is lost.
        return {StartAt{start}};
    }
    if (log.end < start) {
        if (policy_.on_gap == Reaction::halt) {
            return {Halt{HaltReason::data_gap}};
        }
        if (MR_PLANTED(gaps_unreported)) {
            return {StartAt{start}};
        }
        return {Report{Report::Kind::gap, log.end, start}, StartAt{start}};
    }
    const LeaderEpoch last = last_epoch(log);
    if (last != no_leader_epoch) {
        return {AskEpochEnd{last}};  // shorter than ours, or without our epochs
    }
    if (is_empty(log) && log.end > end) {
        return {StartAt{start}};
    }
    return {BackOff{KafkaError::offset_out_of_range}};
}

PartitionEffects PartitionCore::on_epoch_end(LeaderEpoch asked, LeaderEpoch epoch, Offset end,
                                             const LogFacts& log) const {
    if (end == no_offset) {
        // The source has never seen that epoch. An earlier one of ours may be what we share; if
        // there is none, this is another topic under the same name.
        const auto previous = log.epochs->previous_epoch(asked);
        if (!previous) {
            return diverged_at(log.start, log);
        }
        return {AskEpochEnd{*previous}};
    }
    // The histories agree up to where the shorter one of that epoch ends.
    const storage::EpochEnd local = log.epochs->end_offset_for(epoch, log.end);
    const Offset ours = local.end == no_offset ? log.start : local.end;
    const Offset common = std::max(std::min(end, ours), log.start);
    if (common >= log.end) {
        return {};  // they agree: fetch again
    }
    return diverged_at(common, log);
}

PartitionEffects PartitionCore::on_seal(const LogFacts& log) const {
    if (!policy_.cut_open_transactions || log.last_stable == no_offset ||
        log.last_stable >= log.end) {
        return {};
    }
    const Offset stable = std::max(log.last_stable, log.start);
    return {SetAside{stable, log.end}, Report{Report::Kind::truncated, stable, log.end},
            CutAt{stable}};
}

PartitionEffects PartitionCore::diverged_at(Offset end, const LogFacts& log) const {
    const bool nothing_in_common = end <= log.start;
    if (nothing_in_common && !policy_.is_shared) {
        return {Halt{HaltReason::topic_recreated}};  // never mixed in one log
    }
    if (policy_.on_divergence == Reaction::halt) {
        return {Halt{HaltReason::divergence}};
    }
    if (nothing_in_common) {
        return {SetAside{log.start, log.end}, Report{Report::Kind::truncated, log.start, log.end},
                CutAt{log.start}};
    }
    return {Verify{end}, SetAside{end, log.end}, Report{Report::Kind::truncated, end, log.end},
            CutAt{end}};
}

}  // namespace millrace::mirror
