// config/overlay.h
//
// The dynamic settings that the metadata log holds, by resource: what ConfigRecords build up. A
// value type with shared entries: copying it for a new metadata image costs a pointer per resource
// that has settings of its own, and nothing per setting.
#pragma once

#include <compare>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace millrace::config {

/// Kafka's numbers of resource types in ConfigRecord, DescribeConfigs and AlterConfigs.
enum class ResourceType : std::int8_t {
    unknown = 0,
    topic = 2,
    broker = 4,
    broker_logger = 8,
    client_metrics = 16,
    group = 32,
};

struct ResourceName {
    ResourceType type = ResourceType::unknown;
    std::string name;  ///< The cluster default is a broker with an empty name.
    friend auto operator<=>(const ResourceName&, const ResourceName&) = default;
};

class Overlay {
public:
    /// Applies one ConfigRecord; no value removes the key.
    void apply(const ResourceName& resource, std::string_view key,
               std::optional<std::string_view> value);
    /// The resource is gone (a deleted topic).
    void erase(const ResourceName& resource);

    /// Empty entries for a resource without settings.
    const Entries& entries(const ResourceName& resource) const;
    std::vector<ResourceName> resources(ResourceType type) const;
    const std::map<ResourceName, std::shared_ptr<const Entries>>& all() const { return entries_; }

private:
    std::map<ResourceName, std::shared_ptr<const Entries>> entries_;
};

}  // namespace millrace::config
