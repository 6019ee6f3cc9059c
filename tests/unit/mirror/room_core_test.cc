// Whether there is room for what a link is about to copy.
#include "mirror/room_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr BrokerId b1{1};
constexpr BrokerId b2{2};
constexpr BrokerId b3{3};

TEST(MirrorRoom, what_fits_is_not_lacking_and_what_is_left_is_told) {
    const auto verdict = find_room({}, {{"orders", {30, 20}}}, 1, {{b1, {100}}});
    EXPECT_THAT(verdict.lacking, IsEmpty());
    EXPECT_EQ(verdict.needed, 0);
    EXPECT_EQ(verdict.left, 50);
}

TEST(MirrorRoom, every_copy_takes_room_on_a_broker_of_its_own) {
    const std::vector<Wanted> wanted{{"orders", {60}}};
    EXPECT_THAT(find_room({}, wanted, 2, {{b1, {100}}, {b2, {70}}}).lacking, IsEmpty());
    const auto verdict = find_room({}, wanted, 3, {{b1, {100}}, {b2, {70}}, {b3, {50}}});
    EXPECT_THAT(verdict.lacking, ElementsAre("orders"));
    EXPECT_EQ(verdict.needed, 180);
    EXPECT_EQ(verdict.left, 220);
}

TEST(MirrorRoom, a_partition_lies_in_one_directory) {
    EXPECT_THAT(find_room({}, {{"orders", {60}}}, 1, {{b1, {50, 50}}}).lacking,
                ElementsAre("orders"));
    EXPECT_THAT(find_room({}, {{"orders", {30, 30}}}, 1, {{b1, {50, 50}}}).lacking, IsEmpty());
}

TEST(MirrorRoom, a_large_topic_does_not_keep_small_ones_away) {
    const auto verdict =
        find_room({}, {{"a-large", {500}}, {"b-small", {20}}, {"c-small", {30}}}, 1, {{b1, {100}}});
    EXPECT_THAT(verdict.lacking, ElementsAre("a-large"));
    EXPECT_EQ(verdict.left, 50);
}

TEST(MirrorRoom, what_is_on_its_way_is_not_promised_twice) {
    const std::vector<Coming> coming{{80, {b1}}};
    EXPECT_THAT(find_room(coming, {{"orders", {30}}}, 1, {{b1, {100}}}).lacking,
                ElementsAre("orders"));
    EXPECT_THAT(find_room(coming, {{"orders", {30}}}, 1, {{b1, {100}}, {b2, {40}}}).lacking,
                IsEmpty());
    // More than there is: nothing is left, and nothing less than that.
    EXPECT_EQ(find_room({{800, {b1}}}, {}, 1, {{b1, {100}}}).left, 0);
}

TEST(MirrorRoom, what_is_empty_fits_on_a_full_disk) {
    EXPECT_THAT(find_room({}, {{"orders", {0, 0}}}, 1, {{b1, {0}}}).lacking, IsEmpty());
}

TEST(MirrorRoom, more_copies_than_brokers_is_not_a_matter_of_room) {
    EXPECT_THAT(find_room({}, {{"orders", {10}}}, 3, {{b1, {100}}}).lacking, IsEmpty());
}

TEST(MirrorRoom, a_twentieth_of_a_disk_stays_free) {
    EXPECT_EQ(room_in(100, 1'000), 50);
    EXPECT_EQ(room_in(40, 1'000), 0);
}

}  // namespace
}  // namespace millrace::mirror
