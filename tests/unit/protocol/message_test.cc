#include <gtest/gtest.h>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/sasl_authenticate_request.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {
namespace {

FetchRequest fetch_of_two_partitions() {
    FetchRequest request;
    request.max_wait_ms = 500;
    request.rack_id = "rack-a";
    request.topics.resize(1);
    request.topics[0].topic_id = Uuid{1, 2};
    request.topics[0].partitions.resize(2);
    request.topics[0].partitions[1].fetch_offset = 42;
    return request;
}

// What is decoded equals what was encoded, for the newest version.
TEST(Message, comes_back_as_it_was_encoded) {
    const FetchRequest request = fetch_of_two_partitions();
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, FetchRequest::max_version);
    ASSERT_TRUE(writer.ok());

    FetchRequest again;
    Reader reader(bytes);
    again.decode(reader, FetchRequest::max_version);
    ASSERT_TRUE(reader.ok()) << reader.error().to_string();
    EXPECT_EQ(reader.remaining(), 0U);
    EXPECT_EQ(again, request);
}

// A field that is set, matters and has no place in the version is an error, not a silent loss.
TEST(Message, refuses_a_field_that_the_version_cannot_carry) {
    MetadataRequest request;
    request.allow_auto_topic_creation = false;
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, 3);
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().code(), Code::unsupported);
}

// Records in a file are counted by every length and left out of the buffer.
TEST(Message, counts_records_that_lie_in_a_file) {
    FetchResponse response;
    response.responses.resize(1);
    response.responses[0].partitions.resize(1);
    response.responses[0].partitions[0].records = Records::in_file(7, 1000);
    Buffer bytes;
    Writer writer(bytes);
    response.encode(writer, FetchResponse::max_version);
    ASSERT_TRUE(writer.ok());
    ASSERT_EQ(writer.splices().size(), 1U);
    EXPECT_EQ(writer.splices()[0].external, 7U);
    EXPECT_EQ(writer.splices()[0].length, 1000U);
    EXPECT_EQ(writer.size(), bytes.size() + 1000);

    Buffer whole = bytes;
    whole.insert(whole.begin() + static_cast<std::ptrdiff_t>(writer.splices()[0].position), 1000,
                 std::byte{9});
    FetchResponse again;
    Reader reader(whole);
    again.decode(reader, FetchResponse::max_version);
    ASSERT_TRUE(reader.ok()) << reader.error().to_string();
    EXPECT_EQ(again.responses[0].partitions[0].records->size(), 1000U);
}

// Passwords never reach a log.
TEST(Message, debug_string_hides_sensitive_fields) {
    SaslAuthenticateRequest request;
    request.auth_bytes = as_bytes("alice-secret");
    EXPECT_EQ(request.debug_string(), R"({"auth_bytes":"[hidden]"})");
}

}  // namespace
}  // namespace millrace::protocol
