// base/bytes.h
//
// Views and buffers of raw bytes, big-endian loads and stores (Kafka's order), and a size with a
// unit.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace millrace {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;
using Buffer = std::vector<std::byte>;

inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <typename T>
    requires std::is_integral_v<T>
T load_big_endian(const std::byte* from) {
    std::make_unsigned_t<T> value;
    std::memcpy(&value, from, sizeof(value));
    if constexpr (sizeof(T) == 2) {
        value = __builtin_bswap16(value);
    } else if constexpr (sizeof(T) == 4) {
        value = __builtin_bswap32(value);
    } else if constexpr (sizeof(T) == 8) {
        value = __builtin_bswap64(value);
    }
    return static_cast<T>(value);
}

template <typename T>
    requires std::is_integral_v<T>
void store_big_endian(std::byte* to, T value) {
    auto raw = static_cast<std::make_unsigned_t<T>>(value);
    if constexpr (sizeof(T) == 2) {
        raw = __builtin_bswap16(raw);
    } else if constexpr (sizeof(T) == 4) {
        raw = __builtin_bswap32(raw);
    } else if constexpr (sizeof(T) == 8) {
        raw = __builtin_bswap64(raw);
    }
    std::memcpy(to, &raw, sizeof(raw));
}

/// A count of bytes: 64_KiB, 1_GiB.
struct Bytes {
    std::int64_t count = 0;
    friend constexpr auto operator<=>(const Bytes&, const Bytes&) = default;
    friend constexpr Bytes operator+(Bytes a, Bytes b) { return {a.count + b.count}; }
    friend constexpr Bytes operator-(Bytes a, Bytes b) { return {a.count - b.count}; }
};

constexpr Bytes operator""_B(unsigned long long n) { return {static_cast<std::int64_t>(n)}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return {static_cast<std::int64_t>(n << 10)}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {static_cast<std::int64_t>(n << 20)}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {static_cast<std::int64_t>(n << 30)}; }

}  // namespace millrace
