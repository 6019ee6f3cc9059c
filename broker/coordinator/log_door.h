// coordinator/log_door.h
//
// The partitions of one coordinator topic as the runtime needs them. app/ implements it over
// replication. Every call is made on the coordinator's loop and every completion runs there too,
// never inside the call.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "model/ids.h"
#include "model/kafka_error.h"

namespace millrace::coordinator {

struct LogRead {
    Offset start;                              ///< First offset still kept.
    Offset end;                                ///< One past the last appended here.
    Offset high_watermark;                     ///< Everything below is committed.
    LeaderEpoch last_epoch = no_leader_epoch;  ///< Of the last batch in the log; none if empty.
    Buffer batches;  ///< Whole batches; the first holds `from` or the first offset after it.
};

struct AppendOutcome {
    KafkaError error = KafkaError::none;
    Offset base;  ///< Where the batch went.
    Offset end;   ///< One past its last record.
};

using ReadDone = UniqueFunction<void(Result<LogRead>)>;
using AppendDone = UniqueFunction<void(AppendOutcome)>;
using HighWatermarkListener = UniqueFunction<void(Offset)>;

class LogDoor {
public:
    virtual ~LogDoor() = default;

    /// Reads up to the log's end (not the high watermark). At least one batch if there is one;
    /// `from` below the start reads from the start.
    virtual void read(PartitionIndex partition, Offset from, Bytes max, ReadDone done) = 0;

    /// Appends one batch (v2, base offset 0: the log assigns offsets) as leader of `epoch` with the
    /// rules of acks=all. Done once it is in the leader's log, not once it is committed. A refused
    /// batch must not be in the log: not_leader_or_follower or fenced_leader_epoch (also if the
    /// leader has another epoch by now), not_enough_replicas, kafka_storage_error, ...
    virtual void append(PartitionIndex partition, LeaderEpoch epoch, Buffer batch,
                        AppendDone done) = 0;

    /// Tells each advance of the high watermark, and the present one soon after the call.
    virtual void watch(PartitionIndex partition, HighWatermarkListener listener) = 0;
    virtual void unwatch(PartitionIndex partition) = 0;

    /// max.message.bytes of the topic: a batch may be as large.
    virtual Bytes max_batch(PartitionIndex partition) const = 0;
};

}  // namespace millrace::coordinator
