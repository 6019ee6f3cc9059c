// Decoding and encoding of what a busy broker sees most: Fetch and Produce of 100 partitions.
#include <benchmark/benchmark.h>

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
const Buffer batch(1024);

template <typename Topic, typename Partition>
std::vector<Topic> one_topic(std::vector<Partition> Topic::* member) {
    std::vector<Topic> topics(1);
    (topics[0].*member).resize(partitions);
    return topics;
}

FetchRequest fetch_request() {
    FetchRequest request;
    request.topics = one_topic(&FetchRequest::FetchTopic::partitions);
    return request;
}

FetchResponse fetch_response() {
    FetchResponse response;
    using Topic = FetchResponse::FetchableTopicResponse;
    response.responses = one_topic(&Topic::partitions);
    for (std::uint32_t i = 0; auto& partition : response.responses[0].partitions) {
        partition.records = Records::in_file(i++, 16 * 1024);
    }
    return response;
}

ProduceRequest produce_request() {
    ProduceRequest request;
    request.topic_data = one_topic(&ProduceRequest::TopicProduceData::partition_data);
    for (auto& partition : request.topic_data[0].partition_data) {
        partition.records = Records{.bytes = batch};
    }
    return request;
}

ProduceResponse produce_response() {
    ProduceResponse response;
    response.responses = one_topic(&ProduceResponse::TopicProduceResponse::partition_responses);
    return response;
}

void count_allocations(benchmark::State& state, const test::Allocations& before) {
    const auto used = test::allocations().count - before.count;
    state.counters["allocations"] =
        static_cast<double>(used) / static_cast<double>(state.iterations());
}

template <typename Message>
void decode(benchmark::State& state, Message (*make)()) {
    Buffer bytes;
    Writer writer(bytes);
    make().encode(writer, Message::max_version);
    const auto before = test::allocations();
    for (auto _ : state) {
        Message message;
        Reader reader(bytes);
        message.decode(reader, Message::max_version);
        if (!reader.ok()) {
            state.SkipWithError("refused");
        }
        benchmark::DoNotOptimize(message);
    }
    count_allocations(state, before);
}

template <typename Message>
void encode(benchmark::State& state, Message (*make)()) {
    const Message message = make();
    Buffer bytes;
    const auto before = test::allocations();
    for (auto _ : state) {
        bytes.clear();
        Writer writer(bytes);
        message.encode(writer, Message::max_version);
        if (!writer.ok()) {
            state.SkipWithError("refused");
        }
        benchmark::DoNotOptimize(bytes.data());
    }
    count_allocations(state, before);
}

BENCHMARK_CAPTURE(decode, fetch_request, fetch_request);
BENCHMARK_CAPTURE(encode, fetch_request, fetch_request);
BENCHMARK_CAPTURE(encode, fetch_response_from_files, fetch_response);
BENCHMARK_CAPTURE(decode, produce_request_of_100_kib, produce_request);
BENCHMARK_CAPTURE(encode, produce_request_of_100_kib, produce_request);
BENCHMARK_CAPTURE(decode, produce_response, produce_response);
BENCHMARK_CAPTURE(encode, produce_response, produce_response);

}  // namespace
}  // namespace millrace::protocol
