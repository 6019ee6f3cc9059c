// groups/topics_view.h
//
// What groups need to know of topics: an immutable view that app/ makes from the metadata image.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/uuid.h"

namespace millrace::groups {

struct TopicInfo {
    Uuid id;
    std::string_view name;  ///< Lives as long as the view.
    std::int32_t partitions = 0;
    friend bool operator==(const TopicInfo&, const TopicInfo&) = default;
};

class TopicsView {
public:
    virtual ~TopicsView() = default;
    /// Grows when a topic is created, deleted, grown or moved between racks: equal versions mean
    /// equal topics.
    virtual std::int64_t version() const = 0;
    virtual std::optional<TopicInfo> find(std::string_view name) const = 0;
    virtual std::optional<TopicInfo> find(const Uuid& id) const = 0;
    /// Every topic, in any order (internal ones too).
    virtual void for_each(const std::function<void(const TopicInfo&)>& visit) const = 0;
    /// The cluster runs group.version 1: KIP-848's groups.
    virtual bool has_consumer_groups() const { return true; }
    /// The racks of a partition's replicas, sorted, without repeats; empty where none is known.
    virtual std::vector<std::string> racks(const Uuid& id, std::int32_t partition) const = 0;
};

/// No topics: what a coordinator knows before the first image.
const TopicsView& no_topics();

}  // namespace millrace::groups
