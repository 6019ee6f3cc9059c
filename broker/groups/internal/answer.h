// groups/internal/answer.h
//
// A response on its way out. It leaves when what it says is committed; by then the state may have
// moved on, so it owns what its views point to.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "coordinator/runtime.h"
#include "coordinator/state_machine.h"
#include "groups/group_coordinator.h"
#include "groups/internal/values.h"
#include "protocol/arena.h"

namespace millrace::groups {

template <typename Response>
struct Answer {
    Response response;
    protocol::Arena arena;
    std::vector<Blob> blobs;

    std::string_view own(std::string_view text) { return arena.copy(text); }
    std::optional<std::string_view> own(const std::optional<std::string>& text) {
        return text ? std::optional{arena.copy(*text)} : std::nullopt;
    }
    ByteView own(const Blob& blob) {
        if (blob) {
            blobs.push_back(blob);
        }
        return view(blob);
    }
};

template <typename Response>
using AnswerPtr = std::unique_ptr<Answer<Response>>;

template <typename Response>
AnswerPtr<Response> make_answer() {
    return std::make_unique<Answer<Response>>();
}

/// Sends `answer` once everything so far is committed; if it never will be, a response with only
/// the error.
template <typename Response>
void send(coordinator::Operation& operation, Reply<Response> reply, AnswerPtr<Response> answer) {
    operation.then(
        [reply = std::move(reply), answer = std::move(answer)](KafkaError error) mutable {
            if (error == KafkaError::none) {
                reply(answer->response);
            } else {
                Response failed;
                failed.error_code = code_of(coordinator::answer_for_log_error(error));
                reply(failed);
            }
        });
}

template <typename Response>
void send_error(coordinator::Operation& operation, Reply<Response> reply, KafkaError error) {
    auto answer = make_answer<Response>();
    answer->response.error_code = code_of(error);
    send(operation, std::move(reply), std::move(answer));
}

}  // namespace millrace::groups
