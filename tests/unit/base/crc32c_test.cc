#include "base/crc32c.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "base/bytes.h"

namespace millrace {
namespace {

Buffer pseudo_random(std::size_t size) {
    Buffer bytes(size);
    std::uint64_t state = 0x9e3779b97f4a7c15ULL + size;
    for (auto& b : bytes) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        b = static_cast<std::byte>(state >> 56);
    }
    return bytes;
}

// RFC 3720 B.4 and the customary check value.
TEST(Crc32c, gives_the_published_values) {
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
    EXPECT_EQ(crc32c(Buffer(32, std::byte{0})), 0x8a9136aau);
    EXPECT_EQ(crc32c(Buffer(32, std::byte{0xff})), 0x62a8ab43u);
    Buffer ascending(32);
    for (std::size_t i = 0; i < 32; ++i) {
        ascending[i] = static_cast<std::byte>(i);
    }
    EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
    EXPECT_EQ(crc32c({}), 0u);
}

TEST(Crc32c, portable_gives_the_published_value) {
    EXPECT_EQ(crc32c_ways::portable(0, as_bytes("123456789")), 0xe3069283u);
}

// Sizes around every block boundary of the three-lane walk, at every alignment.
TEST(Crc32c, hardware_agrees_with_portable_at_every_boundary) {
    if (!crc32c_ways::hardware_available()) {
        GTEST_SKIP() << "this processor has no SSE4.2 with PCLMULQDQ";
    }
    const Buffer bytes = pseudo_random(20'000);
    for (const std::size_t centre :
         {0u, 8u, 256u, 768u, 1536u, 2048u, 6144u, 6912u, 12'288u, 19'000u}) {
        for (std::size_t size = centre > 9 ? centre - 9 : 0; size < centre + 9; ++size) {
            for (std::size_t skip = 0; skip < 8; ++skip) {
                const ByteView part = ByteView{bytes}.subspan(skip, size);
                ASSERT_EQ(crc32c_ways::hardware(0x1234567, part),
                          crc32c_ways::portable(0x1234567, part))
                    << size << " bytes from " << skip;
            }
        }
    }
}

TEST(Crc32c, extends_and_combines_to_the_same_as_one_walk) {
    const Buffer bytes = pseudo_random(70'001);
    for (const std::size_t cut :
         {std::size_t{0}, std::size_t{1}, std::size_t{4096}, std::size_t{65'537}, bytes.size()}) {
        const ByteView head = ByteView{bytes}.first(cut);
        const ByteView tail = ByteView{bytes}.subspan(cut);
        EXPECT_EQ(crc32c_extend(crc32c(head), tail), crc32c(bytes));
        EXPECT_EQ(crc32c_combine(crc32c(head), crc32c(tail), tail.size()), crc32c(bytes));
    }
}

TEST(Crc32c, patches_a_changed_field_without_reading_the_rest) {
    Buffer bytes = pseudo_random(100'000);
    const std::uint32_t before = crc32c(bytes);
    const Buffer old_field(bytes.begin() + 35, bytes.begin() + 43);
    const Buffer new_field = pseudo_random(8);
    std::copy(new_field.begin(), new_field.end(), bytes.begin() + 35);
    EXPECT_EQ(crc32c_patch(before, old_field, new_field, bytes.size() - 43), crc32c(bytes));
    EXPECT_NE(before, crc32c(bytes));
}

}  // namespace
}  // namespace millrace
