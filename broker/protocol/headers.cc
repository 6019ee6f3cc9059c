#include "protocol/headers.h"

#include "protocol/api_table.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {
namespace {

bool is_flexible(std::int16_t api_key, std::int16_t version) {
    const Api* api = find_api(api_key);
    return api != nullptr && version >= api->first_flexible_version;
}

}  // namespace

std::int16_t request_header_version(std::int16_t api_key, std::int16_t version) {
    return is_flexible(api_key, version) ? 2 : 1;
}

std::int16_t response_header_version(std::int16_t api_key, std::int16_t version) {
    const bool api_versions = api_key == static_cast<std::int16_t>(ApiKey::api_versions);
    return !api_versions && is_flexible(api_key, version) ? 1 : 0;
}

void decode_request_header(Reader& in, RequestHeader& header) {
    Reader ahead = in;
    const std::int16_t api_key = ahead.int16();
    const std::int16_t version = ahead.int16();
    header.decode(in, request_header_version(api_key, version));
}

void encode_request_header(Writer& out, const RequestHeader& header) {
    header.encode(out, request_header_version(header.request_api_key, header.request_api_version));
}

}  // namespace millrace::protocol
