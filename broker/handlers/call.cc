#include "handlers/call.h"

#include "handlers/doors.h"
#include "handlers/gather.h"
#include "handlers/request_meter.h"

namespace millrace::handlers {
namespace {

/// Turns what a Writer produced into a response for net.
net::Response finish_response(Buffer bytes, const std::vector<protocol::Splice>& splices,
                              std::vector<net::FileRange> files) {
    net::Response response;
    response.bytes = std::move(bytes);
    response.splices.reserve(splices.size());
    for (const protocol::Splice& splice : splices) {
        response.splices.push_back({splice.position, std::move(files.at(splice.external))});
    }
    return response;
}

/// Counts an answer that tells an error. From any loop; costs nothing unless there is one.
void count_error(const RequestMeta& meta, std::int16_t code) {
    if (code == 0 || meta.meter == nullptr) {
        return;
    }
    run_on(*meta.home, [meter = meta.meter, api_key = meta.api_key, code] {
        meter->failed(api_key, static_cast<KafkaError>(code));
    });
}

void log_too_large(const Doors& doors, const RequestMeta& meta, std::size_t bytes) {
    MR_LOG(*doors.log, warn, "handlers.request_too_large", field("api_key", meta.api_key),
           field("version", meta.version), field("client", meta.client_id),
           field("peer", meta.client_host), field("would_hold_bytes", bytes),
           field("reason", "memory is short"));
}

void log_answer_too_large(const Doors& doors, const RequestMeta& meta, std::size_t room) {
    MR_LOG(*doors.log, warn, "handlers.answer_too_large", field("api_key", meta.api_key),
           field("version", meta.version), field("client", meta.client_id),
           field("peer", meta.client_host), field("room_bytes", room),
           field("reason", "memory is short: ask for less at once"));
}

}  // namespace

Buffer begin_response(const RequestMeta& meta) {
    Buffer bytes(meta.flexible_response_header ? 5 : 4);
    store_big_endian(bytes.data(), meta.correlation_id);
    return bytes;
}

net::Response about(const RequestMeta& meta, net::Response response) {
    response.kind = meta.api_key;
    response.received = meta.received;
    return response;
}

Duration wait_for_time(const RequestMeta& meta) {
    quotas::Meter* const meter = meta.quota->meter(quotas::Kind::request);
    // One second at most: who is cut off for longer takes the broker for dead.
    return meter != nullptr ? std::min<Duration>(meter->over(meta.received), 1s) : Duration{};
}

std::int32_t milliseconds_of(Duration wait) {
    // Rounded up: who comes back a moment too early finds its connection still muted.
    return static_cast<std::int32_t>(to_milliseconds(wait + 999us));
}

void log_unwritable(const Doors& doors, const RequestMeta& meta, const Error& error) {
    MR_LOG(*doors.log, error, "handlers.answer_not_encodable", field("api_key", meta.api_key),
           field("version", meta.version), field("reason", error.message()));
}

CallState::CallState(const Doors& doors_in, RequestMeta&& meta_in, net::Frame&& frame_in,
                     net::Reply&& reply_in)
    : doors(&doors_in),
      meta(std::move(meta_in)),
      frame(std::move(frame_in)),
      reply(std::move(reply_in)) {}
CallState::~CallState() = default;

bool CallState::hold(std::size_t bytes) {
    const auto more = static_cast<std::int64_t>(bytes) - frame.held();
    if (more > frame.room()) {
        log_too_large(*doors, meta, bytes);
        return false;
    }
    frame.hold(static_cast<std::int64_t>(bytes));
    return true;
}

void CallState::add_wait_for_time() {
    if (meta.quota) {
        wait = std::max(wait, wait_for_time(meta));
    }
}

std::size_t CallState::room_to_answer() const {
    return static_cast<std::size_t>(frame.room_to_answer());
}

void CallState::send(net::Response response) {
    add_wait_for_time();
    deliver(std::move(response));
}

void CallState::send_written(const protocol::Writer& writer, Buffer&& bytes, std::int16_t error,
                             std::vector<net::FileRange>&& files) {
    count_error(meta, error);
    if (!writer.ok() && writer.error().code() == Code::exhausted) {
        log_answer_too_large(*doors, meta, room_to_answer());
        return;
    }
    if (!writer.ok()) {
        // Ours to mend; the peer sees its connection end rather than a wrong answer.
        log_unwritable(*doors, meta, writer.error());
        return;
    }
    deliver(finish_response(std::move(bytes), writer.splices(), std::move(files)));
}

void CallState::deliver(net::Response&& response) {
    response.mute = wait;
    reply.send(about(meta, std::move(response)));
}

}  // namespace millrace::handlers
