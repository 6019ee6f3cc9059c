#include "mirror/group_core.h"

#include <algorithm>

#include "base/mutants.h"

namespace millrace::mirror {

std::string mark_of_link(const std::string& link_id) {
    return "mirror:" + link_id;
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
        wanted.metadata = source.metadata.empty() ? world.mark : world.mark + ";" + source.metadata;
        if (wanted.offset != source.offset) {
            plan.clamped.push_back({partition, source.offset, wanted.offset});
        }
        const auto here = world.here.find(partition);
        if (here != world.here.end() && here->second.offset >= Offset{0}) {
            if (!here->second.metadata.starts_with(world.mark)) {
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
