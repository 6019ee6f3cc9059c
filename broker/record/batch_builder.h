// record/batch_builder.h
//
// Makes one batch of magic 2, byte for byte as Kafka's own builder lays it out: for coordinators,
// the quorum, compaction and tests. A plain value; one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/record_view.h"

namespace millrace::record {

struct BatchOptions {
    Offset base_offset{0};
    LeaderEpoch leader_epoch = no_leader_epoch;
    CompressionChoice compression;
    ProducerId producer_id = no_producer;
    ProducerEpoch producer_epoch{-1};
    std::int32_t base_sequence = no_sequence;
    bool is_transactional = false;
    bool is_control = false;
    /// Set: timestamp type LogAppendTime with this as every record's timestamp.
    std::optional<std::int64_t> append_time;
    /// Set by compaction: when tombstones and markers in here may go.
    std::optional<std::int64_t> delete_horizon;
};

struct NewRecord {
    std::int64_t timestamp = no_timestamp;
    std::optional<ByteView> key;
    std::optional<ByteView> value;
    std::span<const HeaderView> headers;
};

class BatchBuilder {
public:
    explicit BatchBuilder(BatchOptions options);

    /// At the next offset.
    void append(const NewRecord& record);

    /// At `offset`, past the last one: compaction leaves holes.
    void append_at(Offset offset, const NewRecord& record);

    /// As append_at(), for a record read from another batch.
    void append_at(Offset offset, std::int64_t timestamp, const RecordView& record);

    /// The batch shall end at `last` even if that record is gone, so that a consumer's position
    /// reaches the end of a compacted log.
    void keep_last_offset(Offset last);

    /// For a batch without records: what its header says then.
    void keep_max_timestamp(std::int64_t timestamp);

    std::int32_t record_count() const { return count_; }
    bool empty() const { return count_ == 0; }
    /// Of the batch before compression.
    std::size_t size() const { return bytes_.size(); }
    /// No record can need more than this on top of size().
    static std::size_t upper_bound(const NewRecord& record);
    Offset next_offset() const;

    /// The batch with its CRC. The builder is empty afterwards, as after construction.
    Result<Buffer> finish(Compressor& compressor);

    /// The same; options.compression must be none.
    Buffer finish();

private:
    void write(Offset offset, const NewRecord& record, const HeaderRange* raw_headers);
    void write_header(Buffer& batch, Compression codec) const;
    void reset();

    BatchOptions options_;
    Buffer bytes_;
    std::int32_t count_ = 0;
    std::int64_t last_offset_delta_ = -1;
    std::optional<std::int64_t> base_timestamp_;
    std::int64_t max_timestamp_ = no_timestamp;
};

}  // namespace millrace::record
