// record/validate.h
//
// The produce path's judgement of what a client sent for one partition, and the changes that a
// leader then makes to the bytes. Pure: `now` is an input. Which Kafka error each refusal becomes
// is decided in handlers; the comments name what Kafka answers.
//
// Uncompressed batches are always walked record by record. Compressed ones are judged by their
// header unless the topic is compacted, is recompressed, or `strict` is set: see README.md for what
// a lying client can then store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::record {

enum class Refusal : std::uint8_t {
    none,
    malformed,             ///< CORRUPT_MESSAGE: an impossible length, an unknown magic.
    bad_crc,               ///< CORRUPT_MESSAGE
    bad_compressed_data,   ///< CORRUPT_MESSAGE: not what the codec's bits announce.
    old_magic,             ///< INVALID_RECORD: magic 0 or 1 in a produce version that demands 2.
    not_one_batch,         ///< INVALID_RECORD: none, a cut one, or more than one.
    base_offset_not_zero,  ///< INVALID_RECORD
    bad_count,             ///< INVALID_RECORD: records, offsets and header disagree.
    control_batch,         ///< INVALID_RECORD: only brokers write these.
    bad_sequence,          ///< INVALID_RECORD: a producer id without a sequence.
    bad_record,            ///< INVALID_RECORD: a record that can't be read.
    missing_key,           ///< INVALID_RECORD: in a compacted topic; see Verdict::bad_records.
    too_large,             ///< MESSAGE_TOO_LARGE
    too_large_inside,      ///< MESSAGE_TOO_LARGE: decompresses past the limits.
    timestamp_type,        ///< INVALID_TIMESTAMP: a producer may not set LogAppendTime.
    timestamp_range,       ///< INVALID_TIMESTAMP: too far from now; see Verdict::bad_records.
    unknown_codec,         ///< UNSUPPORTED_COMPRESSION_TYPE
    codec_too_new,         ///< UNSUPPORTED_COMPRESSION_TYPE: zstd before produce version 7.
};

/// A sentence for the error message that the client is shown.
std::string_view describe(Refusal refusal);

struct ProduceRules {
    std::size_t max_batch_size = 1'048'588;  ///< max.message.bytes
    TimestampType timestamp_type = TimestampType::create_time;
    /// message.timestamp.before.max.ms and .after.max.ms
    std::int64_t before_max_ms = std::numeric_limits<std::int64_t>::max();
    std::int64_t after_max_ms = 3'600'000;
    /// compression.type; absent: `producer`, store as it came.
    std::optional<Compression> stored_codec;
    bool is_compacted = false;  ///< cleanup.policy contains compact.
    bool is_zstd_allowed = true;
    bool strict = false;  ///< Walk compressed batches too.
    DecompressLimits decompress;
};

struct BadRecord {
    std::int32_t index = 0;  ///< In the batch; the response's batch_index.
    Refusal refusal = Refusal::none;
};

struct Verdict {
    Refusal refusal = Refusal::none;
    /// The first of the records that are at fault, where a record is; what the response lists.
    std::vector<BadRecord> bad_records;
    static constexpr std::size_t max_bad_records = 100;

    /// Once accepted: the one batch, and what the log must say instead of the producer.
    std::optional<BatchView> batch;
    TimestampType timestamp_type = TimestampType::create_time;
    std::int64_t max_timestamp = no_timestamp;
    bool recompress = false;  ///< Call recompress() before stamp().
    bool walked = false;      ///< Every record was looked at.

    bool accepted() const { return refusal == Refusal::none; }
};

/// Judges the `records` of one partition in a produce request.
Verdict validate_produce(ByteView records, const ProduceRules& rules, Timestamp now,
                         Decompressor& decompressor);

/// Makes the accepted bytes what the log stores: offsets, leader epoch, timestamps. Touches only
/// the header. `batch` is the batch of the verdict, or its recompressed copy.
void stamp(MutableBytes batch, const Verdict& verdict, Offset base_offset, LeaderEpoch epoch);

/// The same records under another codec. Code::exhausted if the batch exceeds `max_batch_size`
/// then, or the limits on the way.
Result<Buffer> recompress(const BatchView& batch, CompressionChoice choice,
                          std::size_t max_batch_size, DecompressLimits limits,
                          Decompressor& decompressor, Compressor& compressor);

}  // namespace millrace::record
