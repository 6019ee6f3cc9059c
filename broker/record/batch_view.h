// record/batch_view.h
//
// A record batch of magic 2 where it lies: in a request, a segment file or a mapped page. Nothing
// is copied; a view lives as long as the bytes it was made from. Everything here may be called from
// any thread. Parsing is structural only: who takes bytes from outside also calls check()
// (replicas, recovery) or record/validate.h (producers). Records are read with
// record/record_view.h, old formats with record/legacy.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"
#include "record/types.h"

namespace millrace::record {

/// Where the fields lie. The CRC covers everything from `attributes` to the end of the batch, so
/// base offset, length and leader epoch can be rewritten freely.
struct BatchHeader {
    static constexpr std::size_t base_offset = 0;              // int64
    static constexpr std::size_t batch_length = 8;             // int32, counted from leader epoch
    static constexpr std::size_t partition_leader_epoch = 12;  // int32
    static constexpr std::size_t magic = 16;                   // int8
    static constexpr std::size_t crc = 17;                     // uint32
    static constexpr std::size_t attributes = 21;              // int16
    static constexpr std::size_t last_offset_delta = 23;       // int32
    static constexpr std::size_t base_timestamp = 27;          // int64
    static constexpr std::size_t max_timestamp = 35;           // int64
    static constexpr std::size_t producer_id = 43;             // int64
    static constexpr std::size_t producer_epoch = 51;          // int16
    static constexpr std::size_t base_sequence = 53;           // int32
    static constexpr std::size_t record_count = 57;            // int32
    static constexpr std::size_t size = 61;

    static constexpr std::size_t length_overhead = 12;  ///< What batch_length does not count.
    static constexpr std::int8_t current_magic = 2;

    static constexpr std::int16_t compression_mask = 0x07;
    static constexpr std::int16_t timestamp_type_bit = 0x08;
    static constexpr std::int16_t transactional_bit = 0x10;
    static constexpr std::int16_t control_bit = 0x20;
    static constexpr std::int16_t delete_horizon_bit = 0x40;
};

inline constexpr std::int32_t no_sequence = -1;
inline constexpr std::int64_t no_timestamp = -1;

/// How the bytes at the front of a range look before anything but magic and length is believed.
enum class Framing : std::uint8_t {
    complete,    ///< A whole batch of magic 2.
    incomplete,  ///< A proper beginning; the rest lies beyond the range (a cut fetch, a torn tail).
    old_magic,   ///< A message set entry of magic 0 or 1: see record/legacy.h.
    malformed,   ///< An impossible length or an unknown magic.
};

struct Frame {
    Framing framing = Framing::malformed;
    std::size_t size = 0;  ///< Of the entry, once its length is readable and possible; else 0.
};

/// Looks at length and magic of the first entry. 17 bytes are enough to know everything.
Frame frame_first(ByteView bytes);

class BatchView {
public:
    /// The first batch in `bytes`; what follows it is ignored. Code::again: the batch goes on
    /// beyond the range. Code::unsupported: magic 0 or 1. Code::corrupt: anything else.
    static Result<BatchView> parse(ByteView bytes);

    Offset base_offset() const { return Offset{load<std::int64_t>(BatchHeader::base_offset)}; }
    Offset last_offset() const {
        // Wraps instead of overflowing when the header lies; check() refuses such a batch.
        return Offset{static_cast<std::int64_t>(static_cast<std::uint64_t>(base_offset().value) +
                                                static_cast<std::uint64_t>(last_offset_delta()))};
    }
    Offset next_offset() const {
        return Offset{
            static_cast<std::int64_t>(static_cast<std::uint64_t>(last_offset().value) + 1)};
    }
    std::int32_t batch_length() const { return load<std::int32_t>(BatchHeader::batch_length); }
    LeaderEpoch partition_leader_epoch() const {
        return LeaderEpoch{load<std::int32_t>(BatchHeader::partition_leader_epoch)};
    }
    std::int8_t magic() const { return load<std::int8_t>(BatchHeader::magic); }
    std::uint32_t crc() const { return load<std::uint32_t>(BatchHeader::crc); }

    std::int16_t attributes() const { return load<std::int16_t>(BatchHeader::attributes); }
    Compression compression() const {
        return static_cast<Compression>(attributes() & BatchHeader::compression_mask);
    }
    TimestampType timestamp_type() const {
        return (attributes() & BatchHeader::timestamp_type_bit) != 0
                   ? TimestampType::log_append_time
                   : TimestampType::create_time;
    }
    bool is_transactional() const { return (attributes() & BatchHeader::transactional_bit) != 0; }
    bool is_control() const { return (attributes() & BatchHeader::control_bit) != 0; }
    bool has_delete_horizon() const {
        return (attributes() & BatchHeader::delete_horizon_bit) != 0;
    }

    std::int32_t last_offset_delta() const {
        return load<std::int32_t>(BatchHeader::last_offset_delta);
    }
    /// What record timestamps are counted from. Compaction stores the delete horizon here.
    std::int64_t base_timestamp() const { return load<std::int64_t>(BatchHeader::base_timestamp); }
    std::int64_t max_timestamp() const { return load<std::int64_t>(BatchHeader::max_timestamp); }
    std::optional<std::int64_t> delete_horizon() const {
        return has_delete_horizon() ? std::optional{base_timestamp()} : std::nullopt;
    }

    ProducerId producer_id() const {
        return ProducerId{load<std::int64_t>(BatchHeader::producer_id)};
    }
    ProducerEpoch producer_epoch() const {
        return ProducerEpoch{load<std::int16_t>(BatchHeader::producer_epoch)};
    }
    bool has_producer_id() const { return producer_id() > no_producer; }
    std::int32_t base_sequence() const { return load<std::int32_t>(BatchHeader::base_sequence); }
    /// Sequences wrap from 2^31-1 to 0.
    std::int32_t last_sequence() const;

    std::int32_t record_count() const { return load<std::int32_t>(BatchHeader::record_count); }

    std::size_t size() const { return bytes_.size(); }  ///< Of the whole batch, header included.
    ByteView bytes() const { return bytes_; }
    ByteView payload() const { return bytes_.subspan(BatchHeader::size); }  ///< Maybe compressed.

    bool check_crc() const;

    /// CRC and a header that makes sense in a log: offsets not negative and not overflowing, no
    /// more records than offsets. Compacted batches may hold fewer, even none.
    Result<void> check() const;

private:
    explicit BatchView(ByteView bytes) : bytes_(bytes) {}
    friend class BatchRange;

    template <typename T>
    T load(std::size_t at) const {
        return load_big_endian<T>(bytes_.data() + at);
    }

    ByteView bytes_;
};

/// Batch after batch in a buffer.
///
///     BatchRange range{bytes};
///     for (const BatchView batch : range) { ... }
///     if (range.rest_framing() == Framing::malformed) { ... }
///
/// Stops at the first entry that is not a whole batch of magic 2; the rest then starts there.
class BatchRange {
public:
    explicit BatchRange(ByteView bytes) : rest_(bytes) {}

    std::optional<BatchView> next();

    ByteView rest() const { return rest_; }  ///< What next() has not returned yet.
    Framing rest_framing() const;            ///< Of the rest; `complete` if it is empty.

    class Iterator {
    public:
        explicit Iterator(BatchRange* range) : range_(range), batch_(range->next()) {}
        const BatchView& operator*() const { return *batch_; }
        const BatchView* operator->() const { return &*batch_; }
        Iterator& operator++() {
            batch_ = range_->next();
            return *this;
        }
        friend bool operator==(const Iterator& it, std::nullptr_t) { return !it.batch_; }

    private:
        BatchRange* range_;
        std::optional<BatchView> batch_;
    };
    Iterator begin() { return Iterator{this}; }  ///< Consumes: one pass per range.
    std::nullptr_t end() const { return nullptr; }

private:
    ByteView rest_;
};

/// In place, on one whole batch. Base offset and leader epoch lie outside the CRC.
void patch_base_offset(MutableBytes batch, Offset base_offset);
void patch_leader_epoch(MutableBytes batch, LeaderEpoch epoch);

/// Sets timestamp type and max timestamp; with log_append_time, max timestamp is the append time of
/// every record. The CRC is patched by linearity, the payload is not read: a CRC that was right
/// stays right, one that was wrong stays wrong. Does nothing if the header says so already.
void patch_timestamps(MutableBytes batch, TimestampType type, std::int64_t max_timestamp);

}  // namespace millrace::record
