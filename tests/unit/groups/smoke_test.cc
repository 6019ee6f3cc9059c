#include "group_fixture.h"
namespace millrace::groups {
namespace {
TEST_F(GroupTest, smoke) {
    const auto ids = stable_group(2);
    EXPECT_EQ(state(), "Stable");
}
}  // namespace
}  // namespace millrace::groups
