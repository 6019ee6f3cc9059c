// handlers/dispatch.h
//
// From a frame to its handler: reads the header, finds the API's row, decodes the request in the
// asked version and calls. One Dispatcher per listener kind, built at start and immutable after.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "handlers/call.h"
#include "handlers/doors.h"
#include "handlers/request_meter.h"
#include "net/server.h"

namespace millrace::handlers {

enum class ListenerKind { broker, controller };

/// One API as this listener serves it.
struct Route {
    using Handle = void (*)(const Doors&, RequestMeta&&, net::Frame&&, std::size_t body_at,
                            net::Reply&&);
    std::int16_t api_key = -1;
    std::int16_t min_version = 0;
    std::int16_t max_version = -1;
    std::int16_t advertised_min = 0;
    std::int16_t first_flexible = 0;
    /// The handler is done with the frame's bytes when its first call returns.
    bool lends_frame = false;
    Handle handle = nullptr;
    /// Answers UNSUPPORTED_VERSION in the nearest layout.
    Handle refuse_version = nullptr;
};

class Dispatcher final : public net::Dispatch {
public:
    /// `meters`: one for each loop, or none.
    Dispatcher(ListenerKind kind, const Doors& doors, std::vector<runtime::Executor*> loops,
               std::vector<RequestMeter> meters = {});

    void on_frame(const net::ConnectionInfo& connection, std::unique_ptr<net::Session>& session,
                  net::Frame frame, net::Reply reply) override;
    void on_answer(const net::ConnectionInfo& connection, const net::Response& response) override;

    const Route* route(std::int16_t api_key) const;
    const std::vector<Route>& routes() const { return routes_; }

private:
    const Doors& doors_;
    std::vector<runtime::Executor*> loops_;     ///< By ConnectionInfo::shard.
    std::vector<RequestMeter> meters_;          ///< As loops_.
    std::vector<quotas::ClientCache> clients_;  ///< As loops_; none on a controller listener.
    std::vector<Route> routes_;                 ///< Ascending by key.
    std::array<std::int16_t, 128> row_of_;
};

/// What only brokers and controllers may ask, as the table of ACLs has it: no quota of clients
/// holds for it. A replica's Fetch shows only in its body (fetch.cc).
bool is_between_brokers(std::int16_t api_key, std::int16_t version);

/// Every API of a listener kind with its handler (routes.cc).
std::vector<Route> make_routes(ListenerKind kind);

/// The handlers' shape: `void f(const Doors&, Call<Request, Response>)`.
template <typename Request, typename Response>
using Handler = void (*)(const Doors&, Call<Request, Response>);

namespace internal {

/// What is made of a request's bytes at most, however much memory there is: reading them is one
/// turn of a loop, on which others wait. Enough for a hundred thousand partitions, and records are
/// views.
constexpr std::size_t most_decoded = 64 << 20;

void log_undecodable(const Doors& doors, const RequestMeta& meta, const std::string& why);
/// `room`: what memory had for it; `usual`: what a request of its length may take.
std::string why_undecodable(const Error& error, std::size_t room, std::size_t usual);

/// Reads a request's body within what memory has left for it.
struct BodyReader {
    BodyReader(CallState& state, std::size_t body_at);
    /// False, and logged: the body is malformed, or memory is short.
    bool is_done(const Doors& doors);

    CallState& state;
    std::size_t room;
    std::size_t usual;
    protocol::Reader reader;
};

template <typename Request, typename Response, Handler<Request, Response> handler>
void decode_and_handle(const Doors& doors, RequestMeta&& meta, net::Frame&& frame,
                       std::size_t body_at, net::Reply&& reply) {
    Call<Request, Response> call(doors, std::move(meta), std::move(frame), std::move(reply));
    BodyReader body(call.state(), body_at);
    call.mutable_request().decode(body.reader, call.version());
    if (body.is_done(doors)) {
        handler(doors, std::move(call));
    }  // else the reply is dropped, which closes the connection
}

template <typename Request, typename Response>
void refuse_version(const Doors& doors, RequestMeta&& meta, net::Frame&& frame, std::size_t,
                    net::Reply&& reply) {
    Call<Request, Response> call(doors, std::move(meta), std::move(frame), std::move(reply));
    Response response;
    if constexpr (requires { response.error_code; }) {
        response.error_code = code_of(KafkaError::unsupported_version);
        Buffer bytes;
        protocol::Writer writer(bytes);
        response.encode(writer, call.version());
        if (!writer.ok()) {
            // Its codes are all for things asked about, and nothing was read: as with Kafka, the
            // connection ends.
            log_undecodable(doors, call.meta(), "this version is not served");
            return;
        }
    }
    call.answer(response);
}

}  // namespace internal

template <typename Request, typename Response, Handler<Request, Response> handler>
Route route_to(bool lends_frame = false) {
    Route route;
    route.api_key = Request::api_key;
    route.min_version = Request::min_version;
    route.max_version = Request::latest_version_unstable
                            ? static_cast<std::int16_t>(Request::max_version - 1)
                            : Request::max_version;
    route.advertised_min = route.min_version;
    route.first_flexible = Request::first_flexible_version;
    route.lends_frame = lends_frame;
    route.handle = &internal::decode_and_handle<Request, Response, handler>;
    route.refuse_version = &internal::refuse_version<Request, Response>;
    return route;
}

}  // namespace millrace::handlers
