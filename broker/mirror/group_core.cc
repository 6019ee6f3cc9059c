#include "mirror/group_core.h"

#include <algorithm>
#include <fmt/core.h>

#include "base/mutants.h"

namespace millrace::mirror {

namespace {

constexpr std::string_view any_mark = "mirror:";
/// What brokers take by default (offset.metadata.max.bytes); a position counts for more than what
/// is noted beside it.
constexpr std::size_t longest_metadata = 4096;

/// What the group itself has noted, whichever links it came through.
std::string_view without_marks(std::string_view metadata) {
    while (metadata.starts_with(any_mark)) {
        metadata.remove_prefix(std::min(metadata.find(';'), metadata.size() - 1) + 1);
    }
    return metadata;
}

std::string marked(const std::string& mark, std::string_view metadata) {
    const std::string_view own = without_marks(metadata);
    return own.empty() || mark.size() + 1 + own.size() > longest_metadata
               ? mark
               : fmt::format("{};{}", mark, own);
}

/// Whether the group's last word was spoken here.
bool is_used_here(const GroupWorld& world, const TopicPartition& partition,
                  const GroupOffset& source, const GroupOffset& here) {
    if (here.metadata.starts_with(any_mark)) {
        return false;
    }
    const auto since = world.follows_since.find(partition.topic);
    if (since == world.follows_since.end() || !here.at) {
        return true;
    }
    const bool was_before = *here.at < since->second;
    const bool went_on_there = source.at && *source.at > *here.at;
    return !was_before && !went_on_there;
}

}  // namespace

std::string mark_of_link(const std::string& link_id) {
    return std::string(any_mark) + link_id;
}

GroupPlan end_group(const GroupOffsets& here, const Endings& endings) {
    GroupPlan plan;
    for (const auto& [partition, offset] : here) {
        const auto ending = endings.find(partition);
        if (ending == endings.end() || offset.offset <= ending->second.end || !offset.at ||
            *offset.at >= ending->second.at) {
            continue;
        }
        GroupOffset back = offset;
        back.offset = ending->second.end;
        back.epoch = no_leader_epoch;
        back.at.reset();
        plan.clamped.push_back({partition, offset.offset, back.offset});
        plan.commit.emplace(partition, std::move(back));
    }
    return plan;
}

GroupPlan plan_group(const GroupWorld& world) {
    GroupPlan plan;
    for (const auto& [partition, source] : world.source) {
        const auto reach = world.reach.find(partition);
        if (reach == world.reach.end() || source.offset < Offset{0}) {
            continue;
        }
        GroupOffset wanted = source;
        wanted.offset = MR_PLANTED(groups_beyond_the_mirror)
                            ? source.offset
                            : std::max(std::min(source.offset, reach->second.high_watermark),
                                       reach->second.start);
        // The epoch of the source's commit may not have come here yet: without one, consumers
        // don't compare.
        wanted.epoch = no_leader_epoch;
        wanted.metadata = marked(world.mark, source.metadata);
        wanted.at.reset();
        if (wanted.offset != source.offset) {
            plan.clamped.push_back({partition, source.offset, wanted.offset});
        }
        const auto here = world.here.find(partition);
        if (here != world.here.end() && here->second.offset >= Offset{0}) {
            if (is_used_here(world, partition, source, here->second)) {
                ++plan.skipped;
                continue;
            }
            if (here->second.offset == wanted.offset && here->second.metadata == wanted.metadata) {
                continue;
            }
        }
        plan.commit.emplace(partition, std::move(wanted));
    }
    return plan;
}

}  // namespace millrace::mirror
