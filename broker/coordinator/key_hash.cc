#include "coordinator/key_hash.h"

#include "base/assert.h"

namespace millrace::coordinator {

namespace {

/// Reads one code point; what is not UTF-8 becomes U+FFFD, byte by byte, as Java's decoder does.
char32_t next_code_point(std::string_view text, std::size_t& at) {
    constexpr char32_t replacement = 0xfffd;
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(at);
    if (lead < 0x80) {
        return static_cast<unsigned char>(text[at++]);
    }
    const int extra = lead >= 0xf0 && lead < 0xf5   ? 3
                      : lead >= 0xe0 && lead < 0xf0 ? 2
                      : lead >= 0xc2 && lead < 0xe0 ? 1
                                                    : 0;
    if (extra == 0 || at + static_cast<std::size_t>(extra) >= text.size()) {
        ++at;
        return replacement;
    }
    char32_t point = lead & (0x3f >> extra);
    for (int i = 1; i <= extra; ++i) {
        const unsigned char next = byte(at + static_cast<std::size_t>(i));
        if ((next & 0xc0) != 0x80) {
            ++at;
            return replacement;
        }
        point = (point << 6) | (next & 0x3f);
    }
    at += static_cast<std::size_t>(extra) + 1;
    return point;
}

}  // namespace

std::int32_t java_string_hash(std::string_view utf8) {
    std::uint32_t hash = 0;
    for (std::size_t at = 0; at < utf8.size();) {
        char32_t point = next_code_point(utf8, at);
        if (point >= 0x10000) {  // two UTF-16 units
            point -= 0x10000;
            hash = 31 * hash + (0xd800 + static_cast<std::uint32_t>(point >> 10));
            point = 0xdc00 + (point & 0x3ff);
        }
        hash = 31 * hash + static_cast<std::uint32_t>(point);
    }
    return static_cast<std::int32_t>(hash);
}

PartitionIndex partition_for_key(std::string_view key, std::int32_t partition_count) {
    MR_ASSERT(partition_count > 0);
    const std::int32_t hash = java_string_hash(key);
    const std::int32_t positive = hash == INT32_MIN ? 0 : (hash < 0 ? -hash : hash);
    return PartitionIndex{positive % partition_count};
}

}  // namespace millrace::coordinator
