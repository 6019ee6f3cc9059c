// IncrementalAlterConfigs and AlterConfigs, for every kind of resource.
#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <map>

#include "metadata/controller_core.h"
#include "metadata/internal/config_changes.h"
#include "metadata/internal/topic_names.h"
#include "metadata/internal/topic_rules.h"
#include "metadata/judged_mark.h"
#include "metadata/link_mark.h"
#include "metadata/standing.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::metadata {
namespace {

constexpr std::size_t max_value_size = 0x7fff;  // of a string in the record

/// Controllers have settings like brokers.
MaybeRefusal check_broker_name(const Context& context, const Image& image,
                               const std::string& name) {
    if (name.empty()) {
        return std::nullopt;
    }
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), id);
    if (error != std::errc{} || end != name.data() + name.size() || id < 0) {
        return Refusal::make(KafkaError::invalid_request, "'{}' is no broker id", name);
    }
    const bool is_node = image.cluster.broker(BrokerId{id}) != nullptr ||
                         context.options.is_controller(BrokerId{id});
    if (!is_node) {
        return Refusal::make(KafkaError::broker_id_not_registered, "broker {} is not registered",
                             id);
    }
    return std::nullopt;
}

/// The resource must be one that has configs, and exist where that means something.
MaybeRefusal check_resource(const Context& context, const Image& image,
                            const ConfigResource& resource) {
    switch (resource.type) {
        case ConfigResourceType::topic:
            if (resource.name.empty()) {
                return Refusal::make(KafkaError::invalid_request,
                                     "topics have no default of their own; brokers have");
            }
            if (MaybeRefusal refusal = check_topic_name(resource.name)) {
                return refusal;
            }
            if (image.topics.find(std::string_view(resource.name)) == nullptr) {
                return Refusal::of(KafkaError::unknown_topic_or_partition);
            }
            return std::nullopt;
        case ConfigResourceType::broker:
            return check_broker_name(context, image, resource.name);
        case ConfigResourceType::client_metrics:
        case ConfigResourceType::group:
            if (resource.name.empty()) {
                return Refusal::make(KafkaError::invalid_request, "the default {} has no configs",
                                     resource.type == ConfigResourceType::group
                                         ? "group"
                                         : "client metrics subscription");
            }
            return std::nullopt;
        case ConfigResourceType::broker_logger:
        case ConfigResourceType::unknown:
            break;
    }
    return Refusal::make(KafkaError::invalid_request, "resources of type {} have no configs",
                         static_cast<int>(resource.type));
}

std::vector<std::string> directories_in(const std::string& value) {
    const auto parsed = config::parse_value(
        *config::find_option(config::Scope::broker, setting::cordoned_directories), value);
    const auto* known = std::get_if<config::Value>(&parsed);
    const auto* list = known ? std::get_if<std::vector<std::string>>(known) : nullptr;
    return list ? *list : std::vector<std::string>{};
}

/// Directories are known to their broker alone. Where it has not judged, only what is cordoned
/// already may be named, or all of them.
MaybeRefusal check_directories(const Image& image, const ConfigResource& resource,
                               const std::string& value) {
    const std::string* now = image.configs.find(resource, setting::cordoned_directories);
    const std::vector<std::string> known =
        now != nullptr ? directories_in(*now) : std::vector<std::string>{};
    for (const std::string& directory : directories_in(value)) {
        if (directory != "*" && std::find(known.begin(), known.end(), directory) == known.end()) {
            return Refusal::make(KafkaError::invalid_config,
                                 "{}: only broker {} can tell whether {} is a directory of its "
                                 "own; ask it",
                                 setting::cordoned_directories, resource.name, directory);
        }
    }
    return std::nullopt;
}

MaybeRefusal check_change(const Image& image, const ConfigResource& resource,
                          const config::Change& change, bool is_judged) {
    const bool elr = image.feature_level(feature::eligible_leader_replicas) > 0;
    if (change.value && change.value->size() > max_value_size) {
        return Refusal::make(KafkaError::invalid_config, "the value of {} has {} bytes, at most {}",
                             change.name, change.value->size(), max_value_size);
    }
    if (change.name.size() > max_value_size) {
        return Refusal::make(KafkaError::invalid_config,
                             "the name of a setting has {} bytes, at most {}", change.name.size(),
                             max_value_size);
    }
    if (resource.type != ConfigResourceType::broker) {
        return std::nullopt;
    }
    if (elr && change.name == setting::min_insync_replicas &&
        (!resource.name.empty() || !change.value)) {
        return Refusal::make(KafkaError::invalid_config,
                             "with eligible leader replicas, {} has one value for the cluster: it "
                             "can't be removed, nor set for one broker",
                             change.name);
    }
    if (change.name == setting::cordoned_directories &&
        !image.metadata_version().has_cordoned_directories()) {
        return Refusal::make(KafkaError::invalid_config, "{} needs metadata.version 4.3-IV0",
                             change.name);
    }
    if (change.name == "listeners" && change.value && !is_judged) {
        return Refusal::make(KafkaError::invalid_request,
                             "listeners: only broker {} can tell whether it listens there; ask it",
                             resource.name);
    }
    if (change.name == setting::cordoned_directories && change.value && !is_judged) {
        return check_directories(image, resource, *change.value);
    }
    return std::nullopt;
}

/// Changes that were allowed become records. Another min.insync.replicas makes every ELR of before
/// meaningless: its members may lack what was acknowledged under the new value.
MaybeRefusal apply(Draft& draft, const ConfigResource& resource,
                   const std::vector<config::Change>& changes, bool is_judged) {
    for (const config::Change& change : changes) {
        if (MaybeRefusal refusal = check_change(draft.image(), resource, change, is_judged)) {
            return refusal;
        }
    }
    const bool elr = draft.image().feature_level(feature::eligible_leader_replicas) > 0;
    for (const config::Change& change : changes) {
        add_config(draft, resource, change.name, change.value);
        if (elr && change.name == setting::min_insync_replicas) {
            protocol::ClearElrRecord clear;
            clear.topic_name = resource.type == ConfigResourceType::topic
                                   ? std::string_view(resource.name)
                                   : std::string_view();
            draft.add(clear, 0);
        }
    }
    return std::nullopt;
}

config::Entries entries_of(const Image& image, const ConfigResource& resource) {
    const ConfigMap* map = image.configs.find(resource);
    return map != nullptr ? map->values : config::Entries{};
}

/// An order to whoever controls (standing.h): no setting of a broker's own, so no option table
/// knows it.
bool is_order(const ConfigResource& resource, std::string_view name) {
    if (resource.type != ConfigResourceType::broker) {
        return false;
    }
    return resource.name.empty() ? name == setting::plan || name == setting::plan_note ||
                                       name.starts_with(setting::plan_journal)
                                 : name == setting::drained_epoch;
}

/// Without the orders: who replaces all settings of a broker has not seen those.
config::Entries settings_of(const Image& image, const ConfigResource& resource) {
    config::Entries entries = entries_of(image, resource);
    std::erase_if(entries, [&](const auto& entry) { return is_order(resource, entry.first); });
    return entries;
}

template <typename Asked>
MaybeRefusal check_no_duplicates(const std::vector<Asked>& configs) {
    std::set<std::string_view> names;
    for (const Asked& config : configs) {
        if (!names.insert(config.name).second) {
            return Refusal::make(KafkaError::invalid_request, "{} is given twice", config.name);
        }
    }
    return std::nullopt;
}

MaybeRefusal alter_one(
    Draft& draft, const Context& context, const ConfigResource& resource,
    const protocol::IncrementalAlterConfigsRequest::AlterConfigsResource& asked) {
    if (MaybeRefusal refusal = check_no_duplicates(asked.configs)) {
        return refusal;
    }
    const bool by_link = find_link_mark(asked.unknown_tags) != nullptr;
    std::vector<config::Alteration> alterations;
    std::vector<config::Change> orders;
    for (const auto& config : asked.configs) {
        if (is_order(resource, config.name)) {
            orders.push_back(
                {std::string(config.name), config.config_operation == 0 && config.value
                                               ? std::optional(std::string(*config.value))
                                               : std::nullopt});
            continue;
        }
        if (config.config_operation < 0 || config.config_operation > 3) {
            return Refusal::make(KafkaError::invalid_request, "unknown operation {} on {}",
                                 config.config_operation, config.name);
        }
        alterations.push_back(
            {std::string(config.name), static_cast<config::AlterOp>(config.config_operation),
             config.value ? std::optional(std::string(*config.value)) : std::nullopt, by_link});
    }
    const config::Altered altered = context.config_rules.alter(
        resource, entries_of(draft.image(), resource), alterations, draft.image());
    if (MaybeRefusal refusal = as_refusal(altered)) {
        return refusal;
    }
    std::vector<config::Change> changes = std::get<std::vector<config::Change>>(altered);
    changes.insert(changes.end(), orders.begin(), orders.end());
    return apply(draft, resource, changes, is_judged(asked.unknown_tags));
}

MaybeRefusal alter_one(Draft& draft, const Context& context, const ConfigResource& resource,
                       const protocol::AlterConfigsRequest::AlterConfigsResource& asked) {
    if (MaybeRefusal refusal = check_no_duplicates(asked.configs)) {
        return refusal;
    }
    config::Entries wanted;
    for (const auto& config : asked.configs) {
        if (!config.value) {
            return Refusal::make(KafkaError::invalid_request, "{} has no value", config.name);
        }
        wanted.emplace(config.name, *config.value);
    }
    const config::Altered altered = context.config_rules.replace(
        resource, settings_of(draft.image(), resource), wanted, draft.image());
    if (MaybeRefusal refusal = as_refusal(altered)) {
        return refusal;
    }
    return apply(draft, resource, std::get<std::vector<config::Change>>(altered),
                 is_judged(asked.unknown_tags));
}

/// Resources one by one: what is wrong with one doesn't keep the others.
template <typename Response, typename Request>
Decision<Response> alter_all(const Context& context, const Request& request) {
    Decision<Response> decision(context);
    std::map<ConfigResource, int> times;
    const auto resource_of = [](const auto& asked) {
        return ConfigResource{static_cast<ConfigResourceType>(asked.resource_type),
                              std::string(asked.resource_name)};
    };
    for (const auto& asked : request.resources) {
        ++times[resource_of(asked)];
    }
    for (const auto& asked : request.resources) {
        const ConfigResource resource = resource_of(asked);
        MaybeRefusal refusal;
        if (times[resource] > 1) {
            refusal = Refusal::make(KafkaError::invalid_request, "the resource is named twice");
        } else {
            refusal = check_resource(context, decision.draft.image(), resource);
        }
        if (!refusal) {
            refusal = alter_one(decision.draft, context, resource, asked);
        }
        auto& result = decision.answer.responses.emplace_back();
        result.resource_type = asked.resource_type;
        result.resource_name = decision.texts.keep(std::string(asked.resource_name));
        set_outcome(result, refusal, decision.texts);
    }
    if (decision.draft.records().size() > context.options.max_records_per_operation) {
        decision.draft = Draft(context.image);
        for (auto& result : decision.answer.responses) {
            set_outcome(result, too_many_records(context.options), decision.texts);
        }
    }
    if (request.validate_only) {
        decision.draft = Draft(context.image);
    }
    return decision;
}

}  // namespace

Decision<protocol::IncrementalAlterConfigsResponse> incremental_alter_configs(
    Context& context, const protocol::IncrementalAlterConfigsRequest& request) {
    return alter_all<protocol::IncrementalAlterConfigsResponse>(context, request);
}

Decision<protocol::AlterConfigsResponse> alter_configs(
    Context& context, const protocol::AlterConfigsRequest& request) {
    return alter_all<protocol::AlterConfigsResponse>(context, request);
}

}  // namespace millrace::metadata
