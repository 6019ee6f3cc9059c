// What one mirror partition makes of its source's answers.
#include "mirror/partition_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace millrace::mirror {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

struct Log {
    Offset start{0};
    Offset end{0};
    storage::LeaderEpochCache epochs;
    LogFacts facts() const { return {start, end, end, LeaderEpoch{9}, &epochs}; }
};

/// [0, 100) in epochs 3 (from 0) and 5 (from 60).
Log some_log() {
    Log log;
    log.end = Offset{100};
    log.epochs.assign(LeaderEpoch{3}, Offset{0});
    log.epochs.assign(LeaderEpoch{5}, Offset{60});
    return log;
}

SourceFetched fetched(Offset from) {
    SourceFetched answer;
    answer.asked_from = from;
    answer.high_watermark = from + 10;
    answer.log_start = Offset{0};
    return answer;
}

SourceFetched with_batch(Offset from, Offset base, Offset end) {
    SourceFetched answer = fetched(from);
    answer.bytes = 100;
    answer.first_base = base;
    answer.first_end = end;
    return answer;
}

SourceFetched failed(Offset from, KafkaError error) {
    SourceFetched answer = fetched(from);
    answer.error = error;
    return answer;
}

const PartitionCore core{PartitionPolicy{}};

template <typename Effect>
PartitionEffect effect(Effect one) {
    return one;
}

TEST(MirrorPartition, takes_over_what_begins_at_its_end) {
    EXPECT_THAT(
        core.on_fetched(with_batch(Offset{100}, Offset{100}, Offset{110}), some_log().facts()),
        ElementsAre(effect(TakeOver{})));
}

// Two topics of one name that were written apart have the same epochs: nothing else tells them
// apart.
TEST(MirrorPartition, holds_what_it_has_against_the_source_before_it_adds_to_it) {
    const Log log = some_log();
    LogFacts facts = log.facts();
    facts.is_known = false;
    const auto is_asked = ElementsAre(effect(Verify{Offset{100}}), effect(Known{}));
    EXPECT_THAT(core.on_fetched(with_batch(Offset{100}, Offset{100}, Offset{110}), facts),
                is_asked);
    EXPECT_THAT(core.on_fetched(fetched(Offset{100}), facts), is_asked) << "also with nothing new";
    SourceFetched differs = fetched(Offset{100});
    differs.diverging = replication::DivergingEpoch{LeaderEpoch{5}, Offset{80}};
    EXPECT_THAT(core.on_fetched(differs, facts), testing::Contains(effect(Verify{Offset{80}})))
        << "what the epochs tell comes first";
}

TEST(MirrorPartition, of_an_empty_log_nothing_is_to_be_compared) {
    const Log empty;
    LogFacts facts = empty.facts();
    facts.is_known = false;
    EXPECT_THAT(core.on_fetched(with_batch(Offset{0}, Offset{0}, Offset{10}), facts),
                ElementsAre(effect(TakeOver{})));
}

TEST(MirrorPartition, an_answer_that_comes_late_or_twice_changes_nothing) {
    EXPECT_THAT(
        core.on_fetched(with_batch(Offset{90}, Offset{90}, Offset{100}), some_log().facts()),
        IsEmpty());
    EXPECT_THAT(
        core.on_fetched(failed(Offset{90}, KafkaError::offset_out_of_range), some_log().facts()),
        IsEmpty());
}

TEST(MirrorPartition, follows_the_sources_log_start) {
    SourceFetched answer = fetched(Offset{100});
    answer.log_start = Offset{40};
    EXPECT_THAT(core.on_fetched(answer, some_log().facts()),
                ElementsAre(effect(FollowStart{Offset{40}})));
}

TEST(MirrorPartition, an_empty_log_begins_where_the_sources_first_batch_begins) {
    Log empty;
    empty.start = empty.end = Offset{105};
    SourceFetched answer = with_batch(Offset{105}, Offset{100}, Offset{110});
    answer.log_start = Offset{105};
    EXPECT_THAT(core.on_fetched(answer, empty.facts()),
                ElementsAre(effect(StartAt{Offset{100}}), effect(TakeOver{})));
}

TEST(MirrorPartition, asks_for_a_higher_leader_epoch_with_room_before_it_appends) {
    replication::MirrorAppended appended;
    appended.epoch_needed = LeaderEpoch{12};
    EXPECT_THAT(core.on_appended(appended, with_batch(Offset{0}, Offset{0}, Offset{1})),
                ElementsAre(effect(RaiseEpoch{LeaderEpoch{76}})));
}

TEST(MirrorPartition, backs_off_when_its_own_replicas_are_too_few) {
    replication::MirrorAppended appended;
    appended.error = KafkaError::not_enough_replicas;
    EXPECT_THAT(core.on_appended(appended, with_batch(Offset{0}, Offset{0}, Offset{1})),
                ElementsAre(effect(BackOff{KafkaError::not_enough_replicas})));
}

TEST(MirrorPartition, a_batch_that_reaches_over_its_end_is_another_history) {
    EXPECT_THAT(core.on_appended({}, with_batch(Offset{100}, Offset{95}, Offset{105})),
                ElementsAre(effect(Halt{HaltReason::divergence})));
}

TEST(MirrorPartition, asks_where_the_log_lies_when_its_position_is_out_of_range) {
    EXPECT_THAT(
        core.on_fetched(failed(Offset{100}, KafkaError::offset_out_of_range), some_log().facts()),
        ElementsAre(effect(AskRange{})));
}

TEST(MirrorPartition, learns_the_metadata_anew_when_leader_or_topic_are_not_the_ones_known) {
    for (const KafkaError error :
         {KafkaError::not_leader_or_follower, KafkaError::fenced_leader_epoch,
          KafkaError::unknown_topic_id, KafkaError::unknown_topic_or_partition}) {
        EXPECT_THAT(core.on_fetched(failed(Offset{100}, error), some_log().facts()),
                    ElementsAre(effect(RefreshSource{}), effect(BackOff{error})));
    }
}

TEST(MirrorPartition, halts_without_permission_and_for_old_formats) {
    EXPECT_THAT(core.on_fetched(failed(Offset{100}, KafkaError::topic_authorization_failed),
                                some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::unauthorized})));
    SourceFetched old = fetched(Offset{100});
    old.old_format = true;
    EXPECT_THAT(core.on_fetched(old, some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::unsupported_format})));
}

// --- Section 10: retention passed the position ---

TEST(MirrorPartition, a_new_mirror_begins_at_the_sources_start_and_reports_nothing) {
    EXPECT_THAT(core.on_range(Offset{50}, Offset{80}, Log{}.facts()),
                ElementsAre(effect(StartAt{Offset{50}})));
}

TEST(MirrorPartition, a_new_mirror_that_starts_from_latest_skips_what_was_there_when_it_was_made) {
    const PartitionCore latest{{.begin = Offset{80}}};
    EXPECT_THAT(latest.on_fetched(fetched(Offset{0}), Log{}.facts()),
                ElementsAre(effect(StartAt{Offset{80}})));
    EXPECT_THAT(latest.on_range(Offset{50}, Offset{90}, Log{}.facts()),
                ElementsAre(effect(StartAt{Offset{80}})));
    EXPECT_THAT(latest.on_range(Offset{95}, Offset{99}, Log{}.facts()),
                ElementsAre(effect(StartAt{Offset{80}})));  // and then the gap is told
}

TEST(MirrorPartition, a_gap_is_reported_before_it_is_jumped) {
    EXPECT_THAT(core.on_range(Offset{150}, Offset{300}, some_log().facts()),
                ElementsAre(effect(Report{Report::Kind::gap, Offset{100}, Offset{150}}),
                            effect(StartAt{Offset{150}})));
}

TEST(MirrorPartition, a_gap_halts_where_the_policy_says_so) {
    const PartitionCore halting{{.on_gap = Reaction::halt}};
    EXPECT_THAT(halting.on_range(Offset{150}, Offset{300}, some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::data_gap})));
}

// --- Section 10: unclean election, divergence, recreation ---

TEST(MirrorPartition, cuts_to_the_common_point_and_reports_how_much) {
    SourceFetched answer = fetched(Offset{100});
    answer.diverging = replication::DivergingEpoch{LeaderEpoch{5}, Offset{80}};
    EXPECT_THAT(core.on_fetched(answer, some_log().facts()),
                ElementsAre(effect(Verify{Offset{80}}), effect(SetAside{Offset{80}, Offset{100}}),
                            effect(Report{Report::Kind::truncated, Offset{80}, Offset{100}}),
                            effect(CutAt{Offset{80}})));
}

TEST(MirrorPartition, an_epoch_that_only_the_mirror_has_is_cut_as_a_whole) {
    SourceFetched answer = fetched(Offset{100});
    answer.diverging = replication::DivergingEpoch{LeaderEpoch{3}, Offset{90}};
    EXPECT_THAT(core.on_fetched(answer, some_log().facts()),
                ElementsAre(effect(Verify{Offset{60}}), effect(SetAside{Offset{60}, Offset{100}}),
                            effect(Report{Report::Kind::truncated, Offset{60}, Offset{100}}),
                            effect(CutAt{Offset{60}})));
}

TEST(MirrorPartition, divergence_halts_where_the_policy_says_so) {
    const PartitionCore halting{{.on_divergence = Reaction::halt}};
    SourceFetched answer = fetched(Offset{100});
    answer.diverging = replication::DivergingEpoch{LeaderEpoch{5}, Offset{80}};
    EXPECT_THAT(halting.on_fetched(answer, some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::divergence})));
}

TEST(MirrorPartition, a_source_shorter_than_the_mirror_is_asked_for_its_epochs) {
    EXPECT_THAT(core.on_range(Offset{0}, Offset{70}, some_log().facts()),
                ElementsAre(effect(AskEpochEnd{LeaderEpoch{5}})));
}

TEST(MirrorPartition, walks_back_over_epochs_that_the_source_never_saw) {
    EXPECT_THAT(core.on_epoch_end(LeaderEpoch{5}, no_leader_epoch, no_offset, some_log().facts()),
                ElementsAre(effect(AskEpochEnd{LeaderEpoch{3}})));
}

TEST(MirrorPartition, a_source_that_shares_no_epoch_is_another_topic) {
    EXPECT_THAT(core.on_epoch_end(LeaderEpoch{3}, no_leader_epoch, no_offset, some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::topic_recreated})));
}

TEST(MirrorPartition, nothing_in_common_is_never_cut_to_nothing) {
    EXPECT_THAT(core.on_epoch_end(LeaderEpoch{5}, LeaderEpoch{3}, Offset{0}, some_log().facts()),
                ElementsAre(effect(Halt{HaltReason::topic_recreated})));
}

// One of the two was promoted before anything of the partition had arrived, and both were written
// then.
TEST(MirrorPartition, nothing_in_common_of_one_topic_gives_way_and_is_kept_aside) {
    const PartitionCore shared{PartitionPolicy{.is_shared = true}};
    const auto all_of_it = ElementsAre(
        effect(SetAside{Offset{0}, Offset{100}}),
        effect(Report{Report::Kind::truncated, Offset{0}, Offset{100}}), effect(CutAt{Offset{0}}));
    EXPECT_THAT(shared.on_epoch_end(LeaderEpoch{3}, no_leader_epoch, no_offset, some_log().facts()),
                all_of_it);
    EXPECT_THAT(shared.on_epoch_end(LeaderEpoch{5}, LeaderEpoch{3}, Offset{0}, some_log().facts()),
                all_of_it);
    const PartitionCore halting{
        PartitionPolicy{.on_divergence = Reaction::halt, .is_shared = true}};
    EXPECT_THAT(
        halting.on_epoch_end(LeaderEpoch{3}, no_leader_epoch, no_offset, some_log().facts()),
        ElementsAre(effect(Halt{HaltReason::divergence})));
}

TEST(MirrorPartition, equal_histories_go_on) {
    EXPECT_THAT(core.on_epoch_end(LeaderEpoch{5}, LeaderEpoch{5}, Offset{120}, some_log().facts()),
                IsEmpty());
}

TEST(MirrorPartition, a_promotion_takes_an_epoch_that_no_living_source_soon_reaches) {
    EXPECT_EQ(PartitionCore::promoted_epoch(LeaderEpoch{0}, no_leader_epoch, 0), LeaderEpoch{1001});
    EXPECT_EQ(PartitionCore::promoted_epoch(LeaderEpoch{70}, LeaderEpoch{6}, 0), LeaderEpoch{1001});
    EXPECT_EQ(PartitionCore::promoted_epoch(LeaderEpoch{1001}, LeaderEpoch{6}, 0),
              LeaderEpoch{2001});
}

// Two standbys of one source, both promoted: what they write at the same offsets can be told apart.
TEST(MirrorPartition, promotions_of_two_links_take_different_epochs) {
    const LeaderEpoch one = PartitionCore::promoted_epoch(LeaderEpoch{3}, LeaderEpoch{3}, 17);
    const LeaderEpoch other = PartitionCore::promoted_epoch(LeaderEpoch{3}, LeaderEpoch{3}, 4'000);
    EXPECT_NE(one, other);
    for (std::uint32_t salt = 0; salt < 5'000; salt += 7) {
        const LeaderEpoch epoch =
            PartitionCore::promoted_epoch(LeaderEpoch{1'900}, LeaderEpoch{3}, salt);
        EXPECT_GT(epoch, LeaderEpoch{2'000});
        EXPECT_LT(epoch, LeaderEpoch{2'950}) << "elections after it stay below the next stride";
    }
}

TEST(MirrorPartition, seals_at_the_last_stable_offset_where_the_policy_says_so) {
    const Log log = some_log();
    LogFacts facts = log.facts();
    facts.last_stable = Offset{70};
    EXPECT_THAT(core.on_seal(facts), IsEmpty()) << "the seal aborts what is open";
    PartitionPolicy policy;
    policy.cut_open_transactions = true;
    const PartitionCore cutting{policy};
    EXPECT_THAT(cutting.on_seal(facts),
                ElementsAre(effect(SetAside{Offset{70}, Offset{100}}),
                            effect(Report{Report::Kind::truncated, Offset{70}, Offset{100}}),
                            effect(CutAt{Offset{70}})));
    facts.last_stable = facts.end;
    EXPECT_THAT(cutting.on_seal(facts), IsEmpty()) << "nothing is open";
}

}  // namespace
}  // namespace millrace::mirror
