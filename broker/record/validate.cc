#include "record/validate.h"

#include <algorithm>

#include "base/assert.h"
#include "base/crc32c.h"
#include "record/record_view.h"

namespace millrace::record {

namespace {

Refusal check_framing(ByteView records) {
    switch (const Frame frame = frame_first(records); frame.framing) {
        case Framing::complete:
            return frame.size == records.size() ? Refusal::none : Refusal::not_one_batch;
        case Framing::incomplete:
            return Refusal::not_one_batch;
        case Framing::old_magic:
            return Refusal::old_magic;
        case Framing::malformed:
            break;
    }
    return Refusal::malformed;
}

Refusal check_codec(const BatchView& batch, const ProduceRules& rules) {
    if (!is_known(batch.compression())) {
        return Refusal::unknown_codec;
    }
    if (batch.compression() == Compression::zstd && !rules.is_zstd_allowed) {
        return Refusal::codec_too_new;
    }
    return Refusal::none;
}

/// In the order in which Kafka looks, so that a batch with two faults gets the same answer.
Refusal check_header(const BatchView& batch, const ProduceRules& rules) {
    if (const Refusal refusal = check_codec(batch, rules); refusal != Refusal::none) {
        return refusal;
    }
    if (batch.base_offset().value != 0) {
        return Refusal::base_offset_not_zero;
    }
    if (batch.size() > rules.max_batch_size) {
        return Refusal::too_large;
    }
    if (!batch.check_crc()) {
        return Refusal::bad_crc;
    }
    const std::int32_t count = batch.record_count();
    if (count <= 0 || count != std::int64_t{batch.last_offset_delta()} + 1) {
        return Refusal::bad_count;
    }
    if (batch.has_producer_id() && batch.base_sequence() < 0) {
        return Refusal::bad_sequence;
    }
    if (batch.is_control()) {
        return Refusal::control_batch;
    }
    return Refusal::none;
}

/// Whether a producer's timestamp is acceptable, with both limits saturating: "no limit" is the
/// largest number there is.
class TimestampWindow {
public:
    TimestampWindow(const ProduceRules& rules, Timestamp now)
        : checks_(rules.timestamp_type == TimestampType::create_time) {
        if (__builtin_sub_overflow(now.milliseconds, rules.before_max_ms, &earliest_)) {
            earliest_ = std::numeric_limits<std::int64_t>::min();
        }
        if (__builtin_add_overflow(now.milliseconds, rules.after_max_ms, &latest_)) {
            latest_ = std::numeric_limits<std::int64_t>::max();
        }
    }

    bool accepts(std::int64_t timestamp) const {
        return !checks_ || timestamp == no_timestamp ||
               (timestamp >= earliest_ && timestamp <= latest_);
    }

private:
    bool checks_;
    std::int64_t earliest_ = 0;
    std::int64_t latest_ = 0;
};

void note_bad_record(Verdict& verdict, std::int32_t index, Refusal refusal) {
    if (verdict.bad_records.size() < Verdict::max_bad_records) {
        verdict.bad_records.push_back({index, refusal});
    }
    // The batch is answered with INVALID_TIMESTAMP if any record's timestamp is at fault.
    if (verdict.refusal != Refusal::timestamp_range) {
        verdict.refusal = refusal;
    }
}

void refuse_all(Verdict& verdict, const BatchView& batch, Refusal refusal) {
    verdict.refusal = refusal;
    const auto listed = std::min<std::size_t>(static_cast<std::size_t>(batch.record_count()),
                                              Verdict::max_bad_records);
    for (std::size_t i = 0; i < listed; ++i) {
        verdict.bad_records.push_back({static_cast<std::int32_t>(i), refusal});
    }
}

Refusal refusal_of(const RecordReader& reader) {
    switch (reader.status().error().code()) {
        case Code::exhausted:
            return Refusal::too_large_inside;
        case Code::unsupported:
            return Refusal::unknown_codec;
        default:
            return reader.decoding_failed() ? Refusal::bad_compressed_data : Refusal::bad_record;
    }
}

void walk_records(Verdict& verdict, const BatchView& batch, const ProduceRules& rules,
                  const TimestampWindow& window, Decompressor& decompressor) {
    RecordReader reader{batch, decompressor, rules.decompress};
    std::int32_t index = 0;
    std::int64_t max_timestamp = no_timestamp;
    for (RecordView record; reader.next(record); ++index) {
        const std::int64_t timestamp = create_timestamp_of(batch, record);
        if (record.offset_delta != index) [[unlikely]] {
            verdict.refusal = Refusal::bad_count;
            return;
        }
        if (rules.is_compacted && !record.key) [[unlikely]] {
            note_bad_record(verdict, index, Refusal::missing_key);
        } else if (!window.accepts(timestamp)) [[unlikely]] {
            note_bad_record(verdict, index, Refusal::timestamp_range);
        }
        max_timestamp = std::max(max_timestamp, timestamp);
    }
    if (!reader.status()) {
        verdict.bad_records.clear();
        verdict.refusal = refusal_of(reader);
        return;
    }
    verdict.walked = true;
    verdict.max_timestamp = max_timestamp;
}

/// The header's own word for a compressed batch that is not opened.
void trust_header(Verdict& verdict, const BatchView& batch, const TimestampWindow& window) {
    verdict.max_timestamp = batch.max_timestamp();
    if (!window.accepts(batch.max_timestamp()) ||
        (!batch.has_delete_horizon() && !window.accepts(batch.base_timestamp()))) {
        verdict.refusal = Refusal::timestamp_range;
    }
}

}  // namespace

std::string_view describe(Refusal refusal) {
    switch (refusal) {
        case Refusal::none:
            return "accepted";
        case Refusal::malformed:
            return "the batch has an impossible length or an unknown magic";
        case Refusal::bad_crc:
            return "the batch does not match its checksum";
        case Refusal::bad_compressed_data:
            return "the compressed records can't be read";
        case Refusal::old_magic:
            return "only record batches of magic 2 may be produced";
        case Refusal::not_one_batch:
            return "there must be exactly one whole record batch per partition";
        case Refusal::base_offset_not_zero:
            return "the base offset of a produced batch must be 0";
        case Refusal::bad_count:
            return "record count, offsets and last offset delta of the batch disagree";
        case Refusal::control_batch:
            return "clients may not write control records";
        case Refusal::bad_sequence:
            return "a batch with a producer id needs a sequence number";
        case Refusal::bad_record:
            return "a record can't be read";
        case Refusal::missing_key:
            return "a compacted topic takes no record without a key";
        case Refusal::too_large:
            return "the batch is larger than the topic allows";
        case Refusal::too_large_inside:
            return "the batch is larger than this broker decompresses";
        case Refusal::timestamp_type:
            return "a producer may not set the timestamp type LogAppendTime";
        case Refusal::timestamp_range:
            return "a timestamp is further from the broker's time than the topic allows";
        case Refusal::unknown_codec:
            return "the compression codec is not known";
        case Refusal::codec_too_new:
            return "zstd needs produce version 7 or later";
    }
    return "unknown";
}

Verdict validate_produce(ByteView records, const ProduceRules& rules, Timestamp now,
                         Decompressor& decompressor) {
    Verdict verdict;
    verdict.refusal = check_framing(records);
    if (!verdict.accepted()) {
        return verdict;
    }
    const Result<BatchView> parsed = BatchView::parse(records);
    MR_ASSERT(parsed.has_value());
    const BatchView& batch = *parsed;
    verdict.refusal = check_header(batch, rules);
    if (!verdict.accepted()) {
        return verdict;
    }
    // Kafka blames the records for this, so a faulty count comes before it.
    if (batch.timestamp_type() == TimestampType::log_append_time) {
        refuse_all(verdict, batch, Refusal::timestamp_type);
        return verdict;
    }
    const Compression stored = rules.stored_codec.value_or(batch.compression());
    verdict.recompress = stored != batch.compression();
    const TimestampWindow window{rules, now};
    if (batch.compression() == Compression::none || rules.is_compacted || rules.strict ||
        verdict.recompress) {
        walk_records(verdict, batch, rules, window, decompressor);
    } else {
        trust_header(verdict, batch, window);
    }
    if (!verdict.accepted()) {
        return verdict;
    }
    verdict.batch = batch;
    verdict.timestamp_type = rules.timestamp_type;
    if (rules.timestamp_type == TimestampType::log_append_time) {
        verdict.max_timestamp = now.milliseconds;
    }
    return verdict;
}

void stamp(MutableBytes batch, const Verdict& verdict, Offset base_offset, LeaderEpoch epoch) {
    MR_ASSERT(verdict.accepted());
    patch_base_offset(batch, base_offset);
    patch_leader_epoch(batch, epoch);
    patch_timestamps(batch, verdict.timestamp_type, verdict.max_timestamp);
}

Result<Buffer> recompress(const BatchView& batch, CompressionChoice choice,
                          std::size_t max_batch_size, DecompressLimits limits,
                          Decompressor& decompressor, Compressor& compressor) {
    MR_TRY(const ByteView plain,
           decompressor.decompress(batch.compression(), batch.payload(), limits.output));
    const ByteView header = batch.bytes().first(BatchHeader::size);
    Buffer rewritten(header.begin(), header.end());
    MR_TRY_VOID(compressor.append(choice, plain, rewritten));
    if (rewritten.size() > max_batch_size) {
        return Error::make(Code::exhausted, "batch of {} bytes after recompression to {}",
                           rewritten.size(), to_string(choice.codec));
    }
    std::byte* const to = rewritten.data();
    const auto attributes = static_cast<std::int16_t>(
        (batch.attributes() & ~BatchHeader::compression_mask) | static_cast<int>(choice.codec));
    store_big_endian(to + BatchHeader::batch_length,
                     static_cast<std::int32_t>(rewritten.size() - BatchHeader::length_overhead));
    store_big_endian(to + BatchHeader::attributes, attributes);
    store_big_endian(to + BatchHeader::crc,
                     crc32c(ByteView{rewritten}.subspan(BatchHeader::attributes)));
    return rewritten;
}

}  // namespace millrace::record
