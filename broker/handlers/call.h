// handlers/call.h
//
// One request on its way through a handler: who asked what, and the answer's way back. Movable, and
// safe to take to another loop and back (the reply finds its connection); the session is only for
// the connection's own loop, inside the handler's first call.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "model/ids.h"
#include "model/kafka_error.h"
#include "net/server.h"
#include "protocol/reader.h"
#include "protocol/writer.h"
#include "quotas/client_quotas.h"

namespace millrace::handlers {

struct Doors;
class RequestMeter;

struct RequestMeta {
    std::int16_t api_key = 0;
    std::int16_t version = 0;  ///< In which the request was decoded and the answer is written.
    std::int32_t correlation_id = 0;
    bool flexible_response_header = false;
    std::string client_id;
    std::string client_host;  ///< "/127.0.0.1", as Kafka shows an address.
    std::string listener;
    std::uint16_t listener_port = 0;
    std::uint64_t connection = 0;
    std::size_t shard = 0;  ///< Index of `home` among the loops that serve connections.
    Instant received;
    RequestMeter* meter = nullptr;  ///< Only on the connection's loop.
    Principal principal;
    quotas::ClientPtr quota;            ///< Null: nothing bounds the client.
    runtime::Executor* home = nullptr;  ///< The connection's loop.
};

/// Starts a response frame: correlation id and, if flexible, empty header tags.
Buffer begin_response(const RequestMeta& meta);
/// The answer's own error code, else the first that it has for a part; 0 without one.
template <typename Part>
std::int16_t first_error(const Part& part);
/// Says what the answer is an answer to, for those who count.
net::Response about(const RequestMeta& meta, net::Response response);
/// How long a client with a quota waits that has had more than request_percentage of a loop's time.
Duration wait_for_time(const RequestMeta& meta);
std::int32_t milliseconds_of(Duration wait);
void log_unwritable(const Doors& doors, const RequestMeta& meta, const Error& error);

/// What a call is but for its messages: compiled once, and not once an API.
struct CallState {
    CallState(const Doors& doors_in, RequestMeta&& meta_in, net::Frame&& frame_in,
              net::Reply&& reply_in);
    ~CallState();
    CallState(const CallState&) = delete;
    CallState& operator=(const CallState&) = delete;

    bool hold(std::size_t bytes);
    void add_wait_for_time();
    std::size_t room_to_answer() const;
    /// What has no throttle_time_ms to fill in.
    void send(net::Response response);
    /// What `writer` made of `bytes`, which begin_response() began; `error` is counted.
    void send_written(const protocol::Writer& writer, Buffer&& bytes, std::int16_t error,
                      std::vector<net::FileRange>&& files);
    void deliver(net::Response&& response);

    const Doors* doors;
    RequestMeta meta;
    net::Frame frame;
    net::Reply reply;
    Duration wait{};
};

template <typename RequestType, typename ResponseType>
class Call {
public:
    using Request = RequestType;
    using Response = ResponseType;

    Call(const Doors& doors, RequestMeta&& meta, net::Frame&& frame, net::Reply&& reply)
        : state_(std::make_unique<State>(doors, std::move(meta), std::move(frame),
                                         std::move(reply))) {}

    const Request& request() const { return state_->request; }
    Request& mutable_request() { return state_->request; }
    const RequestMeta& meta() const { return state_->meta; }
    std::int16_t version() const { return state_->meta.version; }
    runtime::Executor& home() const { return *state_->meta.home; }
    CallState& state() { return *state_; }
    net::Frame& frame() { return state_->frame; }
    /// False: its connection has gone, and nobody waits any more. On the connection's loop.
    bool is_wanted() const { return state_->reply.is_wanted(); }
    /// What the handler makes of the request takes so many bytes, until it is answered. False, and
    /// logged: memory is too short; dropping the call ends the connection.
    bool hold(std::size_t bytes) { return state_->hold(bytes); }
    /// What must be answered, however short memory is.
    void hold_anyway(std::size_t bytes) { state_->frame.hold(static_cast<std::int64_t>(bytes)); }
    /// It comes from a broker: no quota of clients slows it down or counts it. Before the handler's
    /// first call returns.
    void exempt_from_quotas() {
        state_->meta.quota.reset();
        state_->meta.meter->exempt();
    }
    /// The answer tells the client to wait, and its connection is muted for as long.
    void throttle(Duration wait) { state_->wait = std::max(state_->wait, wait); }

    void answer(const Response& response, std::vector<net::FileRange> files = {}) {
        state_->add_wait_for_time();
        if (state_->wait > Duration{}) {
            if constexpr (requires { response.throttle_time_ms; }) {
                Response throttled = response;
                throttled.throttle_time_ms = milliseconds_of(state_->wait);
                encode_and_send(throttled, std::move(files));
                return;
            }
        }
        encode_and_send(response, std::move(files));
    }
    void answer_nothing() { state_->send(net::Response{.none = true}); }
    /// The peer asked for no answer but must learn of a failure: Kafka closes the connection.
    void close() { state_->send(net::Response{.none = true, .close_after = true}); }
    /// For a handler that writes its answer bit by bit, behind begin_response() and within
    /// room_to_answer(): what goes into throttle_time_ms, and the end.
    std::int32_t throttle_time_ms() {
        state_->add_wait_for_time();
        return milliseconds_of(state_->wait);
    }
    std::size_t room_to_answer() const { return state_->room_to_answer(); }
    void answer_written(const protocol::Writer& writer, Buffer&& bytes, std::int16_t error) {
        state_->send_written(writer, std::move(bytes), error, {});
    }
    /// An answer that is already encoded (forwarded from the controller), in this call's version.
    void answer_encoded(ByteView body) {
        Buffer bytes = begin_response(state_->meta);
        bytes.insert(bytes.end(), body.begin(), body.end());
        state_->send(net::Response{.bytes = std::move(bytes)});
    }

private:
    void encode_and_send(const Response& response, std::vector<net::FileRange>&& files) {
        Buffer bytes = begin_response(state_->meta);
        protocol::Writer writer(bytes, state_->room_to_answer());
        response.encode(writer, state_->meta.version);
        state_->send_written(writer, std::move(bytes), first_error(response), std::move(files));
    }

    struct State : CallState {
        using CallState::CallState;
        Request request;
    };
    std::unique_ptr<State> state_;
};

namespace internal {

template <typename Parts>
std::int16_t first_error_of(const Parts& parts) {
    for (const auto& part : parts) {
        if (const std::int16_t code = first_error(part); code != 0) {
            return code;
        }
    }
    return 0;
}

}  // namespace internal

template <typename Part>
std::int16_t first_error(const Part& part) {
    std::int16_t code = 0;
    if constexpr (requires { part.error_code; }) {
        code = part.error_code;
    }
// Where Kafka's messages keep the parts that have a code of their own.
#define MR_LOOK_INTO(parts)                              \
    if constexpr (requires { part.parts.begin(); }) {    \
        if (code == 0) {                                 \
            code = internal::first_error_of(part.parts); \
        }                                                \
    }
    MR_LOOK_INTO(responses)
    MR_LOOK_INTO(partition_responses)
    MR_LOOK_INTO(topics)
    MR_LOOK_INTO(partitions)
    MR_LOOK_INTO(results)
    MR_LOOK_INTO(groups)
    MR_LOOK_INTO(coordinators)
#undef MR_LOOK_INTO
    return code;
}

}  // namespace millrace::handlers
