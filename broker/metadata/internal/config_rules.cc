#include "metadata/config_rules.h"

#include <string>

namespace millrace::metadata {
namespace {

std::optional<config::Resource> kind_of(const ConfigResource& resource) {
    switch (resource.type) {
        case ConfigResourceType::topic:
            return config::Resource::topic;
        case ConfigResourceType::broker:
            return resource.name.empty() ? config::Resource::cluster_default
                                         : config::Resource::broker;
        case ConfigResourceType::group:
            return config::Resource::group;
        case ConfigResourceType::client_metrics:
            return config::Resource::client_metrics;
        case ConfigResourceType::broker_logger:
        case ConfigResourceType::unknown:
            break;
    }
    return std::nullopt;
}

config::Altered no_such_resource(const ConfigResource& resource) {
    return config::Refusal{
        config::Refusal::Kind::invalid_request,
        fmt::format("resources of type {} have no configs", static_cast<int>(resource.type))};
}

const config::Entries& values_set(const Image& image, const ConfigResource& resource) {
    static const config::Entries none;
    const ConfigMap* map = image.configs.find(resource);
    return map != nullptr ? map->values : none;
}

}  // namespace

TableConfigRules::TableConfigRules(std::shared_ptr<const config::Given> given, BrokerId node)
    : given_(std::move(given)), node_(node) {}

const config::BrokerConfig& TableConfigRules::config_at(const Image& image) const {
    const config::Entries& cluster = values_set(image, {ConfigResourceType::broker, {}});
    const config::Entries& node =
        values_set(image, {ConfigResourceType::broker, std::to_string(node_.value)});
    if (!resolved_ || cluster != cluster_default_ || node != this_node_) {
        cluster_default_ = cluster;
        this_node_ = node;
        resolved_ = std::make_unique<config::BrokerConfig>(given_, cluster, node);
    }
    return *resolved_;
}

config::Altered TableConfigRules::alter(const ConfigResource& resource,
                                        const config::Entries& current,
                                        const std::vector<config::Alteration>& asked,
                                        const Image& image) const {
    const auto kind = kind_of(resource);
    return kind ? config::alter(*kind, current, asked, config_at(image))
                : no_such_resource(resource);
}

config::Altered TableConfigRules::replace(const ConfigResource& resource,
                                          const config::Entries& current,
                                          const config::Entries& wanted, const Image& image) const {
    const auto kind = kind_of(resource);
    return kind ? config::replace(*kind, current, wanted, config_at(image))
                : no_such_resource(resource);
}

config::Altered TableConfigRules::check_new_topic(const config::Entries& wanted,
                                                  const Image& image) const {
    return config::check_new_topic(wanted, config_at(image));
}

std::vector<config::Described> TableConfigRules::describe_topic(const config::Entries& overrides,
                                                                const Image& image) const {
    return config_at(image).describe_topic(overrides);
}

}  // namespace millrace::metadata
