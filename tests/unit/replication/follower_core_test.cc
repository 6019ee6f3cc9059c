// What a follower makes of its leader's answers.
#include "replication/follower_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::replication {
namespace {

using storage::EpochStart;
using storage::LeaderEpochCache;
using testing::ElementsAre;
using testing::IsEmpty;

struct FollowerTest : testing::Test {
    FollowerTest()
        : epochs({EpochStart{LeaderEpoch{1}, Offset{0}}, {LeaderEpoch{3}, Offset{10}}}) {}
    LogFacts facts() const { return {Offset{0}, end, &epochs}; }
    Fetched answer() const {
        return {.asked_in_epoch = LeaderEpoch{4}, .asked_from = end, .high_watermark = Offset{0}};
    }
    LeaderEpochCache epochs;
    Offset end{20};
    FollowerCore core{LeaderEpoch{4}, Offset{5}};
};

TEST_F(FollowerTest, data_is_appended_and_the_high_watermark_follows) {
    Fetched fetched = answer();
    fetched.bytes = 100;
    fetched.high_watermark = Offset{30};
    EXPECT_THAT(core.on_fetched(fetched, facts()), ElementsAre(FollowerEffect{AppendFetched{}}));
    core.on_log_end(Offset{25});
    EXPECT_EQ(core.high_watermark(), Offset{25}) << "never past what we have";
    core.on_log_end(Offset{40});
    EXPECT_EQ(core.high_watermark(), Offset{30});
}

// Case 5: a diverging epoch and a higher high watermark in one answer: cut, expose nothing.
TEST_F(FollowerTest, divergence_cuts_before_the_high_watermark_moves) {
    Fetched fetched = answer();
    fetched.diverging = DivergingEpoch{LeaderEpoch{3}, Offset{15}};
    fetched.high_watermark = Offset{18};
    fetched.bytes = 10;
    EXPECT_THAT(core.on_fetched(fetched, facts()),
                ElementsAre(FollowerEffect{TruncateTo{Offset{15}}}));
    core.on_log_end(Offset{15});
    EXPECT_EQ(core.high_watermark(), Offset{5});
}

// Cases 1 and 2: the leader's largest epoch is one we never had: cut at the end of our lower one.
TEST_F(FollowerTest, an_epoch_we_lack_cuts_at_the_end_of_our_next_lower_one) {
    Fetched fetched = answer();
    fetched.diverging = DivergingEpoch{LeaderEpoch{2}, Offset{14}};
    EXPECT_THAT(core.on_fetched(fetched, facts()),
                ElementsAre(FollowerEffect{TruncateTo{Offset{10}}}));
}

TEST_F(FollowerTest, our_shorter_part_of_an_epoch_is_kept_whole) {
    epochs = LeaderEpochCache({EpochStart{LeaderEpoch{1}, Offset{0}}});
    end = Offset{8};
    Fetched fetched = answer();
    fetched.diverging = DivergingEpoch{LeaderEpoch{1}, Offset{15}};
    EXPECT_THAT(core.on_fetched(fetched, facts()),
                ElementsAre(FollowerEffect{TruncateTo{Offset{8}}}));
}

// Case 6 and 7: answers to questions of another epoch, or from before a cut, are not acted on.
TEST_F(FollowerTest, stale_answers_are_dropped) {
    Fetched other_epoch = answer();
    other_epoch.asked_in_epoch = LeaderEpoch{3};
    other_epoch.bytes = 10;
    EXPECT_THAT(core.on_fetched(other_epoch, facts()), IsEmpty());
    Fetched other_place = answer();
    other_place.asked_from = Offset{19};
    other_place.bytes = 10;
    EXPECT_THAT(core.on_fetched(other_place, facts()), IsEmpty());
}

// Case 9: behind the leader's log start everything goes, and the start moves along.
TEST_F(FollowerTest, behind_the_leaders_start_it_starts_over_there) {
    Fetched fetched = answer();
    fetched.error = KafkaError::offset_out_of_range;
    EXPECT_THAT(core.on_fetched(fetched, facts()), ElementsAre(FollowerEffect{AskLeaderRange{}}));
    EXPECT_THAT(core.on_leader_range(Offset{50}, Offset{90}, facts()),
                ElementsAre(FollowerEffect{StartOverAt{Offset{50}}}));
    EXPECT_EQ(core.high_watermark(), Offset{50});
}

// Case 14: after an unclean election the leader may have less: follow it.
TEST_F(FollowerTest, past_the_leaders_end_it_cuts_to_it) {
    EXPECT_THAT(core.on_leader_range(Offset{0}, Offset{12}, facts()),
                ElementsAre(FollowerEffect{TruncateTo{Offset{12}}}));
}

TEST_F(FollowerTest, deleted_records_move_the_start) {
    Fetched fetched = answer();
    fetched.log_start = Offset{7};
    EXPECT_THAT(core.on_fetched(fetched, facts()),
                ElementsAre(FollowerEffect{AdvanceStart{Offset{7}}}));
}

TEST_F(FollowerTest, other_errors_back_off) {
    Fetched fetched = answer();
    fetched.error = KafkaError::not_leader_or_follower;
    EXPECT_THAT(core.on_fetched(fetched, facts()),
                ElementsAre(FollowerEffect{BackOff{KafkaError::not_leader_or_follower}}));
}

}  // namespace
}  // namespace millrace::replication
