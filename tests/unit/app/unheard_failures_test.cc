#include "app/internal/unheard_failures.h"

#include <gtest/gtest.h>

namespace millrace::app::test {
namespace {

using namespace std::chrono_literals;

const Uuid one{0, 1};
const Uuid other{0, 2};
constexpr Instant start{100'000'000'000};

TEST(UnheardFailures, are_overdue_once_the_controller_has_not_heard_of_them_for_the_whole_time) {
    UnheardFailures failures(30s);
    EXPECT_FALSE(failures.is_overdue({one}, start));
    EXPECT_FALSE(failures.is_overdue({one}, start + 29s));
    EXPECT_TRUE(failures.is_overdue({one}, start + 30s));
}

TEST(UnheardFailures, that_the_controller_knows_never_are) {
    UnheardFailures failures(30s);
    EXPECT_FALSE(failures.is_overdue({one}, start));
    failures.heard({one});
    EXPECT_FALSE(failures.is_overdue({one}, start + 300s));
}

TEST(UnheardFailures, have_their_own_time_each) {
    UnheardFailures failures(30s);
    EXPECT_FALSE(failures.is_overdue({one}, start));
    failures.heard({one});
    EXPECT_FALSE(failures.is_overdue({one}, start + 20s));
    EXPECT_FALSE(failures.is_overdue({one, other}, start + 40s));
    EXPECT_FALSE(failures.is_overdue({one, other}, start + 69s));
    EXPECT_TRUE(failures.is_overdue({one, other}, start + 70s));
}

}  // namespace
}  // namespace millrace::app::test
