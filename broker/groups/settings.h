// groups/settings.h
//
// What groups take from the configuration; app/ fills it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "record/types.h"

namespace millrace::groups {

enum class MigrationPolicy { disabled, upgrade, downgrade, bidirectional };

struct GroupSettings {
    // Offsets.
    Duration commit_timeout = 5s;  ///< offsets.commit.timeout.ms; read at start.
    Bytes load_buffer = 1_MiB;     ///< At most offsets.load.buffer.size; read at start.
    /// offsets.topic.compression.codec; read at start.
    record::Compression offsets_compression = record::Compression::none;
    Duration offsets_retention = 7 * 24h;     ///< offsets.retention.minutes
    Duration offsets_check_interval = 10min;  ///< offsets.retention.check.interval.ms
    std::int32_t offset_metadata_max = 4096;  ///< offset.metadata.max.bytes
    // Classic protocol.
    Duration min_session_timeout = 6s;      ///< group.min.session.timeout.ms
    Duration max_session_timeout = 30min;   ///< group.max.session.timeout.ms
    Duration initial_rebalance_delay = 3s;  ///< group.initial.rebalance.delay.ms
    std::int32_t max_size = INT32_MAX;      ///< group.max.size
    // Consumer protocol (KIP-848).
    Duration consumer_session_timeout = 45s;  ///< group.consumer.session.timeout.ms
    Duration consumer_min_session_timeout = 45s;
    Duration consumer_max_session_timeout = 60s;
    Duration consumer_heartbeat_interval = 5s;  ///< group.consumer.heartbeat.interval.ms
    Duration consumer_min_heartbeat_interval = 5s;
    Duration consumer_max_heartbeat_interval = 15s;
    bool offers_consumer_protocol = true;        ///< group.coordinator.rebalance.protocols
    std::int32_t consumer_max_size = INT32_MAX;  ///< group.consumer.max.size
    std::vector<std::string> consumer_assignors = {"uniform", "range"};  ///< The first by default.
    /// group.consumer.assignment.interval.ms: at most one new target assignment in it. Small groups
    /// don't wait: for them an assignment costs nothing.
    Duration consumer_assignment_interval = 1s;
    Duration consumer_min_assignment_interval{};
    Duration consumer_max_assignment_interval = 15s;
    MigrationPolicy migration = MigrationPolicy::bidirectional;
    Duration regex_refresh = 10min;  ///< group.consumer.regex.refresh.interval.ms
    // Bounds of our own: a hostile member must not eat the broker.
    Bytes max_member_metadata = 4_MiB;         ///< Of one member, all its protocols together.
    Bytes max_group_metadata = 64_MiB;         ///< Of one group, all members together.
    std::size_t max_pending_members = 20'000;  ///< Given an id, not yet joined; of one group.
};

/// Group configs of one group: `consumer.session.timeout.ms`, `consumer.heartbeat.interval.ms`,
/// `consumer.assignment.interval.ms`.
struct GroupOverrides {
    std::optional<Duration> consumer_session_timeout;
    std::optional<Duration> consumer_heartbeat_interval;
    std::optional<Duration> consumer_assignment_interval;
};

}  // namespace millrace::groups
