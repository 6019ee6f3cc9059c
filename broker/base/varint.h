// base/varint.h
//
// Base-128 integers as Kafka writes them: unsigned (compact lengths, tags) and zigzag (records).
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"

namespace millrace {

inline constexpr std::size_t max_varint32_size = 5;
inline constexpr std::size_t max_varint64_size = 10;

/// Reads one unsigned varint of at most `max_size` bytes; returns the bytes used, 0 if the input
/// is cut or the number too long.
inline std::size_t read_unsigned_varint(ByteView from, std::uint64_t& value,
                                        std::size_t max_size = max_varint64_size) {
    std::uint64_t result = 0;
    const std::size_t limit = from.size() < max_size ? from.size() : max_size;
    for (std::size_t i = 0; i < limit; ++i) {
        const auto byte = static_cast<std::uint64_t>(from[i]);
        result |= (byte & 0x7f) << (7 * i);
        if ((byte & 0x80) == 0) {
            value = result;
            return i + 1;
        }
    }
    return 0;
}

/// Writes to `to`, which holds at least max_varint64_size bytes; returns the bytes used.
inline std::size_t write_unsigned_varint(std::byte* to, std::uint64_t value) {
    std::size_t n = 0;
    while (value >= 0x80) {
        to[n++] = static_cast<std::byte>((value & 0x7f) | 0x80);
        value >>= 7;
    }
    to[n++] = static_cast<std::byte>(value);
    return n;
}

inline std::size_t unsigned_varint_size(std::uint64_t value) {
    std::size_t n = 1;
    while (value >= 0x80) {
        value >>= 7;
        ++n;
    }
    return n;
}

inline std::uint64_t zigzag_encode(std::int64_t value) {
    return (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63);
}
inline std::int64_t zigzag_decode(std::uint64_t value) {
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
}

}  // namespace millrace
