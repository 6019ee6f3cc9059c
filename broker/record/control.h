// record/control.h
//
// Control records: the markers that end a transaction, and the key schema that they share with the
// quorum's control records (whose values are messages of broker/protocol).
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "record/batch_builder.h"
#include "record/batch_view.h"
#include "record/record_view.h"

namespace millrace::record {

enum class ControlType : std::int16_t {
    abort = 0,
    commit = 1,
    leader_change = 2,
    snapshot_header = 3,
    snapshot_footer = 4,
    kraft_version = 5,
    kraft_voters = 6,
};

using ControlKey = std::array<std::byte, 4>;  ///< version int16, type int16.

ControlKey control_key(ControlType type);

/// A type that a newer release made up comes back as its number: skip what you don't know.
Result<ControlType> parse_control_key(ByteView key);

struct EndTransactionMarker {
    ControlType type = ControlType::abort;  ///< abort or commit.
    std::int32_t coordinator_epoch = 0;
    friend bool operator==(const EndTransactionMarker&, const EndTransactionMarker&) = default;
};

/// Of the only record in a control batch; Code::invalid if it is another kind of control record.
Result<EndTransactionMarker> parse_end_transaction(const RecordView& record);

/// The whole batch that ends a transaction; base offset and leader epoch are stamped on append.
Buffer end_transaction_batch(ProducerId producer, ProducerEpoch epoch, EndTransactionMarker marker,
                             std::int64_t timestamp);

/// A batch with one control record of the quorum, at options.base_offset.
Buffer control_batch(BatchOptions options, ControlType type, ByteView value,
                     std::int64_t timestamp);

}  // namespace millrace::record
