// tests/sim/systems/cluster_wire.h
//
// One request of Kafka's protocol over a channel, its answer decoded.
#pragma once

#include <memory>
#include <utility>

#include "net/channel.h"
#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::simtest {

template <typename Response>
struct Answered {
    std::shared_ptr<const RawBuffer> frame;  ///< The response's views lie in here.
    Response response;
};

/// `version` must be a flexible one. What can't be decoded is an error.
template <typename Response, typename Request>
void ask(net::Channel& channel, const Request& request, std::int16_t version, Duration timeout,
         UniqueFunction<void(Result<Answered<Response>>)> done) {
    MR_ASSERT(version >= Request::first_flexible_version);
    protocol::RequestHeader header;
    header.request_api_key = Request::api_key;
    header.request_api_version = version;
    header.client_id = "sim";
    Buffer frame;
    protocol::Writer writer(frame);
    header.encode(writer, 2);
    request.encode(writer, version);
    MR_ASSERT(writer.ok());
    channel.call(std::move(frame), timeout,
                 [version, done = std::move(done)](Result<net::ResponseFrame> answer) mutable {
                     if (!answer) {
                         done(answer.error());
                         return;
                     }
                     Answered<Response> answered{answer->bytes, {}};
                     protocol::Reader reader(*answered.frame);
                     protocol::ResponseHeader response_header;
                     response_header.decode(reader, 1);
                     answered.response.decode(reader, version);
                     if (!reader.ok()) {
                         done(reader.error());
                         return;
                     }
                     done(std::move(answered));
                 });
}

}  // namespace millrace::simtest
