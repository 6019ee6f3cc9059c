#include "record/batch_builder.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "base/crc32c.h"
#include "base/varint.h"

namespace millrace::record {

namespace {

constexpr std::size_t max_length = std::numeric_limits<std::int32_t>::max();

std::size_t varint_size(std::int64_t value) {
    return unsigned_varint_size(zigzag_encode(value));
}

std::size_t nullable_size(const std::optional<ByteView>& bytes) {
    return bytes ? varint_size(static_cast<std::int64_t>(bytes->size())) + bytes->size()
                 : varint_size(-1);
}

std::size_t headers_size(std::span<const HeaderView> headers) {
    std::size_t size = varint_size(static_cast<std::int64_t>(headers.size()));
    for (const HeaderView& header : headers) {
        size += nullable_size(as_bytes(header.key)) + nullable_size(header.value);
    }
    return size;
}

/// Writes into room that was measured before.
class Pen {
public:
    explicit Pen(std::byte* at) : at_(at) {}

    void int8(std::int8_t value) { *at_++ = static_cast<std::byte>(value); }
    void varint(std::int64_t value) { at_ += write_unsigned_varint(at_, zigzag_encode(value)); }
    void raw(ByteView bytes) {
        if (!bytes.empty()) {
            std::memcpy(at_, bytes.data(), bytes.size());
        }
        at_ += bytes.size();
    }
    void nullable(const std::optional<ByteView>& bytes) {
        if (!bytes) {
            varint(-1);
            return;
        }
        varint(static_cast<std::int64_t>(bytes->size()));
        raw(*bytes);
    }
    const std::byte* at() const { return at_; }

private:
    std::byte* at_;
};

/// May wrap for absurd timestamps; readers wrap back.
std::int64_t difference(std::int64_t a, std::int64_t b) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}

}  // namespace

BatchBuilder::BatchBuilder(BatchOptions options) : options_(options) {
    MR_ASSERT(is_known(options_.compression.codec) && options_.base_offset.value >= 0);
    reset();
}

void BatchBuilder::reset() {
    bytes_.assign(BatchHeader::size, std::byte{0});
    count_ = 0;
    last_offset_delta_ = -1;
    base_timestamp_ = options_.delete_horizon;
    max_timestamp_ = no_timestamp;
}

Offset BatchBuilder::next_offset() const {
    return options_.base_offset + (last_offset_delta_ + 1);
}

std::size_t BatchBuilder::upper_bound(const NewRecord& record) {
    return max_varint32_size + sizeof(std::int8_t) + max_varint64_size + max_varint32_size +
           nullable_size(record.key) + nullable_size(record.value) + headers_size(record.headers);
}

void BatchBuilder::append(const NewRecord& record) {
    append_at(next_offset(), record);
}

void BatchBuilder::append_at(Offset offset, const NewRecord& record) {
    write(offset, record, nullptr);
}

void BatchBuilder::append_at(Offset offset, std::int64_t timestamp, const RecordView& record) {
    write(offset, {.timestamp = timestamp, .key = record.key, .value = record.value},
          &record.headers);
}

void BatchBuilder::write(Offset offset, const NewRecord& record, const HeaderRange* raw_headers) {
    const std::int64_t offset_delta = offset - options_.base_offset;
    MR_ASSERT(offset_delta > last_offset_delta_ &&
              offset_delta <= std::numeric_limits<std::int32_t>::max());
    if (!base_timestamp_) {
        base_timestamp_ = record.timestamp;
    }
    const std::int64_t timestamp_delta = difference(record.timestamp, *base_timestamp_);
    const std::size_t headers = raw_headers != nullptr
                                    ? varint_size(raw_headers->size()) + raw_headers->bytes().size()
                                    : headers_size(record.headers);
    const std::size_t body = sizeof(std::int8_t) + varint_size(timestamp_delta) +
                             varint_size(offset_delta) + nullable_size(record.key) +
                             nullable_size(record.value) + headers;
    const std::size_t size = varint_size(static_cast<std::int64_t>(body)) + body;
    MR_ASSERT(bytes_.size() + size <= max_length);

    const std::size_t begin = bytes_.size();
    bytes_.resize(begin + size);
    Pen pen{bytes_.data() + begin};
    pen.varint(static_cast<std::int64_t>(body));
    pen.int8(0);
    pen.varint(timestamp_delta);
    pen.varint(offset_delta);
    pen.nullable(record.key);
    pen.nullable(record.value);
    if (raw_headers != nullptr) {
        pen.varint(raw_headers->size());
        pen.raw(raw_headers->bytes());
    } else {
        pen.varint(static_cast<std::int64_t>(record.headers.size()));
        for (const HeaderView& header : record.headers) {
            pen.nullable(as_bytes(header.key));
            pen.nullable(header.value);
        }
    }
    MR_ASSERT(pen.at() == bytes_.data() + bytes_.size());

    ++count_;
    last_offset_delta_ = offset_delta;
    max_timestamp_ = std::max(max_timestamp_, record.timestamp);
}

void BatchBuilder::keep_last_offset(Offset last) {
    const std::int64_t delta = last - options_.base_offset;
    MR_ASSERT(delta >= last_offset_delta_ && delta <= std::numeric_limits<std::int32_t>::max());
    last_offset_delta_ = delta;
}

void BatchBuilder::keep_max_timestamp(std::int64_t timestamp) {
    max_timestamp_ = timestamp;
}

Result<Buffer> BatchBuilder::finish(Compressor& compressor) {
    // As Kafka, a batch that nothing is left of says "not compressed".
    if (options_.compression.codec == Compression::none || count_ == 0) {
        write_header(bytes_, Compression::none);
    } else {
        Buffer batch(BatchHeader::size);
        batch.reserve(bytes_.size());
        MR_TRY_VOID(compressor.append(options_.compression,
                                      ByteView{bytes_}.subspan(BatchHeader::size), batch));
        if (batch.size() > max_length) {
            return Error::make(Code::exhausted, "a batch of {} bytes", batch.size());
        }
        write_header(batch, options_.compression.codec);
        bytes_ = std::move(batch);
    }
    Buffer finished = std::move(bytes_);
    reset();
    return finished;
}

Buffer BatchBuilder::finish() {
    MR_ASSERT(options_.compression.codec == Compression::none);
    write_header(bytes_, Compression::none);
    Buffer finished = std::move(bytes_);
    reset();
    return finished;
}

void BatchBuilder::write_header(Buffer& batch, Compression codec) const {
    MR_ASSERT(last_offset_delta_ >= 0);  // a batch has at least one offset
    auto attributes = static_cast<std::int16_t>(codec);
    const auto set = [&attributes](bool on, std::int16_t bit) {
        attributes = static_cast<std::int16_t>(on ? attributes | bit : attributes);
    };
    set(options_.append_time.has_value(), BatchHeader::timestamp_type_bit);
    set(options_.is_transactional, BatchHeader::transactional_bit);
    set(options_.is_control, BatchHeader::control_bit);
    set(options_.delete_horizon.has_value(), BatchHeader::delete_horizon_bit);

    std::byte* const to = batch.data();
    store_big_endian(to + BatchHeader::base_offset, options_.base_offset.value);
    store_big_endian(to + BatchHeader::batch_length,
                     static_cast<std::int32_t>(batch.size() - BatchHeader::length_overhead));
    store_big_endian(to + BatchHeader::partition_leader_epoch, options_.leader_epoch.value);
    store_big_endian(to + BatchHeader::magic, BatchHeader::current_magic);
    store_big_endian(to + BatchHeader::attributes, attributes);
    store_big_endian(to + BatchHeader::last_offset_delta,
                     static_cast<std::int32_t>(last_offset_delta_));
    store_big_endian(to + BatchHeader::base_timestamp, base_timestamp_.value_or(no_timestamp));
    store_big_endian(to + BatchHeader::max_timestamp,
                     options_.append_time.value_or(max_timestamp_));
    store_big_endian(to + BatchHeader::producer_id, options_.producer_id.value);
    store_big_endian(to + BatchHeader::producer_epoch, options_.producer_epoch.value);
    store_big_endian(to + BatchHeader::base_sequence, options_.base_sequence);
    store_big_endian(to + BatchHeader::record_count, count_);
    store_big_endian(to + BatchHeader::crc,
                     crc32c(ByteView{batch}.subspan(BatchHeader::attributes)));
}

}  // namespace millrace::record
