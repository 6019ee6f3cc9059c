// From a frame to its handler: what is let through and what ends the connection.
#include <gtest/gtest.h>

#include "handlers/dispatch.h"
#include "handlers/request_meter.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"

namespace millrace::handlers {
namespace {

using MetadataCall = Call<protocol::MetadataRequest, protocol::MetadataResponse>;
std::size_t topics_asked = 0;
bool was_called = false;

void note(const Doors&, MetadataCall call) {
    was_called = true;
    topics_asked = call.request().topics ? call.request().topics->size() : 0;
}

Buffer request_for_one_topic() {
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->push_back({.name = "orders"});
    Buffer bytes;
    protocol::Writer writer(bytes);
    request.encode(writer, 13);
    EXPECT_TRUE(writer.ok());
    return bytes;
}

void handle(Buffer& bytes) {
    was_called = false;
    topics_asked = 0;
    const Logger log;
    Doors doors;
    doors.log = &log;
    RequestMeter meter;
    RequestMeta meta;
    meta.meter = &meter;
    meta.api_key = protocol::MetadataRequest::api_key;
    meta.version = 13;
    internal::decode_and_handle<protocol::MetadataRequest, protocol::MetadataResponse, note>(
        doors, std::move(meta), net::Frame(MutableBytes(bytes)), 0, net::Reply{});
}

// librdkafka asks for all topics with two bytes more than the message has; Kafka never looks there.
TEST(Decode, leaves_bytes_after_the_last_field_alone) {
    Buffer bytes = request_for_one_topic();
    bytes.insert(bytes.end(), 2, std::byte{0});
    handle(bytes);
    EXPECT_TRUE(was_called);
    EXPECT_EQ(topics_asked, 1U);
}

TEST(Decode, does_not_call_a_handler_with_half_a_request) {
    Buffer bytes = request_for_one_topic();
    bytes.resize(bytes.size() - 3);
    handle(bytes);
    EXPECT_FALSE(was_called);
}

// Memory is no object here: it is the loop that others wait for.
TEST(Decode, reads_no_more_than_one_turn_of_a_loop_should_take) {
    constexpr std::size_t names = 2'000'000;
    protocol::MetadataRequest request;
    request.topics.emplace();
    request.topics->resize(names / 10);
    const auto encode = [&] {
        Buffer bytes;
        protocol::Writer writer(bytes);
        request.encode(writer, 13);
        EXPECT_TRUE(writer.ok());
        return bytes;
    };
    Buffer many = encode();
    handle(many);
    EXPECT_EQ(topics_asked, names / 10);

    request.topics->resize(names);
    Buffer too_many = encode();
    handle(too_many);
    EXPECT_FALSE(was_called);
}

}  // namespace
}  // namespace millrace::handlers
