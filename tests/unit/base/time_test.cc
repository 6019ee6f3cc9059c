#include "base/time.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

constexpr Timestamp now{1'763'900'000'000};

TEST(Timestamps, are_apart_by_their_milliseconds) {
    EXPECT_EQ(now - Timestamp{1'763'899'999'000}, 1s);
    EXPECT_EQ(Timestamp{1'763'899'999'000} - now, -1s);
}

// A producer that writes microseconds, or the least number there is, is in the future or in the
// past all the same.
TEST(Timestamps, that_are_further_apart_than_a_duration_holds_keep_their_order) {
    for (const std::int64_t far : {std::int64_t{1'763'900'000'000'000},
                                   std::int64_t{1'763'900'000'000'000'000}, INT64_MAX}) {
        EXPECT_LT(now - Timestamp{far}, -290 * 365 * 24h);
        EXPECT_GT(Timestamp{far} - now, 290 * 365 * 24h);
    }
    EXPECT_GT(now - Timestamp{INT64_MIN}, 290 * 365 * 24h);
    EXPECT_GT(Timestamp{INT64_MAX} - Timestamp{INT64_MIN}, Duration{0});
}

}  // namespace
}  // namespace millrace
