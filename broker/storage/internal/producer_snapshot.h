// storage/internal/producer_snapshot.h
//
// A producer snapshot in Kafka's format, version 1: what producers had done below the offset that
// its name carries. Kafka keeps one batch per producer in it, and so takes a repeat of one before
// that for out of order after a restart. We write a row for each batch that is remembered, the
// oldest first: Kafka goes by the last row of a producer.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "storage/producer_state.h"

namespace millrace::storage {

Buffer encode_producer_snapshot(const ProducerState& state);

/// Fills `state` with what `bytes` says and was heard of within `expiry`. Code::corrupt on a bad
/// length or checksum; `state` is unchanged then.
Result<void> decode_producer_snapshot(ByteView bytes, Timestamp now, Duration expiry,
                                      ProducerState& state);

}  // namespace millrace::storage
