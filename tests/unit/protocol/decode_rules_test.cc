// What a decoder owes whoever trusts it with a stranger's bytes, a rule at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <optional>
#include <string_view>
#include <vector>

#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/streams_group_metadata_value.h"
#include "protocol/reader.h"
#include "protocol/record_frame.h"
#include "protocol/writer.h"
#include "tests/support/allocation_counter.h"

namespace millrace::protocol {
namespace {

constexpr std::size_t longest_string = 32'767;

/// A string as it stands on the wire, with the size that it claims.
Buffer string_on_the_wire(std::size_t size) {
    Buffer bytes;
    Writer writer(bytes);
    writer.unsigned_varint(size + 1);
    writer.raw(Buffer(size, std::byte{'a'}));
    return bytes;
}

/// One tagged field: `value` behind its tag and its size.
template <typename Write>
void append_tag(Writer& to, std::uint32_t tag, Write value) {
    Buffer bytes;
    Writer writer(bytes);
    value(writer);
    to.unsigned_varint(tag);
    to.unsigned_varint(bytes.size());
    to.raw(bytes);
}

/// `message`, which has no tagged field set, with those that `append` writes in place of none.
template <typename Message, typename Append>
Buffer with_tags(const Message& message, std::int16_t version, std::size_t count, Append append) {
    Buffer bytes = encode_whole(message, version).value();
    bytes.pop_back();
    Writer writer(bytes);
    writer.unsigned_varint(count);
    append(writer);
    return bytes;
}

void append_unknown_tag(Writer& to) {
    to.unsigned_varint(1);
    append_tag(to, 9, [](Writer& value) { value.int8(7); });
}

void append_no_tags(Writer& to) {
    to.unsigned_varint(0);
}

TEST(DecodeRules, a_compact_string_is_no_longer_than_kafka_allows) {
    const Buffer longest = string_on_the_wire(longest_string);
    Reader allowed(longest);
    EXPECT_EQ(allowed.string(/*compact=*/true).size(), longest_string);
    EXPECT_TRUE(allowed.ok());

    const Buffer longer = string_on_the_wire(longest_string + 1);
    Reader required(longer);
    EXPECT_EQ(required.string(true), "");
    EXPECT_FALSE(required.ok());
    Reader nullable(longer);
    EXPECT_EQ(nullable.nullable_string(true), std::nullopt);
    EXPECT_FALSE(nullable.ok());
}

/// A hundred elements of `least` bytes each, a byte short: refused at the count, with no memory for
/// what was counted; with that byte they are taken.
template <typename Decode>
void expect_held_against_the_rest(std::size_t least, Decode decode) {
    Buffer bytes;
    Writer writer(bytes);
    writer.int32(100);
    writer.raw(Buffer(100 * least - 1));
    Reader reader(bytes);
    const std::size_t before = test::allocations().bytes;
    decode(reader);
    EXPECT_EQ(test::allocations().bytes, before);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().to_string(),
              "corrupt: byte 4: array longer than what is left of the input");

    bytes.push_back(std::byte{0});
    Reader enough(bytes);
    decode(enough);
    EXPECT_TRUE(enough.ok());
}

// The count itself is the fault, not the element at which the input ends.
TEST(DecodeRules, a_count_that_the_rest_cannot_hold_is_refused_at_the_count) {
    std::vector<std::int32_t> numbers;
    expect_held_against_the_rest(sizeof(std::int32_t),
                                 [&](Reader& reader) { reader.array(numbers, /*compact=*/false); });
    EXPECT_EQ(numbers.size(), 100U);
}

// A topic takes two bytes at least, in every version.
TEST(DecodeRules, a_count_of_structs_is_held_against_their_least_size) {
    MetadataRequest request;
    expect_held_against_the_rest(2, [&](Reader& reader) { request.decode(reader, 1); });
}

TEST(DecodeRules, a_known_tagged_field_is_as_long_as_its_value) {
    const auto request_with = [](std::size_t size_on_the_wire, std::string_view value) {
        return with_tags(FetchRequest{}, 18, 1, [&](Writer& to) {
            to.unsigned_varint(0);  // the cluster's id
            to.unsigned_varint(size_on_the_wire);
            to.string(value, /*compact=*/true);
            to.raw(Buffer(size_on_the_wire > value.size() + 1 ? 1 : 0));
        });
    };
    EXPECT_EQ(decode_whole<FetchRequest>(request_with(4, "abc"), 18).value().cluster_id, "abc");
    const auto longer = decode_whole<FetchRequest>(request_with(5, "abc"), 18);
    ASSERT_FALSE(longer);
    EXPECT_THAT(longer.error().to_string(),
                testing::HasSubstr("tagged field longer than its value"));
    EXPECT_FALSE(decode_whole<FetchRequest>(request_with(3, "abc"), 18));
}

TEST(DecodeRules, what_was_charged_is_gone_from_the_budget) {
    Reader reader(ByteView{}, 100);
    EXPECT_TRUE(reader.charge(60));
    EXPECT_EQ(reader.charged(), 60U);
    EXPECT_FALSE(reader.charge(41));
    EXPECT_EQ(reader.error().code(), Code::exhausted);
}

// Each of the arrays would have room; all of them have not.
TEST(DecodeRules, arrays_share_one_budget) {
    FetchRequest request;
    request.topics.resize(10);
    for (auto& topic : request.topics) {
        topic.partitions.resize(10);
    }
    const Buffer bytes = encode_whole(request, 18).value();
    FetchRequest again;
    Reader whole(bytes);
    again.decode(whole, 18);
    ASSERT_TRUE(whole.ok());
    const std::size_t needed =
        10 * sizeof(request.topics[0]) + std::size_t{100} * sizeof(request.topics[0].partitions[0]);
    EXPECT_EQ(whole.charged(), needed);

    Reader exact(bytes, needed);
    again.decode(exact, 18);
    EXPECT_TRUE(exact.ok());
    Reader short_of_one(bytes, needed - 1);
    again.decode(short_of_one, 18);
    ASSERT_FALSE(short_of_one.ok());
    EXPECT_EQ(short_of_one.error().code(), Code::exhausted);
}

// Whatever a struct held, it equals a new one after the same bytes.
TEST(DecodeRules, a_used_struct_is_as_good_as_a_new_one) {
    FetchRequest used;
    used.cluster_id = "cluster";
    used.replica_id = 3;
    used.replica_state.replica_id = 3;
    used.max_bytes = 7;
    used.rack_id = "rack";
    used.topics.resize(2);
    used.forgotten_topics_data.resize(1);
    used.unknown_tags.push_back({9, {}});
    for (const std::int16_t version : {FetchRequest::min_version, FetchRequest::max_version}) {
        FetchRequest again = used;
        const Buffer bytes = encode_whole(FetchRequest{}, version).value();
        Reader reader(bytes);
        again.decode(reader, version);
        ASSERT_TRUE(reader.ok());
        EXPECT_EQ(again, FetchRequest{});
    }
    // What is refused leaves nothing of it either.
    FetchRequest refused = used;
    Reader reader(ByteView{});
    refused.decode(reader, FetchRequest::max_version + 1);
    EXPECT_EQ(refused, FetchRequest{});
}

// The rest shows, for each kind of field that a schema may tag, that a tag which is there twice
// counts as it is there last.

TEST(DecodeRules, a_struct_twice_counts_as_it_is_there_last) {
    const auto state = [](std::int32_t id, auto tags) {
        return [id, tags](Writer& value) {
            value.int32(id);
            value.int64(id);
            tags(value);
        };
    };
    const Buffer bytes = with_tags(FetchRequest{}, 18, 2, [&](Writer& to) {
        append_tag(to, 1, state(3, &append_unknown_tag));
        append_tag(to, 1, state(4, &append_no_tags));
    });
    FetchRequest expected;
    expected.replica_state.replica_id = 4;
    expected.replica_state.replica_epoch = 4;
    EXPECT_EQ(decode_whole<FetchRequest>(bytes, 18).value(), expected);
}

TEST(DecodeRules, a_list_twice_counts_as_it_is_there_last) {
    const auto endpoints = [](std::int32_t id, auto tags) {
        return [id, tags](Writer& value) {
            value.array_size(1, /*compact=*/true);
            value.int32(id);
            value.string("host", true);
            value.int32(9092);
            value.nullable_string(std::nullopt, true);
            tags(value);
        };
    };
    const Buffer bytes = with_tags(FetchResponse{}, 18, 2, [&](Writer& to) {
        append_tag(to, 0, endpoints(3, &append_unknown_tag));
        append_tag(to, 0, endpoints(4, &append_no_tags));
    });
    FetchResponse expected;
    auto& endpoint = expected.node_endpoints.emplace_back();
    endpoint.node_id = 4;
    endpoint.host = "host";
    endpoint.port = 9092;
    EXPECT_EQ(decode_whole<FetchResponse>(bytes, 18).value(), expected);
}

// Inside a list's element, where the struct around it is not the message.
TEST(DecodeRules, a_nested_struct_twice_counts_as_it_is_there_last) {
    FetchResponse around;
    around.responses.resize(1);
    around.responses[0].partitions.resize(1);
    Buffer bytes = encode_whole(around, 18).value();
    bytes.resize(bytes.size() - 3);  // no tags of the partition, the topic and the response
    Writer writer(bytes);
    const auto leader = [](std::int32_t id, auto tags) {
        return [id, tags](Writer& value) {
            value.int32(id);
            value.int32(id);
            tags(value);
        };
    };
    writer.unsigned_varint(2);
    append_tag(writer, 1, leader(3, &append_unknown_tag));
    append_tag(writer, 1, leader(4, &append_no_tags));
    append_no_tags(writer);
    append_no_tags(writer);
    FetchResponse expected = around;
    expected.responses[0].partitions[0].current_leader.leader_id = 4;
    expected.responses[0].partitions[0].current_leader.leader_epoch = 4;
    EXPECT_EQ(decode_whole<FetchResponse>(bytes, 18).value(), expected);
}

TEST(DecodeRules, a_nullable_struct_twice_counts_as_it_is_there_last) {
    const auto classic = [](std::int32_t timeout, auto tags) {
        return [timeout, tags](Writer& value) {
            value.present(true, Presence::tagged);
            value.int32(timeout);
            value.array_size(0, /*compact=*/true);
            tags(value);
        };
    };
    const auto bytes = [&](auto last) {
        return with_tags(ConsumerGroupMemberMetadataValue{}, 0, 2, [&](Writer& to) {
            append_tag(to, 0, classic(3, &append_unknown_tag));
            append_tag(to, 0, last);
        });
    };
    ConsumerGroupMemberMetadataValue expected;
    expected.classic_member_metadata.reset();
    const auto null = [](Writer& value) { value.present(false, Presence::tagged); };
    EXPECT_EQ(decode_whole<ConsumerGroupMemberMetadataValue>(bytes(null), 0).value(), expected);
    expected.classic_member_metadata.emplace().session_timeout_ms = 4;
    EXPECT_EQ(decode_whole<ConsumerGroupMemberMetadataValue>(bytes(classic(4, &append_no_tags)), 0)
                  .value(),
              expected);
}

TEST(DecodeRules, a_nullable_list_twice_counts_as_it_is_there_last) {
    const auto configs = [](std::string_view value_of, auto tags) {
        return [value_of, tags](Writer& value) {
            value.array_size(1, /*compact=*/true);
            value.string("key", true);
            value.string(value_of, true);
            tags(value);
        };
    };
    const auto bytes = [&](auto last) {
        return with_tags(StreamsGroupMetadataValue{}, 0, 2, [&](Writer& to) {
            append_tag(to, 1, configs("first", &append_unknown_tag));
            append_tag(to, 1, last);
        });
    };
    StreamsGroupMetadataValue expected;
    expected.last_assignment_configs.reset();
    const auto null = [](Writer& value) { value.array_size(-1, true); };
    EXPECT_EQ(decode_whole<StreamsGroupMetadataValue>(bytes(null), 0).value(), expected);
    auto& config = expected.last_assignment_configs.emplace().emplace_back();
    config.key = "key";
    config.value = "last";
    EXPECT_EQ(
        decode_whole<StreamsGroupMetadataValue>(bytes(configs("last", &append_no_tags)), 0).value(),
        expected);
}

}  // namespace
}  // namespace millrace::protocol
