// record/legacy.h
//
// Message sets of magic 0 and 1, as segments written before Kafka 0.11 hold them. Read only: they
// are turned into batches of magic 2 for whoever fetches; produce refuses them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "model/ids.h"
#include "record/batch_view.h"
#include "record/compression.h"

namespace millrace::record {

/// One entry: a message, or the wrapper around a compressed set of them.
struct LegacyEntry {
    /// A wrapper carries the offset of its last message.
    Offset offset;
    std::uint32_t crc = 0;  ///< CRC-32 (zlib's), not Castagnoli's.
    std::int8_t magic = 0;
    std::int8_t attributes = 0;
    std::int64_t timestamp = no_timestamp;  ///< Magic 0 has none.
    std::optional<ByteView> key;
    std::optional<ByteView> value;
    ByteView bytes;

    Compression compression() const {
        return static_cast<Compression>(attributes & BatchHeader::compression_mask);
    }
    TimestampType timestamp_type() const {
        return magic > 0 && (attributes & BatchHeader::timestamp_type_bit) != 0
                   ? TimestampType::log_append_time
                   : TimestampType::create_time;
    }
    bool check_crc() const;

    /// The entry at the front of `bytes`. Code::again if it goes on beyond them, Code::unsupported
    /// for magic 2, else Code::corrupt.
    static Result<LegacyEntry> parse(ByteView bytes);
};

/// One uncompressed batch of magic 2 with the entry's messages at their offsets.
Result<Buffer> to_current(const LegacyEntry& entry, Decompressor& decompressor,
                          DecompressLimits limits = {});

}  // namespace millrace::record
