// millrace-load produce|fetch PORT TOPIC [key=value ...]: a load of identical requests, and one
// line of JSON about what it cost. Keys: partitions, bytes (of a request's records), records (in a
// batch), acks, connections, depth (requests in flight on each), rate (requests a second, due at
// fixed times; 0: as fast as answers come), warm and seconds, pids (of the brokers, comma
// separated).
#include <chrono>
#include <cstdlib>
#include <fmt/core.h>
#include <map>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <vector>

#include "protocol/headers.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "record/batch_builder.h"
#include "tests/load/load_connection.h"
#include "tests/load/load_report.h"

namespace millrace::load {
namespace {

// Versions with topic names and compact encodings, which every broker of today serves.
constexpr std::int16_t produce_version = 9;
constexpr std::int16_t fetch_version = 12;
constexpr std::int16_t not_leader = 6;

struct Options {
    bool produce = true;
    std::uint16_t port = 0;
    std::string topic;
    std::int32_t partitions = 1;
    std::int32_t bytes = 1024;
    std::int32_t records = 1;
    std::int32_t acks = -1;
    std::int32_t connections = 1;
    std::int32_t depth = 1;
    std::int32_t rate = 0;
    std::int32_t warm = 2;
    std::int32_t seconds = 5;
    std::int64_t offsets = 1;  ///< Fetches spread over so many batches from the start.
    std::vector<int> pids;
};

Options parse(int count, char** words) {
    if (count < 4) {
        fail("usage: millrace-load produce|fetch PORT TOPIC [key=value ...]");
    }
    Options options;
    options.produce = std::string_view(words[1]) == "produce";
    options.port = static_cast<std::uint16_t>(std::atoi(words[2]));
    options.topic = words[3];
    const std::map<std::string_view, std::int32_t*> numbers = {
        {"partitions", &options.partitions},
        {"bytes", &options.bytes},
        {"records", &options.records},
        {"acks", &options.acks},
        {"connections", &options.connections},
        {"depth", &options.depth},
        {"rate", &options.rate},
        {"warm", &options.warm},
        {"seconds", &options.seconds}};
    for (int i = 4; i < count; ++i) {
        const std::string_view word = words[i];
        const std::size_t equals = word.find('=');
        const std::string_view key = word.substr(0, equals);
        const std::string value(equals == std::string_view::npos ? "" : word.substr(equals + 1));
        if (const auto number = numbers.find(key); number != numbers.end()) {
            *number->second = std::atoi(value.c_str());
        } else if (key == "offsets") {
            options.offsets = std::atoll(value.c_str());
        } else if (key == "pids") {
            for (std::size_t at = 0; at < value.size(); at = value.find(',', at) + 1) {
                options.pids.push_back(std::atoi(value.c_str() + at));
                if (value.find(',', at) == std::string::npos) {
                    break;
                }
            }
        } else {
            fail(fmt::format("unknown key {}", key));
        }
    }
    return options;
}

template <typename Request>
Buffer frame_of(const Request& request, std::int16_t version) {
    Buffer frame(4);
    protocol::Writer out(frame);
    protocol::RequestHeader header;
    header.request_api_key = Request::api_key;
    header.request_api_version = version;
    header.client_id = "millrace-load";
    protocol::encode_request_header(out, header);
    request.encode(out, version);
    if (!out.ok()) {
        fail(out.error().message());
    }
    const auto length = static_cast<std::uint32_t>(frame.size() - 4);
    for (std::size_t i = 0; i < 4; ++i) {
        frame[i] = static_cast<std::byte>(length >> (24 - 8 * i));
    }
    return frame;
}

Buffer batch_of(const Options& options) {
    record::BatchBuilder builder({});
    // Not compressible at a glance, and the same in every run.
    std::string value;
    std::uint64_t state = 88172645463325252ULL;
    const auto size = static_cast<std::size_t>(std::max(1, options.bytes / options.records - 8));
    while (value.size() < size) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value.push_back(static_cast<char>(state));
    }
    // Of today, or retention takes the records away.
    const std::int64_t today = std::chrono::duration_cast<std::chrono::milliseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count();
    for (std::int32_t i = 0; i < options.records; ++i) {
        builder.append(
            {.timestamp = today, .key = std::nullopt, .value = as_bytes(value), .headers = {}});
    }
    return builder.finish();
}

std::vector<Buffer> produce_frames(const Options& options) {
    const Buffer batch = batch_of(options);
    std::vector<Buffer> frames;
    for (std::int32_t i = 0; i < options.partitions; ++i) {
        protocol::ProduceRequest request;
        request.acks = static_cast<std::int16_t>(options.acks);
        request.timeout_ms = 30'000;
        auto& topic = request.topic_data.emplace_back();
        topic.name = options.topic;
        auto& partition = topic.partition_data.emplace_back();
        partition.index = i;
        partition.records = protocol::Records{.bytes = batch};
        frames.push_back(frame_of(request, produce_version));
    }
    return frames;
}

std::vector<Buffer> fetch_frames(const Options& options) {
    std::vector<Buffer> frames;
    for (std::int64_t n = 0; n < options.offsets; ++n) {
        for (std::int32_t i = 0; i < options.partitions; ++i) {
            protocol::FetchRequest request;
            request.max_wait_ms = 500;
            request.min_bytes = 1;
            request.max_bytes = options.bytes;
            auto& topic = request.topics.emplace_back();
            topic.topic = options.topic;
            auto& partition = topic.partitions.emplace_back();
            partition.partition = i;
            partition.fetch_offset = n * options.records;
            partition.partition_max_bytes = options.bytes;
            frames.push_back(frame_of(request, fetch_version));
        }
    }
    return frames;
}

/// How many bytes of records the answer stands for; ends the process on an error code.
std::size_t check_produce(ByteView body, const Options& options, bool is_warm) {
    protocol::Reader in(body);
    std::vector<protocol::UnknownTag> header_tags;
    in.unknown_tags(header_tags);
    protocol::ProduceResponse response;
    response.decode(in, produce_version);
    if (!in.ok()) {
        fail(in.error().message());
    }
    const auto& partition = response.responses.at(0).partition_responses.at(0);
    if (partition.error_code == not_leader && !is_warm) {
        return 0;  // A new topic's leaders may still be on their way.
    }
    if (partition.error_code != 0) {
        fail(fmt::format("produce: error {}", partition.error_code));
    }
    return static_cast<std::size_t>(options.bytes);
}

std::size_t check_fetch(ByteView body) {
    protocol::Reader in(body);
    std::vector<protocol::UnknownTag> header_tags;
    in.unknown_tags(header_tags);
    protocol::FetchResponse response;
    response.decode(in, fetch_version);
    if (!in.ok()) {
        fail(in.error().message());
    }
    const auto& partition = response.responses.at(0).partitions.at(0);
    if (partition.error_code != 0 || !partition.records || partition.records->size() == 0) {
        fail(fmt::format("fetch: partition {}, error {}, high watermark {}, log start {}",
                         partition.partition_index, partition.error_code, partition.high_watermark,
                         partition.log_start_offset));
    }
    return partition.records->size();
}

class Run {
public:
    explicit Run(Options options)
        : options_(std::move(options)),
          frames_(options_.produce ? produce_frames(options_) : fetch_frames(options_)),
          poll_(::epoll_create1(0)) {
        for (std::int32_t i = 0; i < options_.connections; ++i) {
            connections_.emplace_back(options_.port);
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u32 = static_cast<std::uint32_t>(i);
            ::epoll_ctl(poll_, EPOLL_CTL_ADD, connections_.back().fd(), &event);
        }
    }

    std::string measure() {
        run_until(now() + Micros{options_.warm} * 1'000'000);
        is_warm_ = true;
        report_.start(options_.pids);
        run_until(now() + Micros{options_.seconds} * 1'000'000);
        return report_.finish(options_.pids);
    }

private:
    const Buffer& next_frame() { return frames_[sent_++ % frames_.size()]; }

    void fill() {
        if (options_.rate > 0) {
            const Micros step = 1'000'000 / options_.rate;
            due_ = due_ == 0 ? now() : due_;
            while (due_ <= now()) {
                connections_[sent_ % connections_.size()].send(next_frame(), due_);
                due_ += step;
            }
            return;
        }
        for (Connection& connection : connections_) {
            while (connection.in_flight() < static_cast<std::size_t>(options_.depth)) {
                connection.send(next_frame(), now());
            }
        }
    }

    void run_until(Micros end) {
        std::vector<epoll_event> events(connections_.size());
        while (now() < end) {
            fill();
            const int wait = options_.rate > 0 ? 0 : 100;
            const int count =
                ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), wait);
            for (int i = 0; i < count; ++i) {
                take(connections_[events[static_cast<std::size_t>(i)].data.u32]);
            }
            for (Connection& connection : connections_) {
                if (connection.wants_to_write()) {
                    connection.write_some();
                }
            }
        }
    }

    void take(Connection& connection) {
        connection.read_some();
        Connection::Answer answer;
        while (connection.next(answer)) {
            const std::size_t bytes = options_.produce
                                          ? check_produce(answer.body, options_, is_warm_)
                                          : check_fetch(answer.body);
            report_.add(now() - answer.began, bytes);
        }
    }

    Options options_;
    std::vector<Buffer> frames_;
    std::vector<Connection> connections_;
    Report report_;
    std::size_t sent_ = 0;
    Micros due_ = 0;
    bool is_warm_ = false;
    int poll_;
};

}  // namespace
}  // namespace millrace::load

int main(int count, char** words) {
    millrace::load::Run run(millrace::load::parse(count, words));
    fmt::print("{}\n", run.measure());
    return 0;
}
