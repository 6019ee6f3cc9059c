// Which group offsets are written on the mirror's side.
#include "mirror/group_core.h"

#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

const TopicPartition orders{"orders", PartitionIndex{0}};
const std::string mark = mark_of_link("id");

GroupWorld world(Offset at_source, Offset reached) {
    GroupWorld world;
    world.mark = mark;
    world.source[orders] = {at_source, LeaderEpoch{3}, ""};
    world.reach[orders] = {Offset{10}, reached};
    return world;
}

TEST(MirrorGroups, copies_the_sources_offset) {
    const GroupPlan plan = plan_group(world(Offset{40}, Offset{100}));
    ASSERT_EQ(plan.commit.size(), 1U);
    EXPECT_EQ(plan.commit.at(orders).offset, Offset{40});
    EXPECT_TRUE(plan.clamped.empty());
}

TEST(MirrorGroups, never_writes_beyond_what_is_mirrored_and_says_so) {
    const GroupPlan plan = plan_group(world(Offset{140}, Offset{100}));
    EXPECT_EQ(plan.commit.at(orders).offset, Offset{100});
    ASSERT_EQ(plan.clamped.size(), 1U);
    EXPECT_EQ(plan.clamped.front(), (ClampedOffset{orders, Offset{140}, Offset{100}}));
}

TEST(MirrorGroups, an_offset_below_the_mirrors_start_becomes_its_start) {
    EXPECT_EQ(plan_group(world(Offset{5}, Offset{100})).commit.at(orders).offset, Offset{10});
}

TEST(MirrorGroups, follows_a_rewind_of_what_it_wrote_itself) {
    GroupWorld rewound = world(Offset{20}, Offset{100});
    rewound.here[orders] = {Offset{90}, no_leader_epoch, mark};
    EXPECT_EQ(plan_group(rewound).commit.at(orders).offset, Offset{20});
}

TEST(MirrorGroups, leaves_a_group_alone_that_is_used_here) {
    GroupWorld used = world(Offset{40}, Offset{100});
    used.here[orders] = {Offset{30}, LeaderEpoch{1}, ""};
    const GroupPlan plan = plan_group(used);
    EXPECT_TRUE(plan.commit.empty());
    EXPECT_EQ(plan.skipped, 1);
}

// A side that led before and follows now: what groups committed there then is the past.
TEST(MirrorGroups, a_position_from_when_this_side_led_gives_way) {
    GroupWorld back = world(Offset{80}, Offset{100});
    back.follows_since["orders"] = Timestamp{5'000};
    back.here[orders] = {Offset{95}, LeaderEpoch{1}, "", Timestamp{4'000}};
    EXPECT_EQ(plan_group(back).commit.at(orders).offset, Offset{80});
}

TEST(MirrorGroups, who_stayed_here_over_the_change_is_left_alone_until_he_goes_on_there) {
    GroupWorld back = world(Offset{80}, Offset{100});
    back.follows_since["orders"] = Timestamp{5'000};
    back.here[orders] = {Offset{95}, LeaderEpoch{1}, "", Timestamp{6'000}};
    EXPECT_EQ(plan_group(back).skipped, 1);  // Apache Kafka doesn't say when it was committed.
    back.source[orders].at = Timestamp{5'500};
    EXPECT_EQ(plan_group(back).skipped, 1);
    back.source[orders].at = Timestamp{6'500};
    EXPECT_EQ(plan_group(back).commit.at(orders).offset, Offset{80});
}

TEST(MirrorGroups, a_mirror_that_never_led_leaves_every_use_alone) {
    GroupWorld used = world(Offset{80}, Offset{100});
    used.source[orders].at = Timestamp{9'000};
    used.here[orders] = {Offset{30}, LeaderEpoch{1}, "", Timestamp{1'000}};
    EXPECT_EQ(plan_group(used).skipped, 1);
}

TEST(MirrorGroups, what_another_link_wrote_is_no_use) {
    GroupWorld again = world(Offset{80}, Offset{100});
    again.here[orders] = {Offset{30}, no_leader_epoch, mark_of_link("of before")};
    EXPECT_EQ(plan_group(again).commit.at(orders).offset, Offset{80});
}

TEST(MirrorGroups, marks_do_not_pile_up_from_switchover_to_switchover) {
    GroupWorld world_after_two = world(Offset{40}, Offset{100});
    world_after_two.source[orders].metadata =
        mark_of_link("back") + ";" + mark_of_link("there") + ";checkpoint-7";
    EXPECT_EQ(plan_group(world_after_two).commit.at(orders).metadata, mark + ";checkpoint-7");
    world_after_two.source[orders].metadata = mark_of_link("back");
    EXPECT_EQ(plan_group(world_after_two).commit.at(orders).metadata, mark);
}

// Else the commit would be refused, and the position stay where it is for ever.
TEST(MirrorGroups, metadata_that_leaves_no_room_for_the_mark_stays_behind) {
    GroupWorld noted = world(Offset{40}, Offset{100});
    noted.source[orders].metadata = std::string(4'096, 'x');
    EXPECT_EQ(plan_group(noted).commit.at(orders).metadata, mark);
}

TEST(MirrorGroups, writes_nothing_once_all_is_as_at_the_source) {
    GroupWorld same = world(Offset{40}, Offset{100});
    same.here = plan_group(same).commit;
    EXPECT_TRUE(plan_group(same).commit.empty());
}

TEST(MirrorGroups, keeps_the_sources_metadata_behind_its_mark) {
    GroupWorld noted = world(Offset{40}, Offset{100});
    noted.source[orders].metadata = "checkpoint-7";
    EXPECT_EQ(plan_group(noted).commit.at(orders).metadata, mark + ";checkpoint-7");
}

TEST(MirrorGroups, ignores_partitions_that_are_not_mirrored) {
    GroupWorld other = world(Offset{40}, Offset{100});
    other.reach.clear();
    EXPECT_TRUE(plan_group(other).commit.empty());
}

// A promotion with a cut: who had read what was undecided stood at records that are gone.
TEST(MirrorGroups, positions_behind_a_cut_are_set_back_to_it_if_they_are_from_before) {
    const TopicPartition cut{"t", PartitionIndex{0}};
    const TopicPartition whole{"t", PartitionIndex{1}};
    const Endings endings{{cut, {Offset{120}, Timestamp{1000}}}};
    GroupOffsets here;
    here[cut] = {Offset{220}, LeaderEpoch{3}, "mirror:link", Timestamp{900}};
    here[whole] = {Offset{220}, LeaderEpoch{3}, "mirror:link", Timestamp{900}};
    const GroupPlan plan = end_group(here, endings);
    EXPECT_EQ(plan.commit, (GroupOffsets{{cut, {Offset{120}, no_leader_epoch, "mirror:link"}}}));
    EXPECT_EQ(plan.clamped, (std::vector<ClampedOffset>{{cut, Offset{220}, Offset{120}}}));
    here[cut].at = Timestamp{1001};
    EXPECT_TRUE(end_group(here, endings).commit.empty()) << "read on since";
    here[cut] = {Offset{120}, LeaderEpoch{3}, "", Timestamp{900}};
    EXPECT_TRUE(end_group(here, endings).commit.empty());
}

}  // namespace
}  // namespace millrace::mirror
