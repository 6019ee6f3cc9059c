// ListConfigResources: what has, or could have, settings of its own.

#include <algorithm>
#include <set>
#include <string>

#include "handlers/handlers.h"
#include "protocol/messages/list_config_resources_request.h"
#include "protocol/messages/list_config_resources_response.h"

namespace millrace::handlers {

void list_config_resources(
    const Doors& doors,
    Call<protocol::ListConfigResourcesRequest, protocol::ListConfigResourcesResponse> call) {
    using metadata::ConfigResourceType;
    const metadata::ImagePtr image = doors.image->current();
    std::set<std::int8_t> types(call.request().resource_types.begin(),
                                call.request().resource_types.end());
    if (call.version() == 0) {
        types = {static_cast<std::int8_t>(ConfigResourceType::client_metrics)};
    } else if (types.empty()) {
        for (const auto type : {ConfigResourceType::topic, ConfigResourceType::broker,
                                ConfigResourceType::broker_logger,
                                ConfigResourceType::client_metrics, ConfigResourceType::group}) {
            types.insert(static_cast<std::int8_t>(type));
        }
    }
    protocol::ListConfigResourcesResponse response;
    std::set<std::string> broker_names;
    const auto add = [&](std::string_view name, ConfigResourceType type) {
        response.config_resources.push_back(
            {.resource_name = name, .resource_type = static_cast<std::int8_t>(type)});
    };
    for (const auto& entry : image->cluster.brokers) {
        broker_names.insert(std::to_string(entry.key.value));
    }
    for (const std::int8_t number : types) {
        const auto type = static_cast<ConfigResourceType>(number);
        switch (type) {
            case ConfigResourceType::topic:
                for (const auto& entry : image->topics.by_name()) {
                    add(entry.key, type);
                }
                break;
            case ConfigResourceType::broker:
            case ConfigResourceType::broker_logger:
                for (const std::string& name : broker_names) {
                    add(name, type);
                }
                break;
            case ConfigResourceType::client_metrics:
            case ConfigResourceType::group:
                for (const auto& entry : image->configs.by_resource()) {
                    if (entry.key.type == type) {
                        add(entry.key.name, type);
                    }
                }
                break;
            case ConfigResourceType::unknown:
            default:
                response.error_code = code_of(KafkaError::unsupported_version);
                break;
        }
    }
    if (response.error_code != 0) {
        response.config_resources.clear();
    }
    call.answer(response);
}

}  // namespace millrace::handlers
