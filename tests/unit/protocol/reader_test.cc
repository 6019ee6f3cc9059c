#include "protocol/reader.h"

#include <gtest/gtest.h>

#include "base/varint.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/response_header.h"
#include "protocol/writer.h"
#include "tests/support/allocation_counter.h"
#include "tests/unit/protocol/bytes_of.h"

namespace millrace::protocol {
namespace {

void append_varint(Buffer& to, std::uint64_t value) {
    std::byte scratch[max_varint64_size];
    to.insert(to.end(), scratch, scratch + write_unsigned_varint(scratch, value));
}

std::size_t allocated_by_decoding(MetadataRequest& request, Reader& reader, std::int16_t version) {
    const std::size_t before = test::allocations().bytes;
    request.decode(reader, version);
    return test::allocations().bytes - before;
}

// The first fault stays, with its place; what is read after it is empty.
TEST(Reader, keeps_the_first_fault) {
    const Buffer bytes = bytes_of({0, 0, 0, 1, 7});
    Reader reader(bytes);
    EXPECT_EQ(reader.int32(), 1);
    EXPECT_EQ(reader.int64(), 0);
    EXPECT_EQ(reader.int8(), 0);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().to_string(), "corrupt: byte 4: cut short");
}

// A billion topics announced in a few bytes: refused before anything is allocated.
TEST(Reader, refuses_a_huge_count_in_a_small_input) {
    const Buffer bytes = bytes_of({0x3b, 0x9a, 0xca, 0x00, 0, 0});
    MetadataRequest request;
    Reader reader(bytes);
    EXPECT_LE(allocated_by_decoding(request, reader, 1), 1024U);
    EXPECT_FALSE(reader.ok());
}

// More than a million elements are refused even where the input is large enough to hold them.
TEST(Reader, refuses_more_than_a_million_elements) {
    Buffer bytes = bytes_of({0, 0x0f, 0x42, 0x41});  // 1,000,001
    bytes.resize(bytes.size() + 4'000'000);
    MetadataRequest request;
    Reader reader(bytes);
    EXPECT_LE(allocated_by_decoding(request, reader, 1), 1024U);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code(), Code::exhausted);
}

// Elements that need far more memory than bytes run into the budget, not into the machine's limits.
TEST(Reader, refuses_what_would_exceed_the_budget) {
    Buffer bytes = bytes_of({0, 0, 0x27, 0x10});  // 10,000 empty names
    bytes.resize(bytes.size() + 20'000);
    MetadataRequest request;
    Reader reader(bytes, 1000);
    EXPECT_LE(allocated_by_decoding(request, reader, 1), 2048U);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code(), Code::exhausted);
}

// Twenty million tagged fields in a request of every connection's first kind.
TEST(Reader, refuses_more_than_ten_thousand_tagged_fields) {
    Buffer bytes = bytes_of({1, 1});
    append_varint(bytes, 20'000'000);
    bytes.resize(bytes.size() + 40'000'000);
    ApiVersionsRequest request;
    Reader reader(bytes);
    const std::size_t before = test::allocations().bytes;
    request.decode(reader, 3);
    EXPECT_LE(test::allocations().bytes - before, 1024U);
    ASSERT_FALSE(reader.ok());
    EXPECT_EQ(reader.error().code(), Code::exhausted);
}

// Unknown tags in any order are understood, and leave us in order.
TEST(Reader, sorts_unknown_tags) {
    const Buffer bytes = bytes_of({0, 0, 0, 5, 2, 9, 1, 'x', 4, 0});
    ResponseHeader header;
    Reader reader(bytes);
    header.decode(reader, 1);
    ASSERT_TRUE(reader.ok()) << reader.error().to_string();
    Buffer again;
    Writer writer(again);
    header.encode(writer, 1);
    EXPECT_EQ(again, bytes_of({0, 0, 0, 5, 2, 4, 0, 9, 1, 'x'}));
}

// One tag twice has no meaning.
TEST(Reader, refuses_a_tag_twice) {
    const Buffer bytes = bytes_of({0, 0, 0, 5, 2, 9, 0, 9, 0});
    ResponseHeader header;
    Reader reader(bytes);
    header.decode(reader, 1);
    EXPECT_FALSE(reader.ok());
}

// A tagged field may not reach into what follows it.
TEST(Reader, holds_a_tagged_field_to_its_size) {
    const Buffer bytes = bytes_of({0, 0, 0, 5, 1, 9, 3, 'x'});
    ResponseHeader header;
    Reader reader(bytes);
    header.decode(reader, 1);
    EXPECT_FALSE(reader.ok());
}

TEST(Reader, refuses_a_varint_of_more_than_32_bits) {
    for (const auto& bytes : {bytes_of({0xff, 0xff, 0xff, 0xff, 0x1f}),
                              bytes_of({0x80, 0x80, 0x80, 0x80, 0x80, 0x00})}) {
        Reader reader(bytes);
        reader.unsigned_varint();
        EXPECT_FALSE(reader.ok());
    }
}

// A version that the schema doesn't know is no reason to guess.
TEST(Reader, refuses_a_version_that_a_message_lacks) {
    const Buffer bytes(100);
    for (const int version : {-1, MetadataRequest::max_version + 1}) {
        MetadataRequest request;
        Reader reader(bytes);
        request.decode(reader, static_cast<std::int16_t>(version));
        ASSERT_FALSE(reader.ok());
        EXPECT_EQ(reader.error().code(), Code::unsupported);
    }
}

}  // namespace
}  // namespace millrace::protocol
