#include "protocol/record_frame.h"

#include <gtest/gtest.h>

#include "protocol/messages/consumer_protocol_assignment.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/topic_record.h"
#include "tests/unit/protocol/bytes_of.h"

namespace millrace::protocol {
namespace {

// Frame version, type and version stand in front of a metadata record's body, one byte each.
TEST(RecordFrame, writes_a_metadata_record_as_kafka_does) {
    TopicRecord record;
    record.name = "a";
    record.topic_id = Uuid{0, 7};
    Buffer bytes;
    Writer writer(bytes);
    write_metadata_record(writer, record, 0);
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(bytes,
              bytes_of({1, 2, 0, 2, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0}));

    Reader reader(bytes);
    EXPECT_EQ(read_metadata_frame(reader), (RecordFrame{TopicRecord::api_key, 0}));
    TopicRecord again;
    again.decode(reader, 0);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(again, record);
}

// A frame version that does not exist yet may mean anything: refused.
TEST(RecordFrame, refuses_an_unknown_frame_version) {
    const Buffer bytes = bytes_of({2, 2, 0});
    Reader reader(bytes);
    read_metadata_frame(reader);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code(), Code::unsupported);
}

// A coordinator's key begins with its type, so a reader knows what follows.
TEST(RecordFrame, writes_a_coordinator_key_behind_its_type) {
    OffsetCommitKey key;
    key.group = "g";
    key.topic = "t";
    key.partition = 3;
    Buffer bytes;
    Writer writer(bytes);
    write_coordinator_key(writer, key);
    ASSERT_TRUE(writer.ok());
    EXPECT_EQ(bytes, bytes_of({0, 1, 0, 1, 'g', 0, 1, 't', 0, 0, 0, 3}));

    Reader reader(bytes);
    EXPECT_EQ(read_coordinator_type(reader), OffsetCommitKey::api_key);
    OffsetCommitKey again;
    read_coordinator_key(reader, again);
    EXPECT_EQ(again, key);
}

// Bytes behind a message are not silently dropped.
TEST(RecordFrame, decode_whole_refuses_what_trails) {
    Buffer bytes;
    Writer writer(bytes);
    write_versioned(writer, ConsumerProtocolAssignment{}, 0);
    ASSERT_TRUE(decode_versioned<ConsumerProtocolAssignment>(bytes));
    bytes.push_back(std::byte{0});
    const auto decoded = decode_versioned<ConsumerProtocolAssignment>(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code(), Code::corrupt);
}

TEST(RecordFrame, encode_whole_is_decode_whole_the_other_way_round) {
    ConsumerProtocolAssignment assignment;
    assignment.assigned_partitions.push_back({.topic = "orders", .partitions = {1, 2}});
    const auto bytes = encode_whole(assignment, 1);
    ASSERT_TRUE(bytes);
    const auto again = decode_whole<ConsumerProtocolAssignment>(*bytes, 1);
    ASSERT_TRUE(again);
    EXPECT_EQ(*again, assignment);
}

TEST(RecordFrame, names_metadata_records) {
    EXPECT_EQ(metadata_record_name(TopicRecord::api_key), "TopicRecord");
    EXPECT_EQ(metadata_record_name(999), "");
}

}  // namespace
}  // namespace millrace::protocol
