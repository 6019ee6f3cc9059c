#include "handlers/call.h"

#include "handlers/doors.h"

namespace millrace::handlers {

Buffer begin_response(const RequestMeta& meta) {
    Buffer bytes(meta.flexible_response_header ? 5 : 4);
    store_big_endian(bytes.data(), meta.correlation_id);
    return bytes;
}

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

net::Response about(const RequestMeta& meta, net::Response response) {
    response.kind = meta.api_key;
    response.received = meta.received;
    return response;
}

void log_unwritable(const Doors& doors, const RequestMeta& meta, const Error& error) {
    MR_LOG(*doors.log, error, "handlers.answer_not_encodable", field("api_key", meta.api_key),
           field("version", meta.version), field("reason", error.message()));
}

}  // namespace millrace::handlers
