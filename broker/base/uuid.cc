#include "base/uuid.h"

#include <array>

namespace millrace {
namespace {

constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int digit_of(char c) {
    const auto at = alphabet.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

Uuid Uuid::random(Random& random) {
    for (;;) {
        Uuid id{random.next(), random.next()};
        id.high = (id.high & 0xffffffffffff0fffULL) | 0x4000ULL;
        id.low = (id.low & 0x3fffffffffffffffULL) | 0x8000000000000000ULL;
        if (id.to_string().front() != '-') {
            return id;
        }
    }
}

std::optional<Uuid> Uuid::parse(std::string_view text) {
    if (text.size() != 22) {
        return std::nullopt;
    }
    std::array<std::uint8_t, 17> bytes{};
    std::size_t bit = 0;
    for (const char c : text) {
        const int digit = digit_of(c);
        if (digit < 0) {
            return std::nullopt;
        }
        for (int i = 5; i >= 0; --i, ++bit) {
            if ((digit >> i) & 1) {
                bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] | (0x80U >> (bit % 8)));
            }
        }
    }
    Uuid id;
    for (std::size_t i = 0; i < 8; ++i) {
        id.high = (id.high << 8) | bytes[i];
        id.low = (id.low << 8) | bytes[i + 8];
    }
    return id;
}

std::string Uuid::to_string() const {
    std::string text;
    text.reserve(22);
    // 128 bits in 6-bit digits, the last one padded with four zero bits.
    for (int digit = 0; digit < 22; ++digit) {
        unsigned value = 0;
        for (int i = 0; i < 6; ++i) {
            const int bit = digit * 6 + i;
            std::uint64_t set = 0;
            if (bit < 64) {
                set = (high >> (63 - bit)) & 1;
            } else if (bit < 128) {
                set = (low >> (127 - bit)) & 1;
            }
            value = (value << 1) | static_cast<unsigned>(set);
        }
        text.push_back(alphabet[value]);
    }
    return text;
}

}  // namespace millrace
