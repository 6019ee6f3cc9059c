// base/crc32c.h
//
// CRC-32C (Castagnoli), the checksum of record batches and of our own files. Runs on SSE4.2 with
// PCLMULQDQ where the processor has them, else on a portable table walk; both give the same value.
// Values are in the usual form: pre- and post-inverted, crc32c("123456789") == 0xe3069283.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace millrace {

/// The checksum of what `crc` covers followed by `data`; 0 covers nothing.
std::uint32_t crc32c_extend(std::uint32_t crc, ByteView data);

inline std::uint32_t crc32c(ByteView data) {
    return crc32c_extend(0, data);
}

/// The checksum of A followed by B from theirs alone, in O(log length_b).
std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b);

/// The checksum after `before` was replaced by `after` (same size) with `tail` unchanged bytes
/// behind it: CRC is linear, so nothing else is read.
std::uint32_t crc32c_patch(std::uint32_t crc, ByteView before, ByteView after, std::uint64_t tail);

/// The two ways by name, for the tests that hold one against the other and for benchmarks.
namespace crc32c_ways {
std::uint32_t portable(std::uint32_t crc, ByteView data);
bool hardware_available();
std::uint32_t hardware(std::uint32_t crc, ByteView data);  ///< Only if hardware_available().
}  // namespace crc32c_ways

}  // namespace millrace
