#include "metadata/internal/config_changes.h"

#include <string>
#include <variant>

#include "metadata/internal/topic_rules.h"
#include "protocol/messages/config_record.h"

namespace millrace::metadata {

MaybeRefusal as_refusal(const config::Altered& altered) {
    const auto* refused = std::get_if<config::Refusal>(&altered);
    if (refused == nullptr) {
        return std::nullopt;
    }
    return Refusal{refused->kind == config::Refusal::Kind::invalid_request
                       ? KafkaError::invalid_request
                       : KafkaError::invalid_config,
                   refused->message};
}

void add_config(Draft& draft, const ConfigResource& resource, std::string_view name,
                std::optional<std::string_view> value) {
    protocol::ConfigRecord record;
    record.resource_type = static_cast<std::int8_t>(resource.type);
    record.resource_name = resource.name;
    record.name = name;
    record.value = value;
    draft.add(record, 0);
}

void settle_min_isr_for_elr(Draft& draft, const ControllerOptions& options) {
    const ConfigResource cluster{ConfigResourceType::broker, {}};
    if (draft.image().configs.find(cluster, setting::min_insync_replicas) == nullptr) {
        add_config(draft, cluster, setting::min_insync_replicas,
                   std::to_string(options.min_insync_replicas));
    }
    const auto all = draft.image().configs.by_resource();
    for (auto at = all.lower_bound(cluster); at != all.end(); ++at) {
        if (at->key.type == ConfigResourceType::broker && !at->key.name.empty() &&
            at->value->values.contains(setting::min_insync_replicas)) {
            add_config(draft, at->key, setting::min_insync_replicas, std::nullopt);
        }
    }
}

}  // namespace millrace::metadata
