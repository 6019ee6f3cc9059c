// groups/internal/env.h
//
// What all shards of a coordinator see of the world: handed in, changed only between operations.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/random.h"
#include "groups/group_coordinator.h"
#include "groups/internal/subscriptions.h"
#include "groups/internal/values.h"
#include "groups/settings.h"
#include "groups/topics_view.h"

namespace millrace::groups {

/// Counted since start, over all shards.
struct Counters {
    std::uint64_t classic_rebalances = 0;
    std::uint64_t consumer_rebalances = 0;
    std::uint64_t commits = 0;
    std::uint64_t expired_offsets = 0;
    std::uint64_t deleted_offsets = 0;
};

struct Env {
    GroupSettings settings;
    StringMap<GroupOverrides> overrides;
    std::shared_ptr<const TopicsView> topics;  ///< Never null.
    Random& random;
    Logger log;
    Counters counters;
    MetadataHash metadata_hash;

    Duration consumer_session_timeout(std::string_view group) const;
    Duration consumer_heartbeat_interval(std::string_view group) const;
    Duration consumer_assignment_interval(std::string_view group) const;
    const std::string& default_assignor() const { return settings.consumer_assignors.front(); }
};

/// As java.util.UUID.randomUUID() prints it, which is what member ids end in.
std::string random_uuid_text(Random& random);

}  // namespace millrace::groups
