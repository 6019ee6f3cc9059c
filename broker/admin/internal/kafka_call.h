// admin/internal/kafka_call.h
//
// A call that is answered by a request of the Kafka protocol: encode, ask the door, decode,
// convert.
#pragma once

#include <utility>

#include "admin/internal/calls.h"
#include "model/kafka_error.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::admin {

constexpr std::int16_t metadata_version = 13;
constexpr std::int16_t describe_configs_version = 4;
constexpr std::int16_t describe_log_dirs_version = 5;

/// `done` gets the decoded answer while its bytes live, or the error.
template <typename KafkaResponse, typename KafkaRequest, typename Done>
void ask_kafka(AdminDoors& doors, const Caller& caller, std::int16_t version,
               const KafkaRequest& request, Done done, BrokerId target = no_broker) {
    KafkaCall call;
    call.api_key = KafkaRequest::api_key;
    call.api_version = version;
    call.target = target;
    protocol::Writer writer(call.body);
    request.encode(writer, version);
    if (!writer.ok()) {
        done(writer.error(), nullptr);
        return;
    }
    doors.kafka(caller, std::move(call),
                [done = std::move(done), version](Result<Buffer> body) mutable {
                    if (!body) {
                        done(body.error(), nullptr);
                        return;
                    }
                    protocol::Reader reader(*body);
                    KafkaResponse response;
                    response.decode(reader, version);
                    if (!reader.ok()) {
                        done(reader.error(), nullptr);
                        return;
                    }
                    done(Error(Code::internal, ""), &response);
                });
}

/// The same where the answer is only converted.
template <typename KafkaResponse, typename Response, typename KafkaRequest, typename Convert>
void answer_from_kafka(AdminDoors& doors, const Caller& caller, std::int16_t version,
                       const KafkaRequest& request, Answer<Response> answer, Convert convert) {
    ask_kafka<KafkaResponse>(doors, caller, version, request,
                             [answer = std::move(answer), convert = std::move(convert)](
                                 const Error& error, const KafkaResponse* response) mutable {
                                 if (response == nullptr) {
                                     answer(error);
                                 } else {
                                     answer(convert(*response));
                                 }
                             });
}

/// Kafka's own sentence where the answer brought none.
inline void fill_error(v1::ItemError& to, std::int16_t code,
                       std::optional<std::string_view> message = std::nullopt) {
    if (code == 0) {
        return;
    }
    to.set_kafka_error(code);
    to.set_message(message && !message->empty()
                       ? std::string{*message}
                       : std::string{message_of(static_cast<KafkaError>(code))});
}

inline void fill_error(v1::ItemError& to, KafkaError error) {
    fill_error(to, code_of(error));
}

}  // namespace millrace::admin
