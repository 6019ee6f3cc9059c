// coordinator/record.h
//
// One record of a coordinator topic: the version-prefixed key and value bytes as they lie in the
// log. No value is a tombstone.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "base/time.h"
#include "model/ids.h"

namespace millrace::coordinator {

struct Record {
    Buffer key;
    std::optional<Buffer> value;
};

/// A record as replay sees it; the bytes live only during the call.
struct RecordView {
    ByteView key;
    std::optional<ByteView> value;
    Offset offset;
    Timestamp timestamp;
    ProducerId producer = no_producer;  ///< Set for records of a transaction.
    ProducerEpoch producer_epoch{-1};
};

enum class TransactionResult { abort, commit };

}  // namespace millrace::coordinator
