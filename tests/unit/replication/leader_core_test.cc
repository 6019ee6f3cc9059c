// What a leader concludes: high watermark over the maximal ISR, and who belongs in it.
#include "replication/leader_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/instant.h"

namespace millrace::replication {
namespace {

using support::at;
using testing::IsEmpty;

constexpr BrokerId b1{1};
constexpr BrokerId b2{2};
constexpr BrokerId b3{3};

template <typename Effect>
bool has(const std::vector<LeaderEffect>& effects, const Effect& wanted) {
    for (const LeaderEffect& effect : effects) {
        if (const auto* found = std::get_if<Effect>(&effect);
            found != nullptr && *found == wanted) {
            return true;
        }
    }
    return false;
}
template <typename Effect>
bool has_any(const std::vector<LeaderEffect>& effects) {
    for (const LeaderEffect& effect : effects) {
        if (std::holds_alternative<Effect>(effect)) {
            return true;
        }
    }
    return false;
}

LeaderCore::Start start(std::vector<BrokerId> replicas, std::vector<BrokerId> isr) {
    LeaderCore::Start s;
    s.self = b1;
    s.replicas = std::move(replicas);
    s.isr = std::move(isr);
    s.partition_epoch = PartitionEpoch{7};
    s.end = Offset{10};
    s.synced_end = Offset{10};
    s.high_watermark = Offset{10};
    s.lag_max = 30s;
    s.now = at(100s);
    return s;
}

// A lone leader tells of a record when it can be read, whatever the producer asked for.
TEST(LeaderCore, answers_a_sole_replicas_acks_one_at_the_high_watermark) {
    EXPECT_TRUE(answered_at_high_watermark(-1, 3));
    EXPECT_TRUE(answered_at_high_watermark(1, 1));
    EXPECT_FALSE(answered_at_high_watermark(1, 3));
    EXPECT_FALSE(answered_at_high_watermark(0, 1));
}

// A leader alone acknowledges what its disk has, not what its page cache has.
TEST(LeaderCore, alone_the_high_watermark_follows_the_synced_end) {
    LeaderCore core{start({b1}, {b1})};
    EXPECT_THAT(core.step(Appended{Offset{20}}), IsEmpty());
    EXPECT_TRUE(has(core.step(Synced{Offset{15}}), AdvanceHighWatermark{Offset{15}}));
    EXPECT_TRUE(has(core.step(Synced{Offset{20}}), AdvanceHighWatermark{Offset{20}}));
}

TEST(LeaderCore, replicated_topics_follow_log_ends) {
    auto s = start({b1}, {b1});
    s.durability = Durability::replicated;
    LeaderCore core{s};
    EXPECT_TRUE(has(core.step(Appended{Offset{20}}), AdvanceHighWatermark{Offset{20}}));
}

// Every member of the ISR must have synced, the leader included.
TEST(LeaderCore, the_high_watermark_is_the_least_synced_end_of_the_isr) {
    LeaderCore core{start({b1, b2, b3}, {b1, b2, b3})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    core.step(FollowerFetched{b2, Offset{20}, Offset{18}, at(101s)});
    EXPECT_EQ(core.high_watermark(), Offset{10});
    EXPECT_TRUE(has(core.step(FollowerFetched{b3, Offset{20}, Offset{16}, at(101s)}),
                    AdvanceHighWatermark{Offset{16}}));
}

// A follower that claims more synced than it has fetched is believed only up to its log end.
TEST(LeaderCore, a_synced_end_never_counts_beyond_the_log_end) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    EXPECT_TRUE(has(core.step(FollowerFetched{b2, Offset{12}, Offset{20}, at(101s)}),
                    AdvanceHighWatermark{Offset{12}}));
}

// Case 18: while an expansion is proposed the new member counts already.
TEST(LeaderCore, a_proposed_member_counts_for_the_high_watermark) {
    LeaderCore core{start({b1, b2}, {b1})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    ASSERT_EQ(core.high_watermark(), Offset{20});
    EXPECT_TRUE(has(core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(101s)}),
                    ProposeIsr{{b1, b2}, PartitionEpoch{7}}));
    core.step(Appended{Offset{30}});
    EXPECT_FALSE(has_any<AdvanceHighWatermark>(core.step(Synced{Offset{30}})));
    EXPECT_TRUE(has(core.step(FollowerFetched{b2, Offset{30}, Offset{25}, at(102s)}),
                    AdvanceHighWatermark{Offset{25}}));
}

// Case 16: what the shrunk ISR allows is concluded when the decision arrives, not at the next
// fetch.
TEST(LeaderCore, the_high_watermark_moves_when_a_shrink_is_decided) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    EXPECT_TRUE(has(core.step(Tick{at(131s)}), ProposeIsr{{b1}, PartitionEpoch{7}}));
    EXPECT_EQ(core.high_watermark(), Offset{10});
    EXPECT_TRUE(has(core.step(IsrDecided{{b1, b2}, {b1}, PartitionEpoch{8}}),
                    AdvanceHighWatermark{Offset{20}}));
}

// Case 22: below min.insync.replicas nothing more becomes visible.
TEST(LeaderCore, below_min_isr_the_high_watermark_stands_still) {
    auto s = start({b1, b2}, {b1});
    s.min_isr = 2;
    LeaderCore core{s};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    EXPECT_EQ(core.high_watermark(), Offset{10});
    core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(101s)});
    EXPECT_TRUE(has(core.step(IsrDecided{{b1, b2}, {b1, b2}, PartitionEpoch{8}}),
                    AdvanceHighWatermark{Offset{20}}));
}

// As Apache Kafka has it: a partition with fewer replicas than min.insync.replicas takes records.
TEST(LeaderCore, min_isr_above_the_number_of_replicas_asks_for_all_of_them) {
    auto s = start({b1}, {b1});
    s.min_isr = 3;
    LeaderCore alone{s};
    EXPECT_FALSE(alone.under_min_isr());
    alone.step(Appended{Offset{20}});
    EXPECT_TRUE(has(alone.step(Synced{Offset{20}}), AdvanceHighWatermark{Offset{20}}));

    s = start({b1, b2}, {b1});
    s.min_isr = 3;
    EXPECT_TRUE(LeaderCore{s}.under_min_isr());
}

TEST(LeaderCore, a_silent_follower_leaves_after_lag_max_and_not_before) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    EXPECT_THAT(core.step(Tick{at(130s)}), IsEmpty());
    EXPECT_TRUE(has(core.step(Tick{at(131s)}), ProposeIsr{{b1}, PartitionEpoch{7}}));
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(132s)}))) << "one proposal at a time";
}

// A follower that is always one fetch behind a steady producer has caught up with what there was.
TEST(LeaderCore, a_follower_one_fetch_behind_stays) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    Offset end{10};
    for (int second = 101; second < 200; ++second) {
        core.step(FollowerFetched{b2, end, end, at(std::chrono::seconds{second})});
        end = end + 5;
        core.step(Appended{end});
        core.step(Synced{end});
        EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(std::chrono::seconds{second})})));
    }
}

// It joins once it has what the ISR promised; the end keeps moving and is not waited for.
TEST(LeaderCore, a_follower_joins_at_the_high_watermark) {
    LeaderCore core{start({b1, b2, b3}, {b1, b3})};
    core.step(Appended{Offset{100}});
    core.step(Synced{Offset{100}});
    core.step(FollowerFetched{b3, Offset{50}, Offset{50}, at(101s)});
    ASSERT_EQ(core.high_watermark(), Offset{50});
    EXPECT_FALSE(
        has_any<ProposeIsr>(core.step(FollowerFetched{b2, Offset{49}, Offset{49}, at(101s)})));
    core.step(Appended{Offset{120}});
    // At the high watermark, after it caught up with the end of its previous fetch.
    core.step(FollowerFetched{b2, Offset{100}, Offset{49}, at(102s)});
    EXPECT_TRUE(has(core.step(FollowerFetched{b2, Offset{100}, Offset{100}, at(103s)}),
                    ProposeIsr{{b1, b2, b3}, PartitionEpoch{7}}));
}

// Who joins must also hold all that this leader began with.
TEST(LeaderCore, nobody_joins_below_the_start_of_the_epoch) {
    auto s = start({b1, b2}, {b1});
    s.end = Offset{20};
    s.synced_end = Offset{5};
    s.high_watermark = Offset{5};
    LeaderCore core{s};
    EXPECT_FALSE(core.is_current());
    EXPECT_FALSE(
        has_any<ProposeIsr>(core.step(FollowerFetched{b2, Offset{10}, Offset{10}, at(101s)})));
}

// A new leader's high watermark may be far behind what its predecessor acknowledged, so holding
// that much on disk is not enough, and holding the rest in memory is not either. (Found by TLC.)
TEST(LeaderCore, nobody_joins_with_the_start_of_the_epoch_in_memory_alone) {
    auto s = start({b1, b2}, {b1});
    s.end = s.synced_end = Offset{20};
    s.high_watermark = Offset{5};
    LeaderCore core{s};
    core.step(FollowerFetched{b2, Offset{20}, Offset{10}, at(101s)});
    EXPECT_FALSE(core.proposal_pending());
    core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(102s)});
    EXPECT_TRUE(core.proposal_pending());
}

// Case 19: whom the controller fences is not proposed.
TEST(LeaderCore, an_ineligible_follower_is_not_proposed) {
    LeaderCore core{start({b1, b2}, {b1})};
    FollowerFetched fetched{b2, Offset{10}, Offset{10}, at(101s)};
    fetched.may_join = false;
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(fetched)));
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(102s), {b2}})));
    fetched.may_join = true;
    EXPECT_TRUE(has_any<ProposeIsr>(core.step(fetched)));
}

// It has just died and was in sync a moment ago: it would be refused with every tick until it
// counts as silent.
TEST(LeaderCore, a_fenced_follower_that_was_in_sync_is_not_proposed_with_every_tick) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(FollowerFetched{b2, Offset{10}, Offset{10}, at(101s)});
    EXPECT_FALSE(
        has_any<ProposeIsr>(core.step(IsrDecided{{b1, b2}, {b1}, PartitionEpoch{8}, {b2}})));
    for (int second = 102; second < 110; ++second) {
        EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(std::chrono::seconds{second}), {b2}})));
    }
    EXPECT_TRUE(has_any<ProposeIsr>(core.step(Tick{at(110s)})));
}

// Members leave by the controller's decision, or by their silence.
TEST(LeaderCore, a_member_is_not_proposed_out_for_being_ineligible) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(FollowerFetched{b2, Offset{10}, Offset{10}, at(101s)});
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(102s), {b2}})));
}

// A reassignment names new replicas under the leader's own epoch: they are waited for, and join.
TEST(LeaderCore, a_replica_added_during_the_epoch_joins) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(IsrDecided{{b3, b1, b2}, {b1, b2}, PartitionEpoch{8}});
    EXPECT_FALSE(core.proposal_pending());
    EXPECT_TRUE(has(core.step(FollowerFetched{b3, Offset{10}, Offset{10}, at(101s)}),
                    ProposeIsr{{b1, b2, b3}, PartitionEpoch{8}}));
}

// Who was taken off the replicas is no follower any more, and what is known of the others stays.
TEST(LeaderCore, a_replica_removed_during_the_epoch_is_forgotten) {
    LeaderCore core{start({b1, b2, b3}, {b1, b2})};
    core.step(FollowerFetched{b2, Offset{10}, Offset{10}, at(125s)});
    core.step(IsrDecided{{b1, b2}, {b1, b2}, PartitionEpoch{8}});
    EXPECT_FALSE(
        has_any<ProposeIsr>(core.step(FollowerFetched{b3, Offset{10}, Offset{10}, at(126s)})));
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(140s)}))) << "b2 was seen at 125 s";
}

// Case 15: a decision older than what is known changes nothing.
TEST(LeaderCore, an_old_decision_is_ignored) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(IsrDecided{{b1, b2}, {b1}, PartitionEpoch{6}});
    EXPECT_EQ(core.isr().size(), 2U);
}

TEST(LeaderCore, after_a_refusal_it_proposes_again_with_the_next_tick_not_at_once) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    const auto effects = core.step(Tick{at(131s)});
    ASSERT_TRUE(has_any<ProposeIsr>(effects));
    const PartitionEpoch built_on = std::get<ProposeIsr>(effects.back()).partition_epoch;
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(ProposalRefused{built_on})));
    EXPECT_TRUE(has_any<ProposeIsr>(core.step(Tick{at(132s)})));
}

// What was proposed before the metadata moved on is over: its refusal says nothing of the proposal
// that is under way now, whose members go on counting.
TEST(LeaderCore, a_late_refusal_does_not_end_a_later_proposal) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    const auto effects = core.step(Tick{at(131s)});
    ASSERT_TRUE(has_any<ProposeIsr>(effects));
    const PartitionEpoch built_on = std::get<ProposeIsr>(effects.back()).partition_epoch;
    core.step(ProposalRefused{PartitionEpoch{built_on.value - 1}});
    EXPECT_TRUE(core.proposal_pending());
}

// The unanswered attempt may be read by the controller after a later one was refused. Until the
// partition epoch has moved on, who was proposed may be a member any moment.
TEST(LeaderCore, a_refusal_after_an_unanswered_attempt_does_not_end_the_proposal) {
    LeaderCore core{start({b1, b2, b3}, {b1, b2})};
    const auto effects =
        core.step(FollowerFetched{b3, Offset{10}, Offset{10}, at(101s), BrokerEpoch{3}});
    ASSERT_TRUE(has(effects, ProposeIsr{{b1, b2, b3}, PartitionEpoch{7}}));
    core.step(ProposalUnanswered{PartitionEpoch{7}});
    core.step(ProposalRefused{PartitionEpoch{7}});
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(101s), BrokerEpoch{2}});
    EXPECT_EQ(core.high_watermark(), Offset{10});

    EXPECT_TRUE(has(core.step(Tick{at(102s)}), ProposeIsr{{b1, b2}, PartitionEpoch{7}}));
    EXPECT_FALSE(has_any<ProposeIsr>(core.step(Tick{at(103s)})));
    EXPECT_TRUE(has(core.step(IsrDecided{{b1, b2, b3}, {b1, b2}, PartitionEpoch{8}}),
                    AdvanceHighWatermark{Offset{20}}));
}

// KIP-903: the leader tells of which life of a follower its knowledge is.
TEST(LeaderCore, it_remembers_which_life_of_a_follower_fetched) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(FollowerFetched{b2, Offset{10}, Offset{10}, at(101s), BrokerEpoch{7}});
    EXPECT_EQ(core.followers().at(b2).epoch, BrokerEpoch{7});
}

// What an earlier life asked for may be read late; its disk may be another one by now.
TEST(LeaderCore, what_an_earlier_life_of_a_follower_asked_for_does_not_count) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    core.step(FollowerFetched{b2, Offset{12}, Offset{12}, at(101s), BrokerEpoch{9}});
    core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(102s), BrokerEpoch{7}});
    EXPECT_EQ(core.high_watermark(), Offset{12});
    EXPECT_EQ(core.followers().at(b2).epoch, BrokerEpoch{9});
}

// A follower that forgets what it had synced (a restart) never takes the high watermark back.
TEST(LeaderCore, the_high_watermark_never_goes_back) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    core.step(FollowerFetched{b2, Offset{20}, Offset{20}, at(101s)});
    ASSERT_EQ(core.high_watermark(), Offset{20});
    core.step(FollowerFetched{b2, Offset{12}, Offset{12}, at(102s)});
    EXPECT_EQ(core.high_watermark(), Offset{20});
}

// A foreign broker does not report syncs: its log end counts.
TEST(LeaderCore, a_follower_without_reports_counts_by_its_log_end) {
    LeaderCore core{start({b1, b2}, {b1, b2})};
    core.step(Appended{Offset{20}});
    core.step(Synced{Offset{20}});
    EXPECT_TRUE(has(core.step(FollowerFetched{b2, Offset{20}, std::nullopt, at(101s)}),
                    AdvanceHighWatermark{Offset{20}}));
}

// KIP-392: a consumer is sent to a replica that has what it asks for, or stays.
TEST(LeaderCore, the_nearest_replica_is_an_isr_member_that_has_the_offset) {
    LeaderCore core{start({b1, b2, b3}, {b1, b2, b3})};
    core.step(Appended{Offset{20}});
    EXPECT_EQ(core.nearest({b2, b3}, Offset{5}), no_broker) << "nothing is known of them yet";
    core.step(FollowerFetched{b2, Offset{12}, Offset{12}, at(101s), BrokerEpoch{1}, Offset{0}});
    core.step(FollowerFetched{b3, Offset{18}, Offset{18}, at(101s), BrokerEpoch{1}, Offset{8}});
    EXPECT_EQ(core.nearest({b2}, Offset{12}), b2);
    EXPECT_EQ(core.nearest({b2}, Offset{13}), no_broker);
    EXPECT_EQ(core.nearest({b2, b3}, Offset{10}), b3) << "has more";
    EXPECT_EQ(core.nearest({b2, b3}, Offset{5}), b2) << "b3's log begins behind it";
}

TEST(LeaderCore, the_nearest_replica_is_in_the_isr) {
    LeaderCore core{start({b1, b2}, {b1})};
    core.step(FollowerFetched{b2, Offset{3}, Offset{3}, at(101s), BrokerEpoch{1}, Offset{0}});
    EXPECT_EQ(core.nearest({b2}, Offset{0}), no_broker);
}

}  // namespace
}  // namespace millrace::replication
