#include "record/record_view.h"

#include "base/assert.h"
#include "base/varint.h"

namespace millrace::record {

namespace {

/// A sticky cursor over bytes that may lie: after a failure every read gives zero.
class Cursor {
public:
    explicit Cursor(ByteView bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

    std::int8_t int8() {
        if (at_ == end_) [[unlikely]] {
            return fail();
        }
        return static_cast<std::int8_t>(*at_++);
    }

    std::int32_t varint() {
        if (std::uint64_t raw; short_varint(raw)) [[likely]] {
            return static_cast<std::int32_t>(zigzag_decode(raw));
        }
        // As Kafka, bits past the 32nd of a fifth byte are dropped.
        return static_cast<std::int32_t>(
            zigzag_decode(static_cast<std::uint32_t>(long_varint(max_varint32_size))));
    }

    std::int64_t varlong() {
        if (std::uint64_t raw; short_varint(raw)) [[likely]] {
            return zigzag_decode(raw);
        }
        return zigzag_decode(long_varint(max_varint64_size));
    }

    ByteView take(std::int32_t count) {
        if (count > end_ - at_) [[unlikely]] {
            fail();
            return {};
        }
        const ByteView taken{at_, static_cast<std::size_t>(count)};
        at_ += count;
        return taken;
    }

    /// A negative length stands for null.
    std::optional<ByteView> nullable() {
        const std::int32_t length = varint();
        if (length < 0) {
            return std::nullopt;
        }
        return take(length);
    }

    std::int8_t fail() {
        failed_ = true;
        at_ = end_;
        return 0;
    }

    bool failed() const { return failed_; }
    ByteView rest() const { return {at_, end_}; }

private:
    /// Nearly all numbers in a record take one or two bytes: no loop for those.
    bool short_varint(std::uint64_t& raw) {
        if (end_ - at_ < 2) [[unlikely]] {
            return false;
        }
        const auto first = static_cast<std::uint64_t>(at_[0]);
        if (first < 0x80) {
            raw = first;
            at_ += 1;
            return true;
        }
        const auto second = static_cast<std::uint64_t>(at_[1]);
        raw = (first & 0x7f) | (second << 7);
        at_ += second < 0x80 ? 2 : 0;
        return second < 0x80;
    }

    std::uint64_t long_varint(std::size_t max_size) {
        std::uint64_t value = 0;
        const std::size_t used = read_unsigned_varint(rest(), value, max_size);
        if (used == 0) [[unlikely]] {
            fail();
            return 0;
        }
        at_ += used;
        return value;
    }

    const std::byte* at_;
    const std::byte* end_;
    bool failed_ = false;
};

HeaderView read_header(Cursor& cursor) {
    HeaderView header;
    const std::int32_t key_length = cursor.varint();
    if (key_length < 0) {
        cursor.fail();
        return header;
    }
    header.key = as_text(cursor.take(key_length));
    header.value = cursor.nullable();
    return header;
}

HeaderRange read_headers(Cursor& cursor) {
    const std::int32_t count = cursor.varint();
    const ByteView bytes = cursor.rest();
    if (count < 0) {
        cursor.fail();
        return {};
    }
    // A header takes two bytes at least, so a lying count ends with the bytes.
    for (std::int32_t i = 0; i < count && !cursor.failed(); ++i) {
        read_header(cursor);
    }
    return {bytes, count};
}

}  // namespace

void HeaderRange::Iterator::read() {
    if (left_ == 0) {
        return;
    }
    Cursor cursor{rest_};
    current_ = read_header(cursor);
    rest_ = cursor.rest();
}

RecordParse parse_record(ByteView from, RecordView& record) {
    Cursor outer{from};
    const std::int32_t length = outer.varint();
    if (outer.failed()) {
        return from.size() < max_varint32_size ? RecordParse::incomplete : RecordParse::malformed;
    }
    const std::size_t prefix = from.size() - outer.rest().size();
    if (length < 0) {
        return RecordParse::malformed;
    }
    const std::size_t size = prefix + static_cast<std::size_t>(length);
    if (size > from.size()) {
        return RecordParse::incomplete;
    }
    record.bytes = from.first(size);
    Cursor cursor{record.bytes.subspan(prefix)};
    record.attributes = cursor.int8();
    record.timestamp_delta = cursor.varlong();
    record.offset_delta = cursor.varint();
    record.key = cursor.nullable();
    record.value = cursor.nullable();
    record.headers = read_headers(cursor);
    return cursor.failed() || !cursor.rest().empty() ? RecordParse::malformed : RecordParse::parsed;
}

RecordReader::RecordReader(const BatchView& batch)
    : rest_(batch.payload()), count_(batch.record_count()), base_offset_(batch.base_offset()) {
    MR_ASSERT(batch.compression() == Compression::none);
}

RecordReader::RecordReader(const BatchView& batch, Decompressor& decompressor,
                           DecompressLimits limits)
    : count_(batch.record_count()), base_offset_(batch.base_offset()) {
    if (batch.compression() == Compression::none) {
        rest_ = batch.payload();
        return;
    }
    // A batch that compaction emptied keeps its header alone.
    if (count_ == 0 && batch.payload().empty()) {
        return;
    }
    source_ = &decompressor;
    if (auto begun = decompressor.begin(batch.compression(), batch.payload(), limits); !begun) {
        fail_decoding(begun.error());
    }
}

bool RecordReader::next(RecordView& record) {
    while (!done_) {
        if (read_ >= count_) {
            return finish();
        }
        switch (parse_record(rest_, record)) {
            case RecordParse::parsed:
                rest_ = rest_.subspan(record.bytes.size());
                ++read_;
                return true;
            case RecordParse::incomplete:
                if (!refill()) {
                    return done_ ? false : fail(Code::corrupt, "cut");
                }
                break;
            case RecordParse::malformed:
                return fail(Code::corrupt, "malformed");
        }
    }
    return false;
}

Result<void> RecordReader::status() const {
    return error_ ? Result<void>{*error_} : Result<void>{};
}

/// False if nothing more comes; an error sets done_ besides.
bool RecordReader::refill() {
    if (source_ == nullptr) {
        return false;
    }
    auto window = source_->more(rest_.size());
    if (!window) {
        return fail_decoding(window.error());
    }
    const bool grew = window->size() > rest_.size();
    rest_ = *window;
    return grew;
}

/// All records are read: nothing may follow them.
bool RecordReader::finish() {
    if (count_ < 0) {
        return fail(Code::corrupt, "negative in number");
    }
    if (!rest_.empty() || refill()) {
        return fail(Code::corrupt, "followed by more bytes");
    }
    done_ = true;
    return false;
}

bool RecordReader::fail_decoding(const Error& error) {
    done_ = true;
    decoding_failed_ = true;
    error_ = error;
    return false;
}

bool RecordReader::fail(Code code, std::string_view what) {
    done_ = true;
    error_ = Error::make(code, "batch at offset {}: record {} of {} is {}", base_offset_.value,
                         read_, count_, what);
    return false;
}

}  // namespace millrace::record
