#include "storage/leader_epoch_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::storage {
namespace {

using testing::ElementsAre;

EpochStart at(int epoch, int start) {
    return {LeaderEpoch{epoch}, Offset{start}};
}
EpochEnd end_at(int epoch, int end) {
    return {LeaderEpoch{epoch}, Offset{end}};
}

TEST(LeaderEpochCache, keeps_the_first_offset_of_each_epoch) {
    LeaderEpochCache cache;
    EXPECT_TRUE(cache.assign(LeaderEpoch{0}, Offset{0}));
    EXPECT_FALSE(cache.assign(LeaderEpoch{0}, Offset{5}));
    EXPECT_TRUE(cache.assign(LeaderEpoch{2}, Offset{9}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(0, 0), at(2, 9)));
}

// Two elections without an append between them leave one entry: the later epoch owns the offset.
TEST(LeaderEpochCache, a_later_epoch_at_the_same_offset_replaces_an_empty_one) {
    LeaderEpochCache cache({at(1, 0), at(2, 10)});
    EXPECT_TRUE(cache.assign(LeaderEpoch{3}, Offset{10}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(1, 0), at(3, 10)));
}

TEST(LeaderEpochCache, drops_what_contradicts_the_newer_statement) {
    LeaderEpochCache cache({at(1, 0), at(2, 10), at(5, 20)});
    EXPECT_TRUE(cache.assign(LeaderEpoch{3}, Offset{15}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(1, 0), at(2, 10), at(3, 15)));
    EXPECT_TRUE(cache.assign(LeaderEpoch{6}, Offset{5}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(1, 0), at(6, 5)));
}

TEST(LeaderEpochCache, batches_without_an_epoch_say_nothing) {
    LeaderEpochCache cache;
    EXPECT_FALSE(cache.assign(no_leader_epoch, Offset{0}));
    EXPECT_THAT(cache.entries(), ElementsAre());
}

TEST(LeaderEpochCache, answers_where_an_epoch_ended) {
    const LeaderEpochCache cache({at(2, 10), at(4, 20), at(5, 30)});
    EXPECT_EQ(cache.end_offset_for(LeaderEpoch{5}, Offset{40}), end_at(5, 40));
    EXPECT_EQ(cache.end_offset_for(LeaderEpoch{4}, Offset{40}), end_at(4, 30));
    EXPECT_EQ(cache.end_offset_for(LeaderEpoch{3}, Offset{40}), end_at(2, 20));
    EXPECT_EQ(cache.end_offset_for(LeaderEpoch{1}, Offset{40}), end_at(1, 10));
    EXPECT_EQ(cache.end_offset_for(LeaderEpoch{6}, Offset{40}), EpochEnd{});
    EXPECT_EQ(cache.end_offset_for(no_leader_epoch, Offset{40}), EpochEnd{});
    EXPECT_EQ(LeaderEpochCache{}.end_offset_for(LeaderEpoch{0}, Offset{0}), EpochEnd{});
}

TEST(LeaderEpochCache, truncating_at_the_end_drops_epochs_that_began_there) {
    LeaderEpochCache cache({at(2, 10), at(4, 20), at(5, 30)});
    EXPECT_FALSE(cache.truncate_from_end(Offset{31}));
    EXPECT_TRUE(cache.truncate_from_end(Offset{20}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(2, 10)));
}

TEST(LeaderEpochCache, truncating_at_the_start_keeps_the_epoch_that_covers_it) {
    LeaderEpochCache cache({at(2, 10), at(4, 20), at(5, 30)});
    EXPECT_TRUE(cache.truncate_from_start(Offset{25}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(4, 25), at(5, 30)));
    EXPECT_FALSE(cache.truncate_from_start(Offset{10}));
    EXPECT_TRUE(cache.truncate_from_start(Offset{30}));
    EXPECT_THAT(cache.entries(), ElementsAre(at(5, 30)));
}

TEST(LeaderEpochCache, knows_the_epoch_of_an_offset) {
    const LeaderEpochCache cache({at(2, 10), at(4, 20)});
    EXPECT_EQ(cache.epoch_of(Offset{9}), std::nullopt);
    EXPECT_EQ(cache.epoch_of(Offset{19}), LeaderEpoch{2});
    EXPECT_EQ(cache.epoch_of(Offset{99}), LeaderEpoch{4});
    EXPECT_EQ(cache.previous_epoch(LeaderEpoch{4}), LeaderEpoch{2});
    EXPECT_EQ(cache.previous_epoch(LeaderEpoch{2}), std::nullopt);
}

}  // namespace
}  // namespace millrace::storage
