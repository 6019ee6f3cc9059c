#include "app/internal/in_process_call.h"

#include "protocol/headers.h"

namespace millrace::app {
namespace {

/// Takes the place of a connection: one answer, then it is gone.
class Caller final : public net::Reply::Target {
public:
    Caller(runtime::Executor& home, std::int16_t response_header, admin::Reply<Buffer> reply)
        : home_(home), response_header_(response_header), reply_(std::move(reply)) {}

    void deliver(std::uint64_t, std::uint64_t, net::Response response) override {
        if (!response.splices.empty() || response.none) {
            reply_(Error(Code::unsupported, "this request has no answer that fits a message"));
            return;
        }
        reply_(body_of(response.bytes, response_header_));
    }
    void abandon(std::uint64_t, std::uint64_t) override {
        reply_(Error(Code::invalid, "the broker could not read the request"));
    }
    runtime::Executor& home() override { return home_; }

private:
    runtime::Executor& home_;
    const std::int16_t response_header_;
    admin::Reply<Buffer> reply_;
};

}  // namespace

Result<Buffer> body_of(ByteView answer, std::int16_t header_version) {
    protocol::Reader reader(answer);
    protocol::ResponseHeader header;
    header.decode(reader, header_version);
    if (!reader.ok()) {
        return reader.error();
    }
    const ByteView body = answer.subspan(reader.position());
    return Buffer(body.begin(), body.end());
}

Buffer framed(const admin::KafkaCall& call) {
    Buffer bytes;
    protocol::Writer writer(bytes);
    protocol::RequestHeader header;
    header.request_api_key = call.api_key;
    header.request_api_version = call.api_version;
    header.client_id = "millrace-admin";
    protocol::encode_request_header(writer, header);
    bytes.insert(bytes.end(), call.body.begin(), call.body.end());
    return bytes;
}

void call_in_process(const BrokerView& view, admin::KafkaCall call, const std::string& address,
                     admin::Reply<Buffer> reply) {
    view.dispatch_loop->post([dispatch = view.dispatch, loop = view.dispatch_loop,
                              listener = view.inter_broker_listener, call = std::move(call),
                              address, reply = std::move(reply)]() mutable {
        net::ConnectionInfo connection;
        // Answers name brokers by their endpoints on the listener that asks: by those that they
        // have.
        connection.listener = listener;
        connection.peer.host = address;
        std::unique_ptr<net::Session> session;
        auto caller = std::make_shared<Caller>(
            *loop, protocol::response_header_version(call.api_key, call.api_version),
            std::move(reply));
        dispatch->on_frame(connection, session,
                           net::Frame(std::make_shared<Buffer>(framed(call)), net::Reservation{}),
                           net::Reply(std::move(caller), 0, 0));
    });
}

}  // namespace millrace::app
