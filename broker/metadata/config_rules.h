// metadata/config_rules.h
//
// ConfigRules by config's tables: what one node may let be set, given what it was started with and
// what the image says of the cluster and of this node. On the control shard.
#pragma once

#include <memory>

#include "config/config.h"
#include "metadata/controller_core.h"

namespace millrace::metadata {

class TableConfigRules final : public ConfigRules {
public:
    TableConfigRules(std::shared_ptr<const config::Given> given, BrokerId node);

    config::Altered alter(const ConfigResource& resource, const config::Entries& current,
                          const std::vector<config::Alteration>& asked,
                          const Image& image) const override;
    config::Altered replace(const ConfigResource& resource, const config::Entries& current,
                            const config::Entries& wanted, const Image& image) const override;
    config::Altered check_new_topic(const config::Entries& wanted,
                                    const Image& image) const override;
    std::vector<config::Described> describe_topic(const config::Entries& overrides,
                                                  const Image& image) const override;

private:
    /// Resolving all settings is not cheap; it is done again when an entry changed.
    const config::BrokerConfig& config_at(const Image& image) const;

    std::shared_ptr<const config::Given> given_;
    BrokerId node_;
    mutable config::Entries cluster_default_;
    mutable config::Entries this_node_;
    mutable std::unique_ptr<config::BrokerConfig> resolved_;
};

}  // namespace millrace::metadata
