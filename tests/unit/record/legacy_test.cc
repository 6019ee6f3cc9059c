#include "record/legacy.h"

#include <gtest/gtest.h>

#include "tests/unit/record/describe.h"

namespace millrace::record {
namespace {

std::vector<Vector> legacy_vectors() {
    std::vector<Vector> chosen;
    for (Vector& vector : read_vectors("batches.txt")) {
        if (vector.name.starts_with("legacy/")) {
            chosen.push_back(std::move(vector));
        }
    }
    return chosen;
}

TEST(Legacy, there_is_a_vector_of_each_kind) {
    EXPECT_EQ(legacy_vectors().size(), 9u);
}

TEST(Legacy, a_cut_message_is_told_from_a_broken_one) {
    for (const Vector& vector : legacy_vectors()) {
        for (std::size_t size = 0; size < vector.bytes.size(); ++size) {
            const auto entry = LegacyEntry::parse(ByteView{vector.bytes}.first(size));
            ASSERT_FALSE(entry.has_value());
            EXPECT_EQ(entry.error().code(), Code::again);
        }
    }
}

TEST(Legacy, no_flipped_bit_is_converted) {
    Decompressor decompressor;
    for (const Vector& vector : legacy_vectors()) {
        for (std::size_t at = 16; at < vector.bytes.size(); ++at) {
            Buffer bad = vector.bytes;
            bad[at] ^= std::byte{0x04};
            const auto entry = LegacyEntry::parse(bad);
            EXPECT_FALSE(entry && to_current(*entry, decompressor)) << vector.name << ' ' << at;
        }
    }
}

TEST(Legacy, a_bomb_is_not_opened_past_the_limit) {
    for (const Vector& vector : legacy_vectors()) {
        const auto entry = LegacyEntry::parse(vector.bytes);
        if (entry->compression() == Compression::none) {
            continue;
        }
        Decompressor decompressor;
        EXPECT_EQ(to_current(*entry, decompressor, {.output = 50}).error().code(), Code::exhausted)
            << vector.name;
    }
}

TEST(Legacy, a_batch_of_magic_2_is_not_its_business) {
    for (const Vector& vector : read_vectors("librdkafka.txt")) {
        EXPECT_EQ(LegacyEntry::parse(vector.bytes).error().code(), Code::unsupported);
    }
}

}  // namespace
}  // namespace millrace::record
