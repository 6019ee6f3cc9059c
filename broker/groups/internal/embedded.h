// groups/internal/embedded.h
//
// What consumers of the classic protocol tell each other through the group: subscription and
// assignment ("embedded" in JoinGroup's metadata and SyncGroup's assignment). Brokers look into it
// to know subscribed topics and to move groups between protocols.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "groups/internal/values.h"
#include "groups/topics_view.h"

namespace millrace::groups {

struct Subscription {
    std::int16_t version = 0;
    std::vector<std::string> topics;  ///< Sorted, without repeats.
    std::optional<std::string> rack;
    std::map<std::string, std::vector<std::int32_t>> owned;
};

/// All of it, in the version that it says.
Result<Subscription> parse_subscription(ByteView bytes);
/// Only the topics, which every version begins with: works for versions yet to come.
Result<std::vector<std::string>> parse_subscribed_topics(ByteView bytes);

struct ClassicAssignment {
    std::map<std::string, std::vector<std::int32_t>> partitions;
    bool has_user_data = false;
};
Result<ClassicAssignment> parse_assignment(ByteView bytes);

/// In the version of a member's subscription; topics that are gone are left out.
Buffer build_assignment(const PartitionSet& partitions, std::int16_t version,
                        const TopicsView& topics);

/// By topic id; names unknown to `topics` are left out.
PartitionSet by_topic_id(const std::map<std::string, std::vector<std::int32_t>>& partitions,
                         const TopicsView& topics);

}  // namespace millrace::groups
