// raft/internal/wire_parts.h
//
// What requests and answers of the quorum have in common on the wire.
#pragma once

#include <cstdint>
#include <type_traits>

#include "base/bytes.h"
#include "base/result.h"
#include "protocol/writer.h"

namespace millrace::raft {

template <typename Message>
Result<Buffer> to_bytes(const Message& message, std::int16_t version) {
    Buffer bytes;
    protocol::Writer writer(bytes);
    message.encode(writer, version);
    if (!writer.ok()) {
        return writer.error();
    }
    return bytes;
}

/// The one partition that requests of the quorum speak of; others are none of our business.
template <typename Topics>
auto only_partition(const Topics& topics) -> const
    typename std::decay_t<decltype(topics[0].partitions)>::value_type* {
    return topics.size() == 1 && topics[0].partitions.size() == 1 ? &topics[0].partitions[0]
                                                                  : nullptr;
}

}  // namespace millrace::raft
