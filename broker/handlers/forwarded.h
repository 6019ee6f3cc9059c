// handlers/forwarded.h
//
// Requests that the controller decides: the body goes there as it came, the answer comes back as it
// is. When no controller can be reached, every item is answered with the reason.
#pragma once

#include <memory>
#include <utility>

#include "handlers/call.h"
#include "handlers/doors.h"
#include "handlers/error_map.h"

namespace millrace::handlers {

template <typename Request, typename Response>
using FailAll = void (*)(const Request&, Response&, KafkaError);

template <typename Request, typename Response>
void fail_at_top(const Request&, Response& response, KafkaError error) {
    response.error_code = code_of(error);
}

template <typename Request, typename Response>
void fail_alter_configs(const Request& request, Response& response, KafkaError error) {
    for (const auto& resource : request.resources) {
        auto& to = response.responses.emplace_back();
        to.resource_type = resource.resource_type;
        to.resource_name = resource.resource_name;
        to.error_code = code_of(error);
        to.error_message = message_of(error);
    }
}

/// Brokers mark items that they ask of the controller on their own account; clients can't.
template <typename Request>
void drop_marks(Request& request) {
    const auto drop = [](auto& items) {
        for (auto& item : items) {
            if constexpr (requires { item.unknown_tags.clear(); }) {
                item.unknown_tags.clear();
            }
        }
    };
    if constexpr (requires { request.topics.begin(); }) {
        drop(request.topics);
    }
    if constexpr (requires { request.resources.begin(); }) {
        drop(request.resources);
    }
}

template <typename Request, typename Response, FailAll<Request, Response> fail_all>
void forward(const Doors& doors, Call<Request, Response> call) {
    // It goes as a copy and is decoded anew over there.
    const auto decoded = static_cast<std::size_t>(call.frame().held());
    if (!call.hold(2 * decoded + call.frame().bytes().size())) {
        return;
    }
    Buffer body;
    protocol::Writer writer(body);
    Request request = call.request();
    drop_marks(request);
    request.encode(writer, call.version());
    auto shared = std::make_shared<Call<Request, Response>>(std::move(call));
    if (!writer.ok()) {
        log_unwritable(doors, shared->meta(), writer.error());
        return;
    }
    doors.controller->forward(Request::api_key, shared->version(), std::move(body),
                              shared->meta().principal, shared->home(),
                              [shared](Result<ControllerDoor::Answer> answer) {
                                  if (answer) {
                                      shared->answer_encoded(answer->body);
                                      return;
                                  }
                                  Response response;
                                  const KafkaError error = answer.error().code() == Code::not_leader
                                                               ? KafkaError::not_controller
                                                               : KafkaError::request_timed_out;
                                  fail_all(shared->request(), response, error);
                                  shared->answer(response);
                              });
}

}  // namespace millrace::handlers
