// AlterConfigs and IncrementalAlterConfigs: the controller decides. What a broker's own settings
// name may exist on that broker only, so it judges them first and says so to the controller.
#include <algorithm>
#include <vector>

#include "config/alter.h"
#include "config/overlay.h"
#include "handlers/forwarded.h"
#include "handlers/handlers.h"
#include "metadata/judged_mark.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"

namespace millrace::handlers {
namespace {

using protocol::AlterConfigsRequest;
using protocol::AlterConfigsResponse;
using protocol::IncrementalAlterConfigsRequest;
using protocol::IncrementalAlterConfigsResponse;

template <typename Resource>
bool is_own(const Doors& doors, const Resource& resource) {
    return resource.resource_type == static_cast<std::int8_t>(config::ResourceType::broker) &&
           resource.resource_name == std::to_string(doors.self.value);
}

config::Altered changes_of(const IncrementalAlterConfigsRequest::AlterConfigsResource& resource,
                           const config::Entries& current, const config::BrokerConfig& config) {
    std::vector<config::Alteration> alterations;
    for (const auto& asked : resource.configs) {
        alterations.push_back(
            {std::string(asked.name), static_cast<config::AlterOp>(asked.config_operation),
             asked.value ? std::optional(std::string(*asked.value)) : std::nullopt});
    }
    return config::alter(config::Resource::broker, current, alterations, config);
}

config::Altered changes_of(const AlterConfigsRequest::AlterConfigsResource& resource,
                           const config::Entries& current, const config::BrokerConfig& config) {
    config::Entries wanted;
    for (const auto& asked : resource.configs) {
        if (asked.value) {
            wanted.emplace(asked.name, *asked.value);
        }
    }
    return config::replace(config::Resource::broker, current, wanted, config);
}

/// What would change in this broker's own settings. Nothing where the table refuses: to say so is
/// the controller's, which has the settings as they are.
template <typename Request>
Doors::SettingChanges own_changes(const Doors& doors, const Request& request) {
    Doors::SettingChanges changes;
    if (!doors.judge_own_settings) {
        return changes;
    }
    const auto book = doors.topics->current();
    for (const auto& resource : request.resources) {
        if (!is_own(doors, resource)) {
            continue;
        }
        const config::Altered altered =
            changes_of(resource, book->config().this_broker(), book->config());
        if (const auto* list = std::get_if<std::vector<config::Change>>(&altered)) {
            for (const config::Change& change : *list) {
                changes[change.name] = change.value;
            }
        }
    }
    return changes;
}

/// Goes in the newest version, which alone carries the mark; the answer comes back in the
/// client's. It is given when this broker works with what was changed.
template <typename Request, typename Response>
void to_controller_as_judged(const Doors& doors, Doors::SettingChanges changes,
                             std::shared_ptr<Call<Request, Response>> call) {
    Request request = call->request();
    drop_marks(request);
    for (auto& resource : request.resources) {
        if (is_own(doors, resource)) {
            resource.unknown_tags.push_back({.tag = metadata::judged_tag, .data = {}});
        }
    }
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, Request::max_version);
    if (!writer.ok()) {
        log_unwritable(doors, call->meta(), writer.error());
        return;
    }
    doors.controller->forward(
        Request::api_key, Request::max_version, std::move(body), call->meta().principal,
        call->home(),
        [&doors, call,
         changes = std::move(changes)](Result<ControllerDoor::Answer> answer) mutable {
            Response response;
            if (!answer) {
                fail_alter_configs(call->request(), response,
                                   answer.error().code() == Code::not_leader
                                       ? KafkaError::not_controller
                                       : KafkaError::request_timed_out);
                call->answer(response);
                return;
            }
            protocol::Reader reader(answer->body);
            response.decode(reader, Request::max_version);
            const bool changed = reader.ok() && !call->request().validate_only &&
                                 std::all_of(response.responses.begin(), response.responses.end(),
                                             [](const auto& one) { return one.error_code == 0; });
            if (!changed) {
                call->answer(response);
                return;
            }
            doors.when_own_settings_work(std::move(changes),
                                         [call, body = std::move(answer->body)]() mutable {
                                             call->home().post([call, body = std::move(body)] {
                                                 Response response;
                                                 protocol::Reader reader(body);
                                                 response.decode(reader, Request::max_version);
                                                 call->answer(response);
                                             });
                                         });
        });
}

template <typename Request, typename Response>
void alter(const Doors& doors, Call<Request, Response> call) {
    Doors::SettingChanges changes = own_changes(doors, call.request());
    if (changes.empty()) {
        forward<Request, Response, fail_alter_configs<Request, Response>>(doors, std::move(call));
        return;
    }
    auto shared = std::make_shared<Call<Request, Response>>(std::move(call));
    doors.judge_own_settings(changes, [&doors, shared, changes](Result<void> verdict) mutable {
        shared->home().post(
            [&doors, shared, changes = std::move(changes), verdict = std::move(verdict)]() mutable {
                if (verdict) {
                    to_controller_as_judged(doors, std::move(changes), std::move(shared));
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

}  // namespace

void alter_configs(const Doors& doors, Call<AlterConfigsRequest, AlterConfigsResponse> call) {
    alter(doors, std::move(call));
}

void incremental_alter_configs(
    const Doors& doors,
    Call<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse> call) {
    alter(doors, std::move(call));
}

}  // namespace millrace::handlers
