#include "protocol/writer.h"

#include <gtest/gtest.h>

#include "protocol/messages/add_offsets_to_txn_request.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "protocol/messages/response_header.h"
#include "protocol/reader.h"

namespace millrace::protocol {
namespace {

// A frame is built in one buffer: length, header, body, each behind the other, exact at every step.
TEST(Writer, appends_behind_what_the_buffer_holds) {
    Buffer bytes = {std::byte{0xaa}};
    Writer writer(bytes);
    const std::size_t length = writer.reserve_int32();
    ResponseHeader header;
    header.correlation_id = 9;
    header.encode(writer, 0);
    EXPECT_EQ(bytes.size(), 9U);
    writer.int8(1);
    EXPECT_EQ(bytes.size(), 10U);
    writer.patch_int32(length, static_cast<std::int32_t>(writer.size() - 4));

    EXPECT_EQ(bytes.front(), std::byte{0xaa});
    Reader reader(ByteView(bytes).subspan(1));
    EXPECT_EQ(reader.int32(), 5);
    EXPECT_EQ(reader.int32(), 9);
    EXPECT_EQ(reader.int8(), 1);
    EXPECT_EQ(reader.remaining(), 0U);
}

// A tagged field whose value outgrows one byte of length still lies where it belongs.
TEST(Writer, makes_room_for_the_size_of_a_long_tagged_field) {
    const std::string cluster(300, 'c');
    FetchRequest request;
    request.cluster_id = cluster;
    request.replica_state.replica_id = 4;
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, FetchRequest::max_version);
    ASSERT_TRUE(writer.ok());
    FetchRequest again;
    Reader reader(bytes);
    again.decode(reader, FetchRequest::max_version);
    ASSERT_TRUE(reader.ok()) << reader.error().to_string();
    EXPECT_EQ(again, request);
}

// However long what is left: it costs no memory and no time worth a word any more.
TEST(Writer, stops_soon_after_what_it_may_take) {
    OffsetFetchResponse response;
    response.groups.resize(1'000);
    for (auto& group : response.groups) {
        group.topics.resize(1);
        group.topics.front().partitions.resize(1'000);
    }
    constexpr std::size_t most = 10'000;
    Buffer bytes;
    Writer writer(bytes, most);
    response.encode(writer, OffsetFetchResponse::max_version);
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().code(), Code::exhausted);
    EXPECT_LT(bytes.capacity(), 3 * most);

    response.groups.resize(1);
    response.groups.front().topics.front().partitions.resize(10);
    Buffer few;
    Writer within(few, most);
    response.encode(within, OffsetFetchResponse::max_version);
    EXPECT_TRUE(within.ok());
}

// Null where the version has no null: the sender's mistake, and not an empty list in disguise.
TEST(Writer, refuses_null_where_the_version_requires_a_value) {
    MetadataRequest request;
    request.topics.reset();
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, 0);
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().code(), Code::invalid);
}

TEST(Writer, refuses_a_string_that_no_length_can_say) {
    const std::string group(40'000, 'g');
    AddOffsetsToTxnRequest request;
    request.group_id = group;
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, AddOffsetsToTxnRequest::max_version);
    EXPECT_FALSE(writer.ok());
}

// An unknown tag with the number of a known field would be read as that field.
TEST(Writer, refuses_an_unknown_tag_that_the_schema_defines) {
    const Buffer value(1);
    FetchRequest request;
    request.cluster_id = "c";
    request.unknown_tags.push_back({0, value});
    Buffer bytes;
    Writer writer(bytes);
    request.encode(writer, FetchRequest::max_version);
    EXPECT_FALSE(writer.ok());
}

TEST(Writer, refuses_a_version_that_a_message_lacks) {
    Buffer bytes;
    Writer writer(bytes);
    FetchRequest{}.encode(writer, FetchRequest::min_version - 1);
    ASSERT_FALSE(writer.ok());
    EXPECT_EQ(writer.error().code(), Code::unsupported);
    EXPECT_TRUE(bytes.empty());
}

}  // namespace
}  // namespace millrace::protocol
