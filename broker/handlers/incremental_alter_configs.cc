#include "config/alter.h"
#include "config/overlay.h"
#include "handlers/forwarded.h"
#include "handlers/handlers.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::handlers {
namespace {

using Request = protocol::IncrementalAlterConfigsRequest;
using Response = protocol::IncrementalAlterConfigsResponse;

/// What is asked of this broker's own settings; what is no plain change is the controller's to
/// judge.
Doors::SettingChanges own_changes(const Doors& doors, const Request& request) {
    const std::string self = std::to_string(doors.self.value);
    Doors::SettingChanges changes;
    for (const auto& resource : request.resources) {
        if (resource.resource_type != static_cast<std::int8_t>(config::ResourceType::broker) ||
            resource.resource_name != self) {
            continue;
        }
        for (const auto& asked : resource.configs) {
            std::optional<std::string>& change = changes[std::string(asked.name)];
            const bool sets =
                asked.config_operation == static_cast<std::int8_t>(config::AlterOp::set);
            if (sets && asked.value) {
                change = std::string(*asked.value);
            }
        }
    }
    return changes;
}

void to_controller(const Doors& doors, Call<Request, Response> call) {
    forward<Request, Response, fail_alter_configs<Request, Response>>(doors, std::move(call));
}

}  // namespace

void incremental_alter_configs(const Doors& doors, Call<Request, Response> call) {
    Doors::SettingChanges changes = own_changes(doors, call.request());
    if (changes.empty() || !doors.judge_own_settings) {
        to_controller(doors, std::move(call));
        return;
    }
    auto shared = std::make_shared<Call<Request, Response>>(std::move(call));
    doors.judge_own_settings(std::move(changes), [&doors, shared](Result<void> verdict) {
        shared->home().post([&doors, shared, verdict = std::move(verdict)] {
            if (verdict) {
                to_controller(doors, std::move(*shared));
                return;
            }
            Response response;
            fail_alter_configs(shared->request(), response, KafkaError::invalid_request);
            for (auto& one : response.responses) {
                one.error_message = verdict.error().message();
            }
            shared->answer(response);
        });
    });
}

}  // namespace millrace::handlers
