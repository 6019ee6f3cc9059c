#include "mirror/internal/link_views.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "base/assert.h"
#include "mirror/horizon_core.h"
#include "mirror/topics_core.h"

namespace millrace::mirror {
namespace {

/// A compacted topic that was behind for longer than the source keeps tombstones.
constexpr std::string_view past_tombstone_horizon = "TombstoneHorizonExceeded";

constexpr std::string_view source_topic_deleted = "SourceTopicDeleted";

void add_to(std::optional<FailoverView>& report, const LocalTopic& promoted) {
    FailoverView sum = report.value_or(FailoverView{});
    ++sum.topics;
    const bool is_drained = promoted.settings.contains(topic_setting::drained);
    for (const auto& [index, sealed] : promoted.sealed) {
        ++sum.partitions;
        sum.at = std::max(sum.at, sealed.at);
        if (is_drained) {
            continue;  // whatever its puller had seen: nothing was left at the source
        }
        sum.lost = std::max(sum.lost, sealed.lag);
        if (sealed.source_end == no_offset || sum.lost_records < 0) {
            sum.lost_records = -1;
        } else {
            sum.lost_records += std::max<std::int64_t>(0, sealed.source_end - sealed.end);
        }
    }
    report = sum;
}

TopicState state_of(Stage stage) {
    switch (stage) {
        case Stage::mirroring:
            return TopicState::catching_up;
        case Stage::paused:
            return TopicState::paused;
        case Stage::halted:
            return TopicState::halted;
        case Stage::orphaned:
            return TopicState::orphaned;
        case Stage::promoting:
            return TopicState::promoting;
        case Stage::promoted:
            return TopicState::promoted;
        case Stage::rejoining:
            return TopicState::restoring_setup;
        case Stage::archiving:
        case Stage::archived:
            break;  // no mirrors of the source's: not shown
    }
    MR_ASSERT(false);
}

bool has_passed_horizon(const LocalTopic& local) {
    const auto found = local.settings.find(topic_setting::caught_up);
    const auto note = found == local.settings.end() ? std::nullopt : caught_up_in(found->second);
    return note && note->horizon_passed;
}

bool is_as_wished(TopicState state, Desired wish) {
    switch (wish) {
        case Desired::mirroring:
            return state == TopicState::mirroring;
        case Desired::paused:
            // What takes writes here follows nothing: there is nothing to pause.
            return state == TopicState::paused || state == TopicState::promoted;
        case Desired::promoted:
            return state == TopicState::promoted;
    }
    MR_ASSERT(false);
}

using Shown = std::map<std::string_view, std::vector<const PartitionView*>>;  ///< By topic.

TopicView view_of(const LocalTopic& local, const std::vector<const PartitionView*>& partitions) {
    TopicView topic{local.name, state_of(local.note.stage), local.note.reason, 0, {}};
    bool steady = true;
    bool lost = false;
    for (const PartitionView* partition : partitions) {
        topic.lag_records += partition->lag_records();
        topic.lag = std::max(topic.lag, partition->lag);
        steady = steady && partition->state == TopicState::mirroring;
        lost = lost || partition->state == TopicState::source_unavailable;
        if (topic.reason.empty() && local.note.stage != Stage::promoted) {
            topic.reason = partition->reason;
        }
    }
    if (topic.reason.empty() && local.note.stage != Stage::promoted && has_passed_horizon(local)) {
        topic.reason = past_tombstone_horizon;
    }
    if (local.note.stage == Stage::orphaned) {
        topic.reason = source_topic_deleted;
    }
    if (local.note.stage == Stage::mirroring && (steady || lost)) {
        topic.state = lost ? TopicState::source_unavailable : TopicState::mirroring;
    }
    const bool sealed = static_cast<std::int32_t>(local.sealed.size()) >= local.partitions;
    if (local.note.stage == Stage::promoted && !sealed) {
        topic.state = TopicState::failing_over;
    }
    return topic;
}

}  // namespace

std::vector<LostRange> losses_of(const LocalTopic& topic) {
    std::vector<LostRange> losses;
    const auto entries = topic.settings.find(topic_setting::losses);
    if (entries == topic.settings.end()) {
        return losses;
    }
    std::string_view rest = entries->second;
    while (!rest.empty()) {
        const std::size_t comma = std::min(rest.find(','), rest.size());
        const std::string entry(rest.substr(0, comma));
        int partition = 0;
        long long from = 0;
        long long to = 0;
        long long at = 0;
        char kind[16] = {};
        if (std::sscanf(entry.c_str(), "%15[a-z]:%d:%lld:%lld:%lld", kind, &partition, &from, &to,
                        &at) == 5) {
            losses.push_back({{topic.name, PartitionIndex{partition}},
                              Offset{from},
                              Offset{to},
                              Timestamp{at},
                              std::string_view(kind) == "truncated"});
        }
        rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return losses;
}

std::string_view to_string(TopicState state) {
    switch (state) {
        case TopicState::initializing:
            return "initializing";
        case TopicState::catching_up:
            return "catching_up";
        case TopicState::mirroring:
            return "mirroring";
        case TopicState::epoch_fencing:
            return "epoch_fencing";
        case TopicState::truncating:
            return "truncating";
        case TopicState::paused:
            return "paused";
        case TopicState::source_unavailable:
            return "source_unavailable";
        case TopicState::halted:
            return "halted";
        case TopicState::orphaned:
            return "orphaned";
        case TopicState::promoting:
            return "promoting";
        case TopicState::failing_over:
            return "failing_over";
        case TopicState::promoted:
            return "promoted";
        case TopicState::restoring_setup:
            return "restoring_setup";
        case TopicState::restoring_truncate:
            return "restoring_truncate";
        case TopicState::reversing:
            return "reversing";
    }
    MR_ASSERT(false);
}

LinkView whole_view(LinkView known, const LinkSpec& spec, const metadata::Image& image,
                    const std::vector<PartitionView>& partitions) {
    LinkView view = std::move(known);
    Shown shown;
    for (const PartitionView& partition : partitions) {
        view.credentials_valid = view.credentials_valid && !partition.is_refused;
        shown[partition.partition.topic].push_back(&partition);
    }
    for (const LocalTopic& local : topics_of_link(image, view.id)) {
        if (is_archive(local)) {
            continue;
        }
        TopicView topic = view_of(local, shown[local.name]);
        if (const auto held = view.held.find(local.name); held != view.held.end()) {
            topic.state = TopicState::restoring_setup;
            topic.reason = held->second;
        }
        if (local.note.stage == Stage::promoted) {
            add_to(view.failover, local);
        } else {
            view.could_lose = std::max({view.could_lose, topic.lag, view.unseen});
        }
        topic.is_as_wished =
            spec.leaves_out(local.name) || is_as_wished(topic.state, spec.desired(local.name));
        view.topics.push_back(std::move(topic));
        const auto losses = losses_of(local);
        view.losses.insert(view.losses.end(), losses.begin(), losses.end());
    }
    return view;
}

}  // namespace millrace::mirror
