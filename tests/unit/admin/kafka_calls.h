// Calls of the admin endpoint against doors that answer requests of the Kafka protocol: brokers 3
// (the one that is called) and 4.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "admin/internal/kafka_call.h"
#include "tests/unit/admin/fake_doors.h"

namespace millrace::admin {

template <typename Message>
Buffer encoded(const Message& message, std::int16_t version) {
    Buffer bytes;
    protocol::Writer writer(bytes);
    message.encode(writer, version);
    EXPECT_TRUE(writer.ok());
    return bytes;
}

template <typename Message>
Message decoded(const KafkaCall& call) {
    protocol::Reader reader(call.body);
    Message message;
    message.decode(reader, call.api_version);
    EXPECT_TRUE(reader.ok());
    return message;
}

class KafkaCallsTest : public testing::Test {
protected:
    template <typename Request, typename Response>
    Result<Response> ask(void (*call)(AdminDoors&, Caller, const Request&, Answer<Response>),
                         const Request& request) {
        std::optional<Result<Response>> outcome;
        call(doors_, Caller{}, request,
             [&](Result<Response> result) { outcome = std::move(result); });
        EXPECT_TRUE(outcome.has_value());
        return *outcome;
    }
    std::vector<std::int16_t> apis_asked() const {
        std::vector<std::int16_t> keys;
        for (const KafkaCall& call : doors_.calls_) {
            keys.push_back(call.api_key);
        }
        return keys;
    }
    /// Answers an API with an encoded message, when this broker is asked or whoever is.
    template <typename Message>
    void answer(const Message& message, BrokerId broker = no_broker) {
        answers_[{Message::api_key, broker}] = [message](std::int16_t version) {
            return encoded(message, version);
        };
        doors_.answer_ = [this](const KafkaCall& call) -> Result<Buffer> {
            auto found = answers_.find({call.api_key, call.target});
            if (found == answers_.end()) {
                found = answers_.find({call.api_key, no_broker});
            }
            if (found == answers_.end()) {
                return Error::make(Code::unavailable, "broker {} is silent", call.target);
            }
            return found->second(call.api_version);
        };
    }
    /// The calls of one API, by the broker that was asked.
    template <typename Message>
    std::map<BrokerId, Message> asked() const {
        std::map<BrokerId, Message> requests;
        for (const KafkaCall& call : doors_.calls_) {
            if (call.api_key == Message::api_key) {
                requests[call.target] = decoded<Message>(call);
            }
        }
        return requests;
    }

    FakeDoors doors_;
    std::map<std::pair<std::int16_t, BrokerId>, std::function<Buffer(std::int16_t)>> answers_;
};

}  // namespace millrace::admin
