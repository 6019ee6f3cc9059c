// mirror/group_core.h
//
// Which offsets of a group are written on the mirror's side: exactly the source's, as long as
// nobody uses the group here, never beyond what is mirrored. When roles change, positions go along:
// who committed here while this side led, and moved over, has not been using the group here since.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::mirror {

struct GroupOffset {
    Offset offset = no_offset;
    LeaderEpoch epoch = no_leader_epoch;
    std::string metadata;
    std::optional<Timestamp> at = {};  ///< When it was committed; Apache Kafka doesn't tell.
    friend bool operator==(const GroupOffset&, const GroupOffset&) = default;
};
using GroupOffsets = std::map<TopicPartition, GroupOffset>;

/// How far a mirror partition reaches: [start, high watermark), and the epoch that it is led in.
struct MirrorReach {
    Offset start{0};
    Offset high_watermark;
};

struct GroupWorld {
    /// Marks what this link writes. A commit without a mark, of whichever link, was made by
    /// somebody who uses the group here, or used it here before.
    std::string mark;
    GroupOffsets source;  ///< By the mirror's topic names.
    GroupOffsets here;
    std::map<TopicPartition, MirrorReach> reach;
    /// Topics that took writes here, and since when they follow again. What groups committed while
    /// this was their side is the past, unless they went on here.
    std::map<std::string, Timestamp> follows_since;
};

struct ClampedOffset {
    TopicPartition partition;
    Offset source;
    Offset written;
    friend bool operator==(const ClampedOffset&, const ClampedOffset&) = default;
};

struct GroupPlan {
    GroupOffsets commit;
    std::vector<ClampedOffset> clamped;
    std::int64_t skipped = 0;  ///< Left alone: used here.
};
GroupPlan plan_group(const GroupWorld& world);

/// A mirrored history that was cut where it ended: records of transactions that were open.
struct Ending {
    Offset end;
    Timestamp at;
};
using Endings = std::map<TopicPartition, Ending>;
/// Positions behind such an end, from before it ended, are set back to it: what is written there
/// next would be passed over.
GroupPlan end_group(const GroupOffsets& here, const Endings& endings);

std::string mark_of_link(const std::string& link_id);

}  // namespace millrace::mirror
