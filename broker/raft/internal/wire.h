// raft/internal/wire.h
//
// The core's messages in Kafka's: one topic, one partition, versions. Pure.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "protocol/request_body.h"
#include "raft/messages.h"

namespace millrace::raft {

/// The versions that we send and can read the answer of.
struct WireVersions {
    std::int16_t api_key = 0;
    std::int16_t min = 0;
    std::int16_t max = 0;
};
WireVersions versions_of(const Request& request);

Result<Buffer> encode_request(const Request& request, std::int16_t version);
/// `sent` tells which answer it must be.
Result<Response> decode_response(const Request& sent, std::int16_t version, ByteView body);

Result<Request> decode_request(std::int16_t api_key, std::int16_t version,
                               const protocol::RequestBody& body);
/// Times of the core are turned into wall clock by `now` and `wall`, which mean the same moment.
Result<Buffer> encode_response(std::int16_t api_key, std::int16_t version, const Response& response,
                               Instant now, Timestamp wall);

/// Splits fetched bytes into batches, checks each and reads the control records. A batch that is
/// cut off at the end is left out.
Result<FetchedBatches> read_batches(Buffer bytes);

}  // namespace millrace::raft
