#include "base/crc32c.h"

#include <array>

#include "base/assert.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define MR_CRC32C_X86 1
#endif

namespace millrace {

namespace {

// Polynomials over GF(2) modulo Castagnoli's, bit-reflected: the highest bit is x^0.
constexpr std::uint32_t polynomial = 0x82f63b78;
constexpr std::uint32_t one = 0x80000000;

constexpr std::uint32_t times_x(std::uint32_t a) {
    return (a >> 1) ^ ((a & 1) != 0 ? polynomial : 0);
}

constexpr std::uint32_t multiply(std::uint32_t a, std::uint32_t b) {
    std::uint32_t product = 0;
    for (std::uint32_t bit = one; bit != 0; bit >>= 1) {
        product ^= (a & bit) != 0 ? b : 0;
        b = times_x(b);
    }
    return product;
}

// squares[k] = x^(2^k)
constexpr auto squares = [] {
    std::array<std::uint32_t, 67> table{};
    std::uint32_t power = times_x(one);
    for (auto& entry : table) {
        entry = power;
        power = multiply(power, power);
    }
    return table;
}();

/// x^(8 * bytes)
constexpr std::uint32_t power_of_bytes(std::uint64_t bytes) {
    std::uint32_t result = one;
    for (std::size_t k = 3; bytes != 0; ++k, bytes >>= 1) {
        if ((bytes & 1) != 0) {
            result = multiply(squares[k], result);
        }
    }
    return result;
}

// tables[0] is the classic byte table; tables[n] runs a byte n places further, so that eight bytes
// are looked up independently of each other (slicing by 8).
constexpr auto tables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> result{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) {
            crc = times_x(crc);
        }
        result[0][i] = crc;
    }
    for (std::size_t slice = 1; slice < 8; ++slice) {
        for (std::size_t i = 0; i < 256; ++i) {
            const std::uint32_t previous = result[slice - 1][i];
            result[slice][i] = (previous >> 8) ^ result[0][previous & 0xff];
        }
    }
    return result;
}();

std::uint32_t extend_bytes(std::uint32_t state, const std::byte* at, std::size_t count) {
    for (; count != 0; --count, ++at) {
        state = (state >> 8) ^ tables[0][(state ^ static_cast<std::uint32_t>(*at)) & 0xff];
    }
    return state;
}

std::uint64_t load_little_endian(const std::byte* from) {
    std::uint64_t value;
    std::memcpy(&value, from, sizeof(value));
    if constexpr (std::endian::native == std::endian::big) {
        value = __builtin_bswap64(value);
    }
    return value;
}

}  // namespace

std::uint32_t crc32c_ways::portable(std::uint32_t crc, ByteView data) {
    std::uint32_t state = ~crc;
    const std::byte* at = data.data();
    std::size_t left = data.size();
    for (; left >= 8; left -= 8, at += 8) {
        const std::uint64_t word = load_little_endian(at) ^ state;
        state = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^
                tables[5][(word >> 16) & 0xff] ^ tables[4][(word >> 24) & 0xff] ^
                tables[3][(word >> 32) & 0xff] ^ tables[2][(word >> 40) & 0xff] ^
                tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
    }
    return ~extend_bytes(state, at, left);
}

#ifdef MR_CRC32C_X86

namespace {

// The crc32 instruction has a latency of three cycles and starts one per cycle, so three lanes
// run side by side and are folded together at the end of each block.
constexpr std::size_t long_lane = 2048;
constexpr std::size_t short_lane = 256;

/// x^(8 * bytes - 33): the carry-less product doubles the degree and the closing crc32 of eight
/// bytes multiplies by x^32 more, one less for reflection.
constexpr std::uint32_t fold_constant(std::size_t bytes) {
    std::uint32_t power = power_of_bytes(bytes - 5);  // 8 * (bytes - 5) + 7 == 8 * bytes - 33
    for (int i = 0; i < 7; ++i) {
        power = times_x(power);
    }
    return power;
}

__attribute__((target("sse4.2,pclmul"))) std::uint64_t fold(std::uint64_t state,
                                                            std::uint32_t constant) {
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<long long>(state)),
                             _mm_cvtsi64_si128(static_cast<long long>(constant)), 0);
    return _mm_crc32_u64(0, static_cast<std::uint64_t>(_mm_cvtsi128_si64(product)));
}

template <std::size_t lane>
__attribute__((target("sse4.2,pclmul"))) void extend_blocks(std::uint64_t& state,
                                                            const std::byte*& at,
                                                            std::size_t& left) {
    static constexpr std::uint32_t by_two_lanes = fold_constant(2 * lane);
    static constexpr std::uint32_t by_one_lane = fold_constant(lane);
    while (left >= 3 * lane) {
        std::uint64_t a = state;
        std::uint64_t b = 0;
        std::uint64_t c = 0;
        for (std::size_t i = 0; i < lane; i += 8) {
            a = _mm_crc32_u64(a, load_little_endian(at + i));
            b = _mm_crc32_u64(b, load_little_endian(at + lane + i));
            c = _mm_crc32_u64(c, load_little_endian(at + 2 * lane + i));
        }
        state = fold(a, by_two_lanes) ^ fold(b, by_one_lane) ^ c;
        at += 3 * lane;
        left -= 3 * lane;
    }
}

__attribute__((target("sse4.2,pclmul"))) std::uint32_t extend_hardware(std::uint32_t crc,
                                                                       ByteView data) {
    std::uint64_t state = ~crc;
    const std::byte* at = data.data();
    std::size_t left = data.size();
    extend_blocks<long_lane>(state, at, left);
    extend_blocks<short_lane>(state, at, left);
    for (; left >= 8; left -= 8, at += 8) {
        state = _mm_crc32_u64(state, load_little_endian(at));
    }
    auto narrow = static_cast<std::uint32_t>(state);
    for (; left != 0; --left, ++at) {
        narrow = _mm_crc32_u8(narrow, static_cast<std::uint8_t>(*at));
    }
    return ~narrow;
}

}  // namespace

bool crc32c_ways::hardware_available() {
    static const bool available =
        __builtin_cpu_supports("sse4.2") != 0 && __builtin_cpu_supports("pclmul") != 0;
    return available;
}

std::uint32_t crc32c_ways::hardware(std::uint32_t crc, ByteView data) {
    MR_ASSERT(hardware_available());
    return extend_hardware(crc, data);
}

std::uint32_t crc32c_extend(std::uint32_t crc, ByteView data) {
    return crc32c_ways::hardware_available() ? extend_hardware(crc, data)
                                             : crc32c_ways::portable(crc, data);
}

#else

bool crc32c_ways::hardware_available() {
    return false;
}

std::uint32_t crc32c_ways::hardware(std::uint32_t, ByteView) {
    MR_ASSERT(false && "no hardware CRC on this processor family");
    return 0;
}

std::uint32_t crc32c_extend(std::uint32_t crc, ByteView data) {
    return crc32c_ways::portable(crc, data);
}

#endif

std::uint32_t crc32c_combine(std::uint32_t crc_a, std::uint32_t crc_b, std::uint64_t length_b) {
    return multiply(power_of_bytes(length_b), crc_a) ^ crc_b;
}

std::uint32_t crc32c_patch(std::uint32_t crc, ByteView before, ByteView after, std::uint64_t tail) {
    MR_ASSERT(before.size() == after.size());
    // Equal lengths: the inversions cancel out, and what stays is the plain remainder of the
    // difference, moved left over the tail.
    const std::uint32_t difference = crc32c_extend(0, before) ^ crc32c_extend(0, after);
    return crc ^ multiply(power_of_bytes(tail), difference);
}

}  // namespace millrace
