// protocol/headers.h
//
// Which version of the header stands in front of a request or response.
#pragma once

#include <cstdint>

#include "protocol/messages/request_header.h"
#include "protocol/messages/response_header.h"

namespace millrace::protocol {

/// Also for versions beyond those we serve: the header must be read to refuse them. For a key that
/// no API has: 1, which reads what all headers share.
std::int16_t request_header_version(std::int16_t api_key, std::int16_t version);
/// That of ApiVersions is always 0: its reader does not know yet what the writer speaks.
std::int16_t response_header_version(std::int16_t api_key, std::int16_t version);

/// Looks ahead for the API and version, then reads the header in the layout they call for.
void decode_request_header(Reader& in, RequestHeader& header);
void encode_request_header(Writer& out, const RequestHeader& header);

}  // namespace millrace::protocol
