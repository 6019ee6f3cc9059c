// record/record_view.h
//
// The records inside a batch of magic 2, one after another, allocating nothing per record.
//
//     RecordReader reader{batch, decompressor};
//     for (RecordView record; reader.next(record);) { ... }
//     MR_TRY_VOID(reader.status());
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::record {

struct HeaderView {
    std::string_view key;
    std::optional<ByteView> value;
};

/// The headers of one record. parse_record() has checked the bytes, so iterating can't fail.
class HeaderRange {
public:
    HeaderRange() = default;
    HeaderRange(ByteView bytes, std::int32_t count) : bytes_(bytes), count_(count) {}

    std::int32_t size() const { return count_; }
    ByteView bytes() const { return bytes_; }  ///< As encoded, without the count.
    bool empty() const { return count_ == 0; }

    class Iterator {
    public:
        Iterator(ByteView rest, std::int32_t left) : rest_(rest), left_(left) { read(); }
        const HeaderView& operator*() const { return current_; }
        const HeaderView* operator->() const { return &current_; }
        Iterator& operator++() {
            --left_;
            read();
            return *this;
        }
        friend bool operator==(const Iterator& it, std::nullptr_t) { return it.left_ == 0; }

    private:
        void read();
        ByteView rest_;
        std::int32_t left_;
        HeaderView current_;
    };
    Iterator begin() const { return {bytes_, count_}; }
    std::nullptr_t end() const { return nullptr; }

private:
    ByteView bytes_;
    std::int32_t count_ = 0;
};

struct RecordView {
    std::int8_t attributes = 0;  ///< None is defined; kept as it came.
    std::int32_t offset_delta = 0;
    std::int64_t timestamp_delta = 0;
    std::optional<ByteView> key;
    std::optional<ByteView> value;
    HeaderRange headers;
    ByteView bytes;  ///< The whole record with its length in front.
};

enum class RecordParse : std::uint8_t { parsed, incomplete, malformed };

/// Reads the record at the front of `from`, its headers included.
RecordParse parse_record(ByteView from, RecordView& record);

inline Offset offset_of(const BatchView& batch, const RecordView& record) {
    return Offset{static_cast<std::int64_t>(static_cast<std::uint64_t>(batch.base_offset().value) +
                                            static_cast<std::uint64_t>(record.offset_delta))};
}

/// The record's own timestamp as its producer gave it, wrapping where a header lies.
inline std::int64_t create_timestamp_of(const BatchView& batch, const RecordView& record) {
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(batch.base_timestamp()) +
                                     static_cast<std::uint64_t>(record.timestamp_delta));
}

/// What consumers see: the append time if the batch says so.
inline std::int64_t timestamp_of(const BatchView& batch, const RecordView& record) {
    return batch.timestamp_type() == TimestampType::log_append_time
               ? batch.max_timestamp()
               : create_timestamp_of(batch, record);
}

class RecordReader {
public:
    /// The batch must not be compressed.
    explicit RecordReader(const BatchView& batch);

    /// Any batch. A compressed one is decoded window by window, so a record's views live only
    /// until the following next(), and `decompressor` is taken until the reader is done.
    RecordReader(const BatchView& batch, Decompressor& decompressor, DecompressLimits limits = {});

    /// False at the end and on an error; status() tells them apart.
    bool next(RecordView& record);

    /// An error if the records disagree with the batch: Code::corrupt for the bytes,
    /// Code::exhausted for a limit, Code::unsupported for the codec. Meaningful once next() is
    /// false.
    Result<void> status() const;

    /// The codec, not a record in what it gave, is at fault.
    bool decoding_failed() const { return decoding_failed_; }

    std::int32_t records_read() const { return read_; }

private:
    bool fail(Code code, std::string_view what);
    bool fail_decoding(const Error& error);
    bool refill();
    bool finish();

    Decompressor* source_ = nullptr;
    ByteView rest_;
    std::int32_t count_ = 0;
    std::int32_t read_ = 0;
    Offset base_offset_;
    bool done_ = false;
    bool decoding_failed_ = false;
    std::optional<Error> error_;
};

}  // namespace millrace::record
