// mirror/state.h
//
// What is known of a link, its topics and its partitions at this moment: for people, tools and
// metrics.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::mirror {

enum class LinkPhase : std::uint8_t {
    pending = 1,
    connecting,
    validating,
    active,
    degraded,
    source_unavailable,
    paused,
    failed,
    terminating,
};

/// Numbered as in links.proto.
enum class TopicState : std::uint8_t {
    initializing = 1,
    catching_up,
    mirroring,
    epoch_fencing,
    truncating,
    paused,
    source_unavailable,
    halted,
    orphaned,
    promoting,
    failing_over,
    promoted,
    restoring_setup,
    restoring_truncate,
    reversing,
};
std::string_view to_string(TopicState state);  ///< "catching_up"

/// Why a source can't be had, as views say it.
constexpr std::string_view reason_of_loss(bool is_refused) {
    return is_refused ? "Unauthorized" : "SourceUnavailable";
}

struct PartitionView {
    TopicPartition partition;
    std::string source_topic;
    TopicState state = TopicState::initializing;
    std::string reason;
    Offset end = no_offset;
    Offset source_high_watermark = no_offset;
    Duration lag{};
    bool is_refused = false;  ///< Its source's broker accepts our credentials no more.
    BrokerId source_leader = no_broker;
    LeaderEpoch last_source_epoch = no_leader_epoch;

    std::int64_t lag_records() const {
        return source_high_watermark == no_offset || end == no_offset
                   ? 0
                   : std::max<std::int64_t>(0, source_high_watermark - end);
    }
};

struct TopicView {
    std::string topic;
    TopicState state = TopicState::initializing;
    std::string reason;
    std::int64_t lag_records = 0;
    Duration lag{};
    bool is_as_wished = false;  ///< In the state that the link wishes for it.
};

struct LostRange {
    TopicPartition partition;
    Offset from;
    Offset to;
    Timestamp at;
    bool truncated = false;  ///< The source took it back; otherwise it was never mirrored.
};

/// A group's position that is further at the source than the mirror reaches.
struct ClampedGroup {
    std::string group;
    TopicPartition partition;
    Offset source;
    Offset written;
};

/// Mirrors that are not begun, because what their sources have does not fit here.
struct RoomView {
    std::vector<std::string> topics;
    std::int64_t needed_bytes = 0;  ///< All copies.
    std::int64_t left_bytes = 0;    ///< Beside what is on its way.
};

/// What has been promoted so far, as the promotion records say.
struct FailoverView {
    Timestamp at;  ///< Of the last partition.
    std::int32_t topics = 0;
    std::int32_t partitions = 0;
    std::int64_t lost_records = 0;  ///< Known at the source and not here; -1: it wasn't seen.
    Duration lost{};                ///< How far behind the furthest partition was.
};

struct LinkView {
    std::string name;
    std::string id;
    std::int64_t version = 0;
    LinkPhase phase = LinkPhase::pending;
    std::string reason;
    std::string message;
    std::string source_cluster_id;
    std::vector<TopicView> topics;  ///< By name.
    /// Promoted topics that shall follow again and can't yet, with the reason.
    std::map<std::string, std::string> held;
    std::vector<LostRange> losses;
    std::vector<ClampedGroup> clamped;
    std::optional<FailoverView> failover;
    std::optional<RoomView> room;  ///< None: there is enough.
    /// Topics that were promoted without a fence, and whose source takes writes, too.
    std::vector<std::string> split;
    Duration round_trip{};
    Duration unseen{};      ///< Since the source was last followed; 0 while it is.
    Duration could_lose{};  ///< By a failover now.
    bool credentials_valid = true;
    bool groups_synced = false;
};

/// What one broker has counted for a link since it started.
struct PullCounters {
    std::int64_t bytes = 0;
    std::int64_t batches = 0;
    std::int64_t gap_records = 0;
    std::int64_t truncated_records = 0;
    std::int64_t epoch_raises = 0;
    std::int64_t throttled_ms = 0;
};

struct LinkFigures {
    LinkView view;  ///< Of what this broker leads.
    PullCounters pulled;
    std::size_t connections = 0;
    std::int64_t group_offsets_written = 0;
    std::int64_t group_offsets_skipped = 0;
    std::int64_t settings_reverted = 0;
};

}  // namespace millrace::mirror
