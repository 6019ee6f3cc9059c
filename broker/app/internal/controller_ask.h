// app/internal/controller_ask.h
//
// One request of ours to the active controller: encoded, forwarded, decoded.
#pragma once

#include <memory>
#include <utility>

#include "base/result.h"
#include "handlers/doors.h"
#include "model/kafka_error.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::app {

/// An answer with the bytes that its views show.
template <typename Response>
struct Told {
    Buffer bytes;
    Response body;
};

/// `done` runs on `home`.
template <typename Response, typename Request>
void ask_controller(handlers::ControllerDoor& controller, runtime::Executor& home,
                    const Request& request, std::int16_t version,
                    UniqueFunction<void(Result<std::shared_ptr<Told<Response>>>)> done) {
    Buffer body;
    protocol::Writer writer(body);
    request.encode(writer, version);
    if (!writer.ok()) {
        done(writer.error());
        return;
    }
    controller.forward(
        Request::api_key, version, std::move(body), Principal{}, home,
        [done = std::move(done)](Result<handlers::ControllerDoor::Answer> answer) mutable {
            if (!answer) {
                done(answer.error());
                return;
            }
            auto told = std::make_shared<Told<Response>>();
            told->bytes = std::move(answer->body);
            protocol::Reader reader(told->bytes);
            told->body.decode(reader, answer->version);
            if (!reader.ok()) {
                done(reader.error());
            } else {
                done(std::move(told));
            }
        });
}

/// What Kafka's code means to a caller of ours.
Error error_of(std::int16_t kafka_code, std::optional<std::string_view> message);

}  // namespace millrace::app
