#include "coordinator/key_hash.h"

#include <gtest/gtest.h>

namespace millrace::coordinator {
namespace {

// The numbers are Java's own: "...".hashCode().
TEST(KeyHash, is_javas_string_hash) {
    EXPECT_EQ(java_string_hash(""), 0);
    EXPECT_EQ(java_string_hash("a"), 97);
    EXPECT_EQ(java_string_hash("my-group"), -1906497762);
    EXPECT_EQ(java_string_hash("connect-cluster"), 1440343063);
    EXPECT_EQ(java_string_hash("polygenelubricants"), INT32_MIN);
}

TEST(KeyHash, counts_utf16_units) {
    EXPECT_EQ(java_string_hash("\xc3\xbc"), 252);              // ü
    EXPECT_EQ(java_string_hash("\xe2\x82\xac"), 8364);         // €
    EXPECT_EQ(java_string_hash("\xf0\x9f\x98\x80"), 1772899);  // an emoji: a surrogate pair
}

TEST(KeyHash, is_partition_0_where_abs_overflows) {
    EXPECT_EQ(partition_for_key("polygenelubricants", 50), PartitionIndex{0});
    EXPECT_EQ(partition_for_key("my-group", 50), PartitionIndex{12});
}

}  // namespace
}  // namespace millrace::coordinator
