// groups/internal/subscriptions.h
//
// What a consumer group's subscriptions mean among the topics that exist.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "groups/internal/values.h"
#include "groups/topics_view.h"

namespace millrace::groups {

/// A number that changes when any of the topics is created, deleted, grown or moved between racks.
/// Kafka's is another function of the same facts: a group that moves between its brokers and ours
/// sees one rebalance without movement.
class MetadataHash {
public:
    /// 0 if none of the topics (sorted) exists.
    std::int64_t of(const std::vector<std::string_view>& topics, const TopicsView& view);

private:
    std::int64_t version_ = -1;
    StringMap<std::uint64_t> by_topic_;  ///< Of that version; 0: no such topic.
};

/// Why RE2 can't use the expression; none if it can.
std::optional<std::string> check_regex(std::string_view regex);

/// The topics that match as a whole, sorted. Linear in the names, whatever the expression.
std::vector<std::string> resolve_regex(std::string_view regex, const TopicsView& view,
                                       const std::function<bool(std::string_view)>& may_describe);

}  // namespace millrace::groups
