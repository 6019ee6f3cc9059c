// The hot messages cost an allocation per array, never one per field.
#include <gtest/gtest.h>

#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "tests/support/allocation_counter.h"

namespace millrace::protocol {
namespace {

constexpr std::size_t partitions = 100;

struct Cost {
    std::size_t decode = 0;
    std::size_t encode = 0;
};

/// Of the newest version, into a buffer that has room.
template <typename Message>
Cost cost_of(const Message& message) {
    Buffer bytes;
    bytes.reserve(256 * 1024);
    Cost cost;
    std::size_t before = test::allocations().count;
    Writer writer(bytes);
    message.encode(writer, Message::max_version);
    cost.encode = test::allocations().count - before;
    EXPECT_TRUE(writer.ok());

    Message again;
    before = test::allocations().count;
    Reader reader(bytes);
    again.decode(reader, Message::max_version);
    cost.decode = test::allocations().count - before;
    EXPECT_EQ(again, message);
    return cost;
}

TEST(Allocation, a_fetch_request_costs_one_per_array) {
    FetchRequest request;
    request.topics.resize(1);
    request.topics[0].partitions.resize(partitions);
    const Cost cost = cost_of(request);
    EXPECT_EQ(cost.encode, 0U);
    EXPECT_EQ(cost.decode, 2U);
}

TEST(Allocation, a_produce_request_costs_one_per_array) {
    const Buffer batch(1024);
    ProduceRequest request;
    request.topic_data.resize(1);
    request.topic_data[0].partition_data.resize(partitions);
    for (auto& partition : request.topic_data[0].partition_data) {
        partition.records = Records{.bytes = batch};
    }
    const Cost cost = cost_of(request);
    EXPECT_EQ(cost.encode, 0U);
    EXPECT_EQ(cost.decode, 2U);
}

TEST(Allocation, a_produce_response_costs_one_per_array) {
    ProduceResponse response;
    response.responses.resize(1);
    response.responses[0].partition_responses.resize(partitions);
    const Cost cost = cost_of(response);
    EXPECT_EQ(cost.encode, 0U);
    EXPECT_EQ(cost.decode, 2U);
}

// Records in files cost the growth of the list of splices, and their bytes nothing.
TEST(Allocation, a_fetch_response_from_files_costs_its_splices) {
    FetchResponse response;
    response.responses.resize(1);
    response.responses[0].partitions.resize(partitions);
    for (std::uint32_t i = 0; auto& partition : response.responses[0].partitions) {
        partition.records = Records::in_file(i++, 1'000'000);
    }
    Buffer bytes;
    bytes.reserve(64 * 1024);
    const std::size_t before = test::allocations().count;
    Writer writer(bytes);
    response.encode(writer, FetchResponse::max_version);
    EXPECT_LE(test::allocations().count - before, 8U);  // 1, 2, 4 ... 128
    EXPECT_EQ(writer.splices().size(), partitions);
    EXPECT_LE(bytes.size(), 64 * partitions);
}

}  // namespace
}  // namespace millrace::protocol
