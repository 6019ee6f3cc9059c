#include "operator/planner/internal/link_status.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fmt/core.h>
#include <tuple>

#include "operator/kube/time_text.h"

namespace millrace::planner {

namespace {

using brokers::LinkFacts;
using brokers::LinkPhase;

constexpr std::size_t gaps_shown = 20;
/// What brokers say of a compacted topic that may have missed tombstones.
constexpr std::string_view past_tombstone_horizon = "TombstoneHorizonExceeded";
/// What they say of a promoted topic that shall follow again and can't yet.
constexpr std::array<std::string_view, 2> waits_for_source{"SourceNotPromoted",
                                                           "SourceTopicUnreadable"};

/// In steps that grow with it, so that a status isn't written for what nobody reads.
double rounded_seconds(std::int64_t ms) {
    const double seconds = static_cast<double>(ms) / 1000;
    if (seconds < 1) {
        return 0;
    }
    const double step = seconds < 10 ? 0.1 : seconds < 60 ? 1 : seconds < 600 ? 15 : 60;
    return std::floor(seconds / step) * step;
}

std::string lag_text(double seconds) {
    if (seconds < 1) {
        return "<1s";
    }
    return seconds < 10 ? fmt::format("{:.1f}s", seconds) : fmt::format("{:.0f}s", seconds);
}

/// What a person does about a halted topic; any change of the link tries again.
std::string remedy_of(std::string_view reason) {
    constexpr std::pair<std::string_view, const char*> remedies[] = {
        {"NameConflict",
         "a topic of that name is here that is no mirror of this link, or has more partitions than "
         "the source's; delete it, exclude it, or say onExistingData: Truncate if it may give way"},
        {"TopicRecreated",
         "it is another topic at the source by now; delete it here, or say "
         "policy.onSourceTopicRecreated: ArchiveAndRestart"},
        {"ProvenanceLoop", "it came from this cluster; exclude it"},
        {"Unauthorized", "grant READ, DESCRIBE and DESCRIBE_CONFIGS on it at the source"},
        {"UnsupportedFormat", "it has batches from before Kafka 0.11; exclude it"},
        {"DataGap",
         "records are gone at the source; say policy.onGap: Continue to go on behind them"},
        {"Divergence",
         "what is here is not what the source has; delete it here and it is copied anew"},
    };
    for (const auto& [word, text] : remedies) {
        if (word == reason) {
            return fmt::format(" ({})", text);
        }
    }
    return "";
}

std::string phase_word(LinkPhase phase) {
    constexpr std::array<std::string_view, 9> words{"Pending", "Connecting", "Validating",
                                                    "Active",  "Degraded",   "SourceUnavailable",
                                                    "Paused",  "Failed",     "Terminating"};
    return std::string(words[static_cast<std::size_t>(phase)]);
}

std::int64_t count_of(const LinkFacts& facts, std::string_view state) {
    const auto found = facts.topics_by_state.find(state);
    return found == facts.topics_by_state.end() ? 0 : found->second;
}

std::string source_name(const api::LinkSource& source) {
    if (source.cluster_ref) {
        return source.cluster_ref->name;
    }
    return source.bootstrap_servers.empty() ? "" : source.bootstrap_servers.front();
}

class LinkTeller {
public:
    LinkTeller(const LinkWorld& world, const std::string& wish_error)
        : world_(world),
          wish_error_(wish_error),
          spec_(world.link.spec),
          now_(kube::time_text(world.now)) {
        told_.status = world.link.status;
    }

    LinkTold tell() {
        api::MirrorLinkStatus& status = told_.status;
        status.observed_generation = world_.link.metadata.generation;
        status.summary.source = source_name(spec_.source);
        status.message.clear();
        if (!world_.destination) {
            blocked("NoCluster", fmt::format("there is no Cluster {}", spec_.cluster_ref.name));
        } else if (!world_.found) {
            unreachable();
        } else {
            tell_facts(*world_.found);
        }
        note_events();
        return std::move(told_);
    }

private:
    void say(std::string_view type, std::string status, std::string reason, std::string message) {
        api::Condition condition;
        condition.type = type;
        condition.status = std::move(status);
        condition.reason = std::move(reason);
        condition.message = std::move(message);
        condition.observed_generation = world_.link.metadata.generation;
        api::set_condition(told_.status.conditions, std::move(condition), now_);
    }
    void set(std::string_view type, bool holds, std::string reason, std::string message) {
        say(type, holds ? "True" : "False", std::move(reason), std::move(message));
    }
    void blocked(const std::string& reason, const std::string& message) {
        told_.status.state = "Pending";
        told_.status.message = message;
        set("Ready", false, reason, message);
    }

    /// What was said before stays: not being able to ask changes nothing about the link.
    void unreachable() {
        const std::string message = fmt::format("Cluster {} can't be asked: {}",
                                                spec_.cluster_ref.name, world_.unreachable);
        told_.status.message = message;
        if (told_.status.state.empty()) {
            told_.status.state = "Pending";
        }
        set("Ready", false, "ClusterUnreachable", message);
    }

    void tell_facts(const LinkFacts& facts) {
        figures(facts);
        conditions(facts);
        told_.status.state = state_word(facts);
        ready(facts);
    }

    void figures(const LinkFacts& facts) {
        api::MirrorLinkStatus& status = told_.status;
        status.link_id = facts.id;
        status.source_cluster_id = facts.source_cluster_id;
        status.topics = facts.topics;
        status.topics_by_state = facts.topics_by_state;
        // Nobody measures it while the link is paused: it is as old as what was last seen.
        status.lag_seconds = rounded_seconds(
            facts.phase == LinkPhase::paused ? std::max(facts.lag_ms, facts.rpo_ms) : facts.lag_ms);
        status.rpo_seconds = rounded_seconds(facts.rpo_ms);
        status.lag_records = status.lag_seconds > 0 ? facts.lag_records : 0;
        status.summary.topics = fmt::format("{}/{}", topics_done(facts), facts.topics);
        status.summary.lag = facts.topics == 0 ? "" : lag_text(status.lag_seconds);
        status.worst_topics.clear();
        for (const brokers::LinkTopicFacts& one : facts.worst) {
            const double seconds = rounded_seconds(one.lag_ms);
            status.worst_topics.push_back(
                {one.topic, one.state, seconds > 0 ? one.lag_records : 0, seconds, one.reason});
        }
        // What rounds to the same keeps the order of names: else the list would flutter.
        std::sort(status.worst_topics.begin(), status.worst_topics.end(),
                  [](const auto& a, const auto& b) {
                      return std::tie(b.lag_seconds, a.name) < std::tie(a.lag_seconds, b.name);
                  });
        losses(facts);
        if (facts.failover && facts.failover->topics > 0) {
            api::FailoverReport report;
            report.at = kube::time_text({facts.failover->at_ms});
            report.topics = facts.failover->topics;
            report.partitions = facts.failover->partitions;
            report.lost_records = facts.failover->lost_records;
            report.lost_seconds = rounded_seconds(facts.failover->lost_ms);
            report.clamped_group_offsets = facts.failover->clamped;
            report.left_out_topics =
                spec_.state == api::LinkState::promoted
                    ? std::max<std::int64_t>(0, facts.topics - topics_done(facts))
                    : 0;
            status.failover_report = report;
        }
    }

    void losses(const LinkFacts& facts) {
        told_.status.gaps.clear();
        const std::size_t skip =
            facts.losses.size() > gaps_shown ? facts.losses.size() - gaps_shown : 0;
        for (std::size_t i = skip; i < facts.losses.size(); ++i) {
            const brokers::LinkLoss& one = facts.losses[i];
            told_.status.gaps.push_back({one.topic, one.partition, one.from, one.to,
                                         kube::time_text({one.at_ms}), one.truncated});
        }
    }

    /// Topics that are in the state that is wished for them.
    std::int64_t topics_done(const LinkFacts& facts) const {
        if (facts.topics_as_wished >= 0) {
            return facts.topics_as_wished;
        }
        const bool mixed = !spec_.topics.overrides.empty();
        const auto wished = [&](api::LinkState state) { return mixed || spec_.state == state; };
        return (wished(api::LinkState::mirroring) ? count_of(facts, "mirroring") : 0) +
               (wished(api::LinkState::paused) ? count_of(facts, "paused") : 0) +
               (wished(api::LinkState::promoted) ? count_of(facts, "promoted") : 0);
    }

    bool is_source_lost(const LinkFacts& facts) const {
        return facts.phase == LinkPhase::degraded || facts.phase == LinkPhase::source_unavailable;
    }

    void conditions(const LinkFacts& facts) {
        const bool known = facts.exists && facts.phase != LinkPhase::pending;
        const bool reached = facts.phase == LinkPhase::active || facts.phase == LinkPhase::paused;
        say("SourceReachable", known ? (reached ? "True" : "False") : "Unknown",
            reached                ? "Reached"
            : facts.reason.empty() ? phase_word(facts.phase)
                                   : facts.reason,
            reached ? "" : facts.message);
        if (!world_.secrets.missing.empty()) {
            set("CredentialsValid", false, "SecretMissing", world_.secrets.missing);
        } else {
            set("CredentialsValid", facts.credentials_valid,
                facts.credentials_valid ? "Accepted" : "Refused",
                facts.credentials_valid ? "" : facts.message);
        }
        const std::int64_t behind = count_of(facts, "catching_up") +
                                    count_of(facts, "initializing") + count_of(facts, "truncating");
        const bool paused = facts.phase == LinkPhase::paused;
        set("CaughtUp", facts.exists && reached && behind == 0 && !paused,
            behind == 0 ? (reached && !paused ? "CaughtUp" : phase_word(facts.phase))
                        : "CatchingUp",
            behind > 0 ? "topics are being copied"
            : paused ? "nothing is copied while the link is paused: what the source has by now is "
                       "not known"
                     : "");
        const bool in_time = std::max(facts.lag_ms, facts.rpo_ms) <= spec_.max_lag.length.count();
        set("LagWithinTarget", in_time, in_time ? "WithinMaxLag" : "BehindMaxLag",
            in_time ? ""
                    : fmt::format("further behind than maxLag, {}", spec_.max_lag.to_string()));
        set("GroupsSynced", facts.groups_synced || spec_.groups.include.empty(),
            spec_.groups.include.empty() ? "Off"
            : facts.groups_synced        ? "Synced"
                                         : "NotYet",
            "");
        say("AclsSynced", "Unknown", spec_.sync.acls ? "NotOffered" : "Off",
            spec_.sync.acls ? "ACLs are not mirrored by brokers of this version" : "");
        const auto any = [&](bool truncated) {
            return std::any_of(facts.losses.begin(), facts.losses.end(),
                               [&](const auto& one) { return one.truncated == truncated; });
        };
        set("DataGap", any(false), any(false) ? "RecordsMissing" : "None",
            any(false) ? "the source had dropped records before they were read: see gaps" : "");
        set("SplitBrain", !facts.split.empty(), facts.split.empty() ? "None" : "BothTakeWrites",
            facts.split.empty() ? "" : split_text(facts));
        set("EnoughRoom", !facts.lacks_room, facts.lacks_room ? "NoRoom" : "Fits",
            facts.lacks_room ? facts.message : "");
        const auto past = std::find_if(facts.worst.begin(), facts.worst.end(), [](const auto& one) {
            return one.reason == past_tombstone_horizon;
        });
        const bool horizon = past != facts.worst.end();
        set("TombstoneHorizonExceeded", horizon, horizon ? "MayKeepDeletedKeys" : "None",
            horizon ? fmt::format("{} was behind for longer than the source keeps tombstones: keys "
                                  "that were deleted there may live on here. Stop its consumers "
                                  "and delete the topic here: the link copies it from the "
                                  "source's start (docs/mirror.md)",
                                  past->topic)
                    : "");
        set("Diverged", any(true), any(true) ? "RecordsCut" : "None",
            any(true) ? "records that the source doesn't have were cut here: see gaps" : "");
    }

    std::string state_word(const LinkFacts& facts) const {
        if (!world_.link.metadata.deletion_timestamp.empty()) {
            return "Terminating";
        }
        if (facts.phase == LinkPhase::failed) {
            return "Failed";
        }
        if (spec_.state == api::LinkState::promoted) {
            return topics_done(facts) >= facts.topics              ? "Promoted"
                   : spec_.promotion == api::LinkPromotion::forced ? "FailingOver"
                                                                   : "Promoting";
        }
        return phase_word(facts.phase);
    }

    void not_ready(const std::string& reason, const std::string& message) {
        told_.status.message = message;
        set("Ready", false, reason, message);
    }

    void ready(const LinkFacts& facts) {
        if (!world_.unreadable.empty()) {
            not_ready("Invalid", wish_error_.empty() ? world_.unreadable : wish_error_);
        } else if (!world_.refused.empty()) {
            not_ready("Refused", world_.refused);
        } else if (!wish_error_.empty()) {
            not_ready("Incomplete", wish_error_);
        } else if (!facts.exists || !facts.is_as_wished) {
            not_ready("Applying", "the brokers are being told");
        } else if (facts.phase == LinkPhase::failed) {
            not_ready(facts.reason, facts.message);
        } else if (const std::string lacks = what_is_missing(); !lacks.empty()) {
            not_ready("Incomplete", lacks);
        } else if (const auto halted = first_halted(facts)) {
            not_ready("TopicHalted", spec_.state == api::LinkState::promoted
                                         ? fmt::format("{} of {} topics are promoted; {}",
                                                       topics_done(facts), facts.topics, *halted)
                                         : *halted);
        } else if (spec_.state == api::LinkState::promoted || is_promoted_to_go()) {
            promotion(facts);
        } else if (is_source_lost(facts)) {
            not_ready(facts.reason.empty() ? "SourceUnavailable" : facts.reason, facts.message);
        } else if (facts.phase != LinkPhase::active && facts.phase != LinkPhase::paused) {
            not_ready(facts.reason.empty() ? phase_word(facts.phase) : facts.reason,
                      facts.message.empty() ? "the source is being looked at" : facts.message);
        } else if (facts.lacks_room) {
            not_ready("NoRoom", facts.message);
        } else if (const auto waiting = reason_of_waiting(facts)) {
            not_ready(*waiting, facts.message);
        } else if (const auto gone = first_deleted(facts)) {
            not_ready("SourceTopicDeleted", *gone);
        } else if (topics_done(facts) < facts.topics) {
            not_ready(spec_.state == api::LinkState::paused ? "Pausing" : "CatchingUp",
                      facts.message.empty() ? "topics are on their way to the wished state"
                                            : facts.message);
        } else {
            told_.status.message = facts.message;  // what is worth knowing all the same
            if (spec_.promotion == api::LinkPromotion::forced) {
                remark(
                    "promotion: Forced is left over from before: the next state: Promoted "
                    "would not fence the source; set it to Planned");
            }
            settled(spec_.state == api::LinkState::paused ? "Paused" : "Mirroring");
        }
    }

    /// Of a link that shall follow, one of its topics being promoted: that went without.
    std::string what_is_missing() const {
        if (spec_.state == api::LinkState::promoted || is_promoted_to_go()) {
            return "";
        }
        return spec_.source.cluster_ref && !world_.source
                   ? fmt::format("there is no Cluster {} to follow", spec_.source.cluster_ref->name)
                   : world_.secrets.missing;
    }

    /// The last wish of a link that is deleted with onDelete: Promote.
    bool is_promoted_to_go() const {
        return !world_.link.metadata.deletion_timestamp.empty() &&
               spec_.on_delete == api::OnLinkDelete::promote;
    }

    /// Beside what is told already.
    void remark(const std::string& text) {
        std::string& message = told_.status.message;
        message += (message.empty() ? "" : "; ") + text;
    }

    void settled(const std::string& reason) {
        told_.settled = true;
        set("Ready", true, reason, "");
    }

    void promotion(const LinkFacts& facts) {
        if (facts.topics == 0 && !is_promoted_to_go()) {
            // Whoever switches over by this word has to see that nothing did.
            not_ready("NothingPromoted", facts.message.empty()
                                             ? "nothing was promoted: the link has no mirror here"
                                             : facts.message);
            return;
        }
        if (topics_done(facts) >= facts.topics) {
            told_.status.message = facts.split.empty() ? facts.message : split_text(facts);
            if (spec_.on_existing_data == api::ExistingData::truncate) {
                remark(
                    "onExistingData: Truncate is left over from before: state: Mirroring alone "
                    "would cut what is written here; set it to Refuse");
            }
            settled("Promoted");
            return;
        }
        const bool forced = spec_.promotion == api::LinkPromotion::forced;
        std::string message = facts.message;
        if (message.empty()) {
            message =
                forced ? "what is here is being sealed" : "the source is being fenced and drained";
        } else if (!forced && is_source_lost(facts)) {
            message += "; if it is dead, promotion: Forced takes what is here";
        }
        not_ready(forced ? "FailingOver" : "Promoting", message);
    }

    std::string split_text(const LinkFacts& facts) const {
        return fmt::format(
            "{}{} takes writes here and at source {}, which answers and was never fenced: what is "
            "written there now is not here. Stop its producers; it follows with a link in the "
            "other direction, onExistingData: Truncate",
            facts.split.front(),
            facts.split.size() > 1 ? fmt::format(" and {} more", facts.split.size() - 1) : "",
            source_name(spec_.source));
    }

    static std::optional<std::string> first_halted(const LinkFacts& facts) {
        for (const brokers::LinkTopicFacts& one : facts.worst) {
            if (one.state == "halted") {
                return fmt::format("{} is halted: {}{}", one.topic, one.reason,
                                   remedy_of(one.reason));
            }
        }
        const std::int64_t halted = count_of(facts, "halted");
        return halted == 0 ? std::nullopt
                           : std::optional(fmt::format("{} topics are halted", halted));
    }

    static std::optional<std::string> first_deleted(const LinkFacts& facts) {
        for (const brokers::LinkTopicFacts& one : facts.worst) {
            if (one.state == "orphaned") {
                return fmt::format(
                    "{} was deleted at the source; its mirror stays here, readable. Delete it "
                    "here, "
                    "or exclude it to keep it",
                    one.topic);
            }
        }
        return std::nullopt;
    }

    /// Of a promoted topic that can't follow its source again yet.
    static std::optional<std::string> reason_of_waiting(const LinkFacts& facts) {
        const auto found =
            std::find_if(facts.worst.begin(), facts.worst.end(), [](const auto& one) {
                return std::find(waits_for_source.begin(), waits_for_source.end(), one.reason) !=
                       waits_for_source.end();
            });
        return found == facts.worst.end() ? std::nullopt : std::optional(found->reason);
    }

    /// Conditions that turned, told once.
    void note_events() {
        constexpr std::array<std::string_view, 4> good_when_false{
            "DataGap", "Diverged", "SplitBrain", "TombstoneHorizonExceeded"};
        for (const api::Condition& now : told_.status.conditions) {
            const api::Condition* before =
                api::find_condition(world_.link.status.conditions, now.type);
            const std::string was = before == nullptr ? "" : before->status;
            const std::string_view good = std::find(good_when_false.begin(), good_when_false.end(),
                                                    now.type) == good_when_false.end()
                                              ? "True"
                                              : "False";
            const bool is_good = now.status == good;
            const bool reason_changed = before == nullptr || before->reason != now.reason;
            const bool turned = was != now.status || (now.type == "Ready" && reason_changed);
            if (!turned || now.status == "Unknown" || (is_good && was.empty()) ||
                (now.type == "CaughtUp" || now.type == "GroupsSynced") || is_a_step(now)) {
                continue;
            }
            told_.events.push_back(
                {!is_good, now.reason == "None" ? now.type + "Over" : now.reason, event_text(now)});
        }
    }

    /// Between an edit and its end; what the end is will be told.
    static bool is_a_step(const api::Condition& one) {
        constexpr std::array<std::string_view, 8> steps{"Applying",   "CatchingUp", "Connecting",
                                                        "Validating", "Promoting",  "FailingOver",
                                                        "Pausing",    "Pending"};
        return std::find(steps.begin(), steps.end(), one.reason) != steps.end();
    }

    std::string event_text(const api::Condition& now) const {
        if (now.type == "Ready" && now.reason == "Promoted" && told_.status.failover_report) {
            const api::FailoverReport& report = *told_.status.failover_report;
            return fmt::format(
                "{} topics of {} partitions take writes here; {} records known at the source are "
                "lost, {} group offsets were set back",
                report.topics, report.partitions,
                report.lost_records < 0 ? "an unknown number of"
                                        : std::to_string(report.lost_records),
                report.clamped_group_offsets);
        }
        if (!now.message.empty()) {
            return now.message;
        }
        return now.type == "Ready" ? fmt::format("{} topics from {}", told_.status.summary.topics,
                                                 told_.status.summary.source)
                                   : "it is well again";
    }

    const LinkWorld& world_;
    const std::string& wish_error_;
    const api::MirrorLinkSpec& spec_;
    const std::string now_;
    LinkTold told_;
};

}  // namespace

LinkTold tell_link(const LinkWorld& world, const std::string& wish_error) {
    return LinkTeller(world, wish_error).tell();
}

}  // namespace millrace::planner
