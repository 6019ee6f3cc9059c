// The cases of a metadata quorum that others learnt the hard way, one by one on a single core. The
// simulator (tests/raft_sim) meets them in every mixture.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/raft/core_bench.h"

namespace millrace::raft {
namespace {

using test::address;
using test::CoreBench;
using test::key;
using test::log_of;
using test::voter;
using test::voter_set;
using testing::IsEmpty;
using testing::SizeIs;

VoteRequest vote_for(int candidate, int asked, QuorumEpoch epoch, LogPosition log,
                     bool pre_vote = false) {
    return {.cluster_id = "cluster",
            .voter = key(asked),
            .candidate = key(candidate),
            .epoch = epoch,
            .log = log,
            .pre_vote = pre_vote};
}

CoreConfig static_list(int n) {
    CoreConfig config;
    for (int id = 1; id <= n; ++id) {
        config.static_voters.push_back(
            {{BrokerId{id}, {}}, {{"CONTROLLER", address(id)}}, VersionRange{}});
    }
    return config;
}

constexpr LogPosition at_ten{Offset{10}, QuorumEpoch{1}};

TEST(RaftCases, case_32_a_vote_is_not_answered_before_it_is_durable) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.persists = false;
    const auto early = bench.ask<VoteResponse>(vote_for(2, 1, QuorumEpoch{5}, at_ten));
    EXPECT_FALSE(early);
    const RequestId asked = bench.last_request();
    const auto written = bench.effects_of<PersistElection>();
    ASSERT_FALSE(written.empty());
    EXPECT_EQ(written.back().state, (ElectionState{QuorumEpoch{5}, no_broker, key(2)}));
    bench.persist_all();
    EXPECT_TRUE(bench.answer<VoteResponse>(asked).value().granted);
}

TEST(RaftCases, case_32_a_candidate_asks_for_votes_only_once_its_own_is_durable) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.pass(std::chrono::milliseconds(200));
    const auto pre_votes = bench.take_sent<VoteRequest>();
    ASSERT_THAT(pre_votes, SizeIs(2));
    bench.persists = false;
    bench.step(ResponseReceived{pre_votes[0].id, VoteResponse{.granted = true}});
    EXPECT_EQ(bench.core().role(), Role::candidate);
    EXPECT_THAT(bench.take_sent<VoteRequest>(), IsEmpty());
    bench.persist_all();
    EXPECT_THAT(bench.take_sent<VoteRequest>(), SizeIs(2));
}

TEST(RaftCases, case_32_a_restarted_leader_never_leads_in_the_same_epoch) {
    CoreBench bench(
        1, log_of(Offset{10}, voter_set(3), ElectionState{QuorumEpoch{4}, BrokerId{1}, key(1)}));
    EXPECT_NE(bench.core().role(), Role::leader);
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{4});
    bench.lead();
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{5});
    // Not even the vote of that epoch is up for grabs again.
    CoreBench again(
        1, log_of(Offset{10}, voter_set(3), ElectionState{QuorumEpoch{4}, BrokerId{1}, key(1)}));
    const auto answer =
        again.ask<VoteResponse>(vote_for(2, 1, QuorumEpoch{4}, {Offset{99}, QuorumEpoch{3}}));
    EXPECT_FALSE(answer.value().granted);
}

TEST(RaftCases, case_33_the_high_watermark_waits_for_the_leaders_own_first_record) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    ASSERT_EQ(bench.core().log_end(), Offset{11});
    bench.fetch_from(key(2), Offset{10});
    bench.fetch_from(key(3), Offset{10});
    // Everybody has the ten old records, and still nothing is known to be committed.
    EXPECT_FALSE(bench.core().high_watermark());
    bench.fetch_from(key(2), Offset{11});
    EXPECT_EQ(bench.core().high_watermark(), Offset{11});
}

TEST(RaftCases, case_33_the_leader_counts_its_own_log_only_as_far_as_it_is_synced) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from(key(2), Offset{11});
    ASSERT_EQ(bench.core().high_watermark(), Offset{11});
    bench.syncs = false;
    bench.step(Proposed{bench.core().epoch(), 1, std::make_shared<const Buffer>()});
    bench.fetch_from(key(2), Offset{12});
    EXPECT_EQ(bench.core().high_watermark(), Offset{11});
    bench.sync_all();
    EXPECT_EQ(bench.core().high_watermark(), Offset{12});
}

TEST(RaftCases, a_follower_fetches_on_only_once_what_it_got_is_synced) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.syncs = false;
    bench.answer_fetch({.high_watermark = Offset{10},
                        .fetched = CoreBench::batches(Offset{10}, 3, QuorumEpoch{2})});
    EXPECT_EQ(bench.core().log_end(), Offset{13});
    EXPECT_THAT(bench.take_sent<FetchRequest>(), IsEmpty());
    bench.sync_all();
    const auto fetches = bench.take_sent<FetchRequest>();
    ASSERT_THAT(fetches, SizeIs(1));
    EXPECT_EQ(std::get<FetchRequest>(fetches[0].request).log.end, Offset{13});
}

TEST(RaftCases, case_34_a_follower_stops_rather_than_truncate_what_is_committed) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    ASSERT_EQ(bench.core().high_watermark(), Offset{10});
    bench.answer_fetch({.diverging = LogPosition{Offset{6}, QuorumEpoch{1}}});
    EXPECT_THAT(bench.effects_of<TruncateLog>(), IsEmpty());
    EXPECT_THAT(bench.effects_of<Halt>(), SizeIs(1));
    EXPECT_EQ(bench.core().log_end(), Offset{10});
}

TEST(RaftCases, case_35_a_leader_that_removes_itself_goes_once_the_others_have_committed_it) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from(key(2), Offset{11});
    bench.fetch_from(key(3), Offset{11});
    EXPECT_FALSE(bench.ask<VoterChangeResponse>(RemoveVoterRequest{"cluster", key(1)}));
    const RequestId asked = bench.last_request();
    ASSERT_EQ(bench.core().log_end(), Offset{12});
    EXPECT_FALSE(bench.core().voters().contains(key(1)));
    // Its own copy counts no more: both others are needed.
    bench.fetch_from(key(2), Offset{12});
    EXPECT_EQ(bench.core().high_watermark(), Offset{11});
    EXPECT_EQ(bench.core().role(), Role::leader);
    bench.fetch_from(key(3), Offset{12});
    EXPECT_EQ(bench.core().high_watermark(), Offset{12});
    EXPECT_EQ(bench.answer<VoterChangeResponse>(asked).value().error, KafkaError::none);
    EXPECT_EQ(bench.core().role(), Role::resigned);
    EXPECT_THAT(bench.take_sent<EndQuorumEpochRequest>(), SizeIs(2));
}

TEST(RaftCases, case_35_truncation_undoes_a_change_of_voters) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    FetchedBatches change = CoreBench::batches(Offset{10}, 1, QuorumEpoch{2});
    change.batches[0].control.emplace_back(Offset{10}, VotersChange{voter_set(4)});
    bench.answer_fetch({.high_watermark = Offset{10}, .fetched = change});
    EXPECT_EQ(bench.core().voters().size(), 4U);
    bench.follow(3, QuorumEpoch{3});
    bench.answer_fetch({.diverging = LogPosition{Offset{10}, QuorumEpoch{1}}});
    EXPECT_EQ(bench.core().voters().size(), 3U);
}

TEST(RaftCases, case_35_one_whose_removal_is_not_committed_may_still_stand) {
    // Its vote may be needed to commit the removal, its log to elect anybody.
    RecoveredState state = log_of(Offset{10}, voter_set(3));
    state.voters.add_voters(Offset{9}, voter_set(3).without(key(1)));
    CoreBench bench(1, std::move(state));
    bench.pass(std::chrono::seconds(1));
    EXPECT_THAT(bench.take_sent<VoteRequest>(), testing::Not(IsEmpty()));
}

TEST(RaftCases, case_36_a_single_voter_never_resigns_for_want_of_followers) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(1)));
    bench.pass(std::chrono::milliseconds(100));
    ASSERT_EQ(bench.core().role(), Role::leader);
    const QuorumEpoch epoch = bench.core().epoch();
    bench.pass(std::chrono::hours(1));
    EXPECT_EQ(bench.core().role(), Role::leader);
    EXPECT_EQ(bench.core().epoch(), epoch);
}

TEST(RaftCases, a_leader_that_a_majority_does_not_reach_resigns_after_one_and_a_half_timeouts) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from(key(2), Offset{11});
    bench.pass(std::chrono::milliseconds(2900));
    EXPECT_EQ(bench.core().role(), Role::leader);
    bench.pass(std::chrono::milliseconds(200));
    EXPECT_EQ(bench.core().role(), Role::resigned);
}

/// Of one that hears its leader, 2.
void expect_no_pre_vote_for(int candidate) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    const auto answer = bench.ask<VoteResponse>(
        vote_for(candidate, 1, QuorumEpoch{2}, {Offset{50}, QuorumEpoch{2}}, /*pre_vote=*/true));
    EXPECT_FALSE(answer.value().granted);
    EXPECT_EQ(answer->hint.leader, BrokerId{2});
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{2});
    EXPECT_EQ(bench.core().leader(), BrokerId{2});
}

TEST(RaftCases, case_37_a_follower_that_hears_its_leader_grants_no_pre_vote) {
    expect_no_pre_vote_for(3);
}

// The leader is heard at its own place while somebody asks by its name from another.
TEST(RaftCases, case_37_nor_one_to_a_copy_of_its_leaders_directory) {
    expect_no_pre_vote_for(2);
}

TEST(RaftCases, case_37_who_loses_a_pre_vote_goes_back_to_its_leader_in_the_same_epoch) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    bench.pass(std::chrono::milliseconds(2100));
    EXPECT_EQ(bench.core().role(), Role::prospective);
    for (const Send& send : bench.take_sent<VoteRequest>()) {
        EXPECT_TRUE(std::get<VoteRequest>(send.request).pre_vote);
        bench.step(ResponseReceived{
            send.id, VoteResponse{.hint = {QuorumEpoch{2}, BrokerId{2}, address(2)}}});
    }
    EXPECT_EQ(bench.core().role(), Role::follower);
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{2});
}

TEST(RaftCases, case_38_the_preferred_successor_stands_at_once_and_without_a_pre_vote) {
    CoreBench bench(3, log_of(Offset{10}, voter_set(5)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    bench.ask<EndQuorumEpochResponse>(
        EndQuorumEpochRequest{.cluster_id = "cluster",
                              .leader = BrokerId{2},
                              .epoch = QuorumEpoch{2},
                              .preferred = {key(3), key(1), key(4), key(5)}});
    EXPECT_EQ(bench.core().role(), Role::candidate);
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{3});
    const auto votes = bench.take_sent<VoteRequest>();
    ASSERT_THAT(votes, SizeIs(4));
    EXPECT_FALSE(std::get<VoteRequest>(votes[0].request).pre_vote);
}

TEST(RaftCases, case_38_a_resigning_leader_names_who_is_furthest_first) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from(key(2), Offset{10});
    bench.fetch_from(key(3), Offset{11});
    bench.step(ResignRequested{bench.core().epoch()});
    const auto farewell = bench.take_sent<EndQuorumEpochRequest>();
    ASSERT_THAT(farewell, SizeIs(2));
    EXPECT_THAT(std::get<EndQuorumEpochRequest>(farewell[0].request).preferred,
                testing::ElementsAre(key(3), key(2)));
}

TEST(RaftCases, case_39_a_vote_asked_of_another_disk_is_not_given) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    VoteRequest request = vote_for(2, 1, QuorumEpoch{5}, at_ten);
    request.voter.directory = test::directory(77);
    const auto answer = bench.ask<VoteResponse>(request);
    EXPECT_FALSE(answer.value().granted);
    EXPECT_EQ(answer->error, KafkaError::invalid_voter_key);
}

TEST(RaftCases, case_39_a_fetch_from_another_disk_of_a_voter_counts_for_nothing) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from({BrokerId{2}, test::directory(77)}, Offset{11});
    EXPECT_FALSE(bench.core().high_watermark());
    const auto quorum = bench.ask<DescribeQuorumResponse>(DescribeQuorumRequest{});
    ASSERT_THAT(quorum.value().observers, SizeIs(1));
    EXPECT_EQ(quorum->observers[0].key.directory, test::directory(77));
}

TEST(RaftCases, case_40_no_voter_changes_before_the_leaders_epoch_is_committed) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    const auto answer = bench.ask<VoterChangeResponse>(RemoveVoterRequest{"cluster", key(3)});
    EXPECT_EQ(answer.value().error, KafkaError::request_timed_out);
    EXPECT_EQ(bench.core().voters().size(), 3U);
}

TEST(RaftCases, case_40_no_voter_changes_while_another_change_is_open) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(4)));
    bench.lead();
    for (const int id : {2, 3, 4}) {
        bench.fetch_from(key(id), Offset{11});
    }
    EXPECT_FALSE(bench.ask<VoterChangeResponse>(RemoveVoterRequest{"cluster", key(4)}));
    const auto second = bench.ask<VoterChangeResponse>(RemoveVoterRequest{"cluster", key(3)});
    EXPECT_EQ(second.value().error, KafkaError::request_timed_out);
    EXPECT_EQ(bench.core().voters().size(), 3U);
}

TEST(RaftCases, a_new_voter_is_added_once_it_has_caught_up_and_not_before) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(1)));
    bench.pass(std::chrono::milliseconds(100));
    ASSERT_EQ(bench.core().role(), Role::leader);
    const Offset end = bench.core().log_end();
    EXPECT_FALSE(bench.ask<VoterChangeResponse>(
        AddVoterRequest{"cluster", std::chrono::seconds(5), key(2), voter(2).listeners}));
    const RequestId asked = bench.last_request();
    const auto probe = bench.take_sent_to<SupportRequest>(2);
    ASSERT_TRUE(probe);
    bench.step(ResponseReceived{probe->id, SupportResponse{.kraft_version = {0, 1}}});
    bench.pass(std::chrono::milliseconds(1));
    bench.fetch_from(key(2), Offset{4});
    EXPECT_EQ(bench.core().voters().size(), 1U);
    bench.fetch_from(key(2), end);
    EXPECT_EQ(bench.core().voters().size(), 2U);
    EXPECT_FALSE(bench.answer<VoterChangeResponse>(asked));
    bench.fetch_from(key(2), bench.core().log_end());
    EXPECT_EQ(bench.answer<VoterChangeResponse>(asked).value().error, KafkaError::none);
}

TEST(RaftCases, a_new_voter_that_never_catches_up_is_refused_when_the_time_is_over) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(1)));
    bench.pass(std::chrono::milliseconds(100));
    bench.ask<VoterChangeResponse>(
        AddVoterRequest{"cluster", std::chrono::seconds(5), key(2), voter(2).listeners});
    const RequestId asked = bench.last_request();
    const auto probe = bench.take_sent_to<SupportRequest>(2);
    bench.step(ResponseReceived{probe.value().id, SupportResponse{.kraft_version = {0, 1}}});
    bench.pass(std::chrono::seconds(6));
    EXPECT_EQ(bench.answer<VoterChangeResponse>(asked).value().error,
              KafkaError::request_timed_out);
    EXPECT_EQ(bench.core().voters().size(), 1U);
}

TEST(RaftCases, a_live_voter_is_not_removed_beside_a_dead_one) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    bench.fetch_from(key(2), Offset{11});
    ASSERT_TRUE(bench.core().high_watermark());
    // 3 was never heard of: without 2 nothing could be committed any more.
    const auto answer = bench.ask<VoterChangeResponse>(RemoveVoterRequest{"cluster", key(2)});
    EXPECT_EQ(answer.value().error, KafkaError::invalid_request);
    EXPECT_EQ(bench.core().voters().size(), 3U);
}

TEST(RaftCases, case_41_a_snapshot_ends_where_its_id_says_and_only_on_committed_ground) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    EXPECT_FALSE(bench.core().snapshot_id_at(Offset{5}));
    bench.lead();
    bench.fetch_from(key(2), Offset{11});
    EXPECT_EQ(bench.core().snapshot_id_at(Offset{10}), (SnapshotId{Offset{10}, QuorumEpoch{1}}));
    EXPECT_EQ(bench.core().snapshot_id_at(Offset{11}), (SnapshotId{Offset{11}, QuorumEpoch{2}}));
    EXPECT_FALSE(bench.core().snapshot_id_at(Offset{12}));
    bench.step(SnapshotCreated{{Offset{11}, QuorumEpoch{2}}});
    EXPECT_FALSE(bench.core().snapshot_id_at(Offset{11}));
    EXPECT_THAT(bench.effects_of<ForgetBefore>(), IsEmpty());  // The first one to be kept.
}

TEST(RaftCases, case_42_a_damaged_download_is_taken_again_and_nothing_is_installed) {
    CoreBench bench(3, {}, static_list(3));
    bench.follow(2, QuorumEpoch{2});
    const SnapshotId id{Offset{100}, QuorumEpoch{1}};
    bench.answer_fetch({.snapshot = id});
    auto chunk = bench.take_sent<FetchSnapshotRequest>();
    ASSERT_THAT(chunk, SizeIs(1));
    bench.step(ResponseReceived{
        chunk[0].id, FetchSnapshotResponse{
                         .snapshot = id, .size = 4, .bytes = std::make_shared<const Buffer>(4)}});
    ASSERT_THAT(bench.effects_of<SnapshotComplete>(), SizeIs(1));
    bench.step(SnapshotDamaged{id});
    EXPECT_THAT(bench.effects_of<InstallSnapshot>(), IsEmpty());
    EXPECT_EQ(bench.core().log_end(), Offset{0});
    bench.pass(std::chrono::milliseconds(100));
    EXPECT_THAT(bench.take_sent<FetchRequest>(), SizeIs(1));
}

TEST(RaftCases, a_lost_connection_makes_a_follower_probe_and_then_stand_within_a_slot) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    const auto parked = bench.take_sent<FetchRequest>();
    ASSERT_THAT(parked, SizeIs(1));
    EXPECT_GT(std::get<FetchRequest>(parked[0].request).max_wait, Duration{0});
    bench.step(ConnectionLost{BrokerId{2}});
    bench.step(SendFailed{parked[0].id, /*disconnected=*/true});
    bench.pass(std::chrono::milliseconds(25));
    const auto probes = bench.take_sent<FetchRequest>();
    ASSERT_THAT(probes, SizeIs(1));
    EXPECT_EQ(std::get<FetchRequest>(probes[0].request).max_wait, Duration{0});
    bench.pass(std::chrono::milliseconds(20));
    EXPECT_EQ(bench.core().role(), Role::prospective);
}

TEST(RaftCases, a_leader_that_answers_the_probe_is_doubted_no_longer) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.answer_fetch({.high_watermark = Offset{10}});
    const auto parked = bench.take_sent<FetchRequest>();
    bench.step(SendFailed{parked[0].id, /*disconnected=*/true});
    bench.pass(std::chrono::milliseconds(21));
    bench.answer_fetch({.high_watermark = Offset{10}});
    bench.pass(std::chrono::milliseconds(400));
    EXPECT_EQ(bench.core().role(), Role::follower);
    EXPECT_THAT(bench.take_sent<VoteRequest>(), IsEmpty());
}

// ---- Addresses ----------------------------------------------------------------------------------

Endpoint moved(int id) {
    return {"n" + std::to_string(id), static_cast<std::uint16_t>(9100 + id)};
}

/// Three voters on record, each with another address in the configuration.
CoreConfig moved_list() {
    CoreConfig config = static_list(3);
    for (Voter& voter : config.static_voters) {
        voter.listeners[0].endpoint = moved(voter.key.id.value);
    }
    return config;
}

// All files were changed at once: the record leads nowhere, and nobody can correct it alone.
TEST(RaftAddresses, a_voter_that_is_not_where_the_record_has_it_is_looked_for_as_configured) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)), moved_list());
    bench.pass(std::chrono::milliseconds(200));
    auto first = bench.take_sent_to<VoteRequest>(2);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->to, address(2));
    bench.step(SendFailed{first->id, /*disconnected=*/true});
    bench.pass(std::chrono::milliseconds(100));
    const auto second = bench.take_sent_to<VoteRequest>(2);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->to, moved(2));
    bench.step(SendFailed{second->id, /*disconnected=*/true});
    bench.pass(std::chrono::milliseconds(100));
    first = bench.take_sent_to<VoteRequest>(2);
    ASSERT_TRUE(first);
    EXPECT_EQ(first->to, address(2));
}

TEST(RaftAddresses, so_is_one_in_whose_place_another_answers) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)), moved_list());
    bench.pass(std::chrono::milliseconds(200));
    const auto first = bench.take_sent_to<VoteRequest>(2);
    ASSERT_TRUE(first);
    bench.step(ResponseReceived{first->id, VoteResponse{.error = KafkaError::invalid_voter_key}});
    EXPECT_EQ(bench.core().role(), Role::prospective);
    bench.pass(std::chrono::milliseconds(100));
    const auto second = bench.take_sent_to<VoteRequest>(2);
    ASSERT_TRUE(second);
    EXPECT_EQ(second->to, moved(2));
    // The directory is named: nobody else's vote is taken for it.
    EXPECT_EQ(std::get<VoteRequest>(second->request).voter, key(2));
}

TEST(RaftAddresses, a_server_list_is_tried_for_who_is_missed_and_for_nobody_else) {
    CoreConfig config;
    config.bootstrap_servers = {address(1), address(2), moved(3)};
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)), config);
    bench.pass(std::chrono::milliseconds(200));
    const auto first = bench.take_sent<VoteRequest>();
    ASSERT_THAT(first, SizeIs(2));
    EXPECT_EQ(first[0].to, address(2));
    EXPECT_EQ(first[1].to, address(3));
    bench.step(SendFailed{first[1].id, /*disconnected=*/true});
    bench.pass(std::chrono::milliseconds(100));
    const auto second = bench.take_sent<VoteRequest>();
    ASSERT_THAT(second, SizeIs(1));
    EXPECT_EQ(second[0].to_id, BrokerId{3});
    EXPECT_EQ(second[0].to, moved(3));
}

TEST(RaftAddresses, who_stands_hears_of_its_leaders_new_address) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{2});
    bench.pass(std::chrono::milliseconds(2100));
    ASSERT_EQ(bench.core().role(), Role::prospective);
    for (const Send& send : bench.take_sent<VoteRequest>()) {
        bench.step(ResponseReceived{send.id,
                                    VoteResponse{.hint = {QuorumEpoch{2}, BrokerId{2}, moved(2)}}});
    }
    EXPECT_EQ(bench.core().role(), Role::follower);
    EXPECT_EQ(bench.core().leader_endpoint(), moved(2));
}

// ---- Who runs twice -----------------------------------------------------------------------------

TEST(RaftTwice, who_hears_of_an_epoch_that_it_leads_elsewhere_stops) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    ASSERT_EQ(bench.core().role(), Role::leader);
    const auto begin = bench.take_sent_to<BeginQuorumEpochRequest>(2);
    ASSERT_TRUE(begin);
    const LeaderHint copy{QuorumEpoch{7}, BrokerId{1}, {"n9", 9009}};
    bench.step(ResponseReceived{
        begin->id,
        BeginQuorumEpochResponse{.error = KafkaError::fenced_leader_epoch, .hint = copy}});
    const auto halts = bench.effects_of<Halt>();
    ASSERT_THAT(halts, SizeIs(1));
    EXPECT_THAT(halts[0].reason, testing::HasSubstr("n9:9009 leads as node 1, in epoch 7"));
    EXPECT_FALSE(halts[0].for_good);
}

// Its address may be that of a controller of another cluster by now, with the same ids.
TEST(RaftTwice, what_another_cluster_says_of_its_leader_and_epoch_is_nothing_to_us) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.lead();
    const QuorumEpoch epoch = bench.core().epoch();
    bench.fetch_from(key(2), Offset{10});
    for (const int leader : {1, 2}) {
        const auto begin = bench.take_sent_to<BeginQuorumEpochRequest>(3);
        ASSERT_TRUE(begin);
        bench.step(ResponseReceived{
            begin->id,
            BeginQuorumEpochResponse{.error = KafkaError::inconsistent_cluster_id,
                                     .hint = {QuorumEpoch{40}, BrokerId{leader}, {"n9", 9009}}}});
        EXPECT_EQ(bench.core().role(), Role::leader);
        EXPECT_EQ(bench.core().epoch(), epoch);
        EXPECT_THAT(bench.effects_of<Halt>(), IsEmpty());
        bench.pass(std::chrono::milliseconds(600));
    }
}

// An emptied disk knows none of its node's epochs, and is no cause to stop.
TEST(RaftTwice, a_new_directory_of_the_leaders_node_says_so_once_the_leader_is_not_missed) {
    CoreBench bench(1, {}, static_list(3));
    const LeaderHint other{QuorumEpoch{4}, BrokerId{1}, {"n9", 9009}};
    const auto answer_all = [&] {
        for (const Send& send : bench.take_sent<DescribeQuorumRequest>()) {
            bench.step(ResponseReceived{
                send.id, DescribeQuorumResponse{.error = KafkaError::not_leader_or_follower,
                                                .hint = other,
                                                .voters = {{key(1)}, {key(2)}, {key(3)}}}});
        }
        for (const Send& send : bench.take_sent<FetchRequest>()) {
            bench.step(ResponseReceived{
                send.id,
                FetchResponse{.error = KafkaError::not_leader_or_follower, .hint = other}});
        }
    };
    answer_all();
    EXPECT_THAT(bench.core().why_no_leader(), testing::Not(testing::HasSubstr("n9:9009")));
    for (int i = 0; i < 40; ++i) {
        bench.pass(std::chrono::milliseconds(100));
        answer_all();
    }
    EXPECT_THAT(bench.effects_of<Halt>(), IsEmpty());
    EXPECT_THAT(bench.core().why_no_leader(),
                testing::HasSubstr("node 1 at n9:9009, which is not here: another process"));
}

// ---- Forming ------------------------------------------------------------------------------------

DescribeQuorumResponse new_member(int id) {
    return {.error = KafkaError::not_leader_or_follower,
            .observers = {{key(id), Offset{0}}},
            .nodes = {{BrokerId{id}, {{"CONTROLLER", address(id)}}}}};
}

TEST(RaftForming, the_lowest_id_forms_once_every_configured_voter_has_answered) {
    CoreBench bench(1, {}, static_list(3));
    auto asked = bench.take_sent<DescribeQuorumRequest>();
    ASSERT_THAT(asked, SizeIs(2));
    bench.step(ResponseReceived{asked[0].id, new_member(2)});
    EXPECT_TRUE(bench.core().voters().empty());
    bench.step(ResponseReceived{asked[1].id, new_member(3)});
    EXPECT_EQ(bench.core().voters(), voter_set(3));
    bench.lead();
    EXPECT_EQ(bench.core().role(), Role::leader);
    EXPECT_EQ(bench.core().kraft_version(), 1);
    EXPECT_EQ(bench.core().voter_history().latest_offset(), Offset{2});
}

TEST(RaftForming, says_for_whom_it_waits) {
    CoreBench bench(1, {}, static_list(4));
    EXPECT_THAT(bench.core().why_no_leader(),
                testing::HasSubstr("missing: 2@n2:9002 (no answer), 3@n3:9003 (no answer), 4@"));
    const auto asked = bench.take_sent<DescribeQuorumRequest>();
    bench.step(ResponseReceived{asked[0].id, new_member(2)});
    bench.step(ResponseReceived{asked[1].id, new_member(2)});
    bench.step(ResponseReceived{asked[2].id, new_member(4)});
    EXPECT_THAT(bench.core().why_no_leader(),
                testing::HasSubstr("missing: 3@n3:9003 (says that it is node 2"));
    EXPECT_THAT(bench.effects_of<Notice>(), IsEmpty());
    bench.pass(std::chrono::milliseconds(2200));
    const auto notices = bench.effects_of<Notice>();
    ASSERT_THAT(notices, SizeIs(1));
    EXPECT_EQ(notices[0].event, "raft.waiting_to_form");
    CoreBench other(3, {}, static_list(4));
    EXPECT_THAT(other.core().why_no_leader(), testing::HasSubstr("node 1 at n1:9001 forms"));
}

TEST(RaftForming, another_id_waits_to_be_asked_for_its_vote) {
    CoreBench bench(2, {}, static_list(3));
    bench.pass(std::chrono::seconds(10));
    EXPECT_THAT(bench.take_sent<VoteRequest>(), IsEmpty());
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{0});
    const auto answer = bench.ask<VoteResponse>(vote_for(1, 2, QuorumEpoch{1}, {}));
    EXPECT_TRUE(answer.value().granted);
}

// Who has refused once, as a node of another cluster does for ever, is asked anew who it is, and
// not in the same breath.
TEST(RaftForming, a_refused_vote_is_asked_for_again_at_leisure) {
    CoreBench bench(1, {}, static_list(3));
    int votes = 0;
    for (int slice = 0; slice < 500; ++slice) {
        for (int moments = 0; moments < 10; ++moments) {
            for (const Send& asked : bench.take_sent<DescribeQuorumRequest>()) {
                bench.step(ResponseReceived{asked.id, new_member(asked.to_id.value)});
            }
            for (const Send& asked : bench.take_sent<VoteRequest>()) {
                ++votes;
                bench.step(ResponseReceived{
                    asked.id, VoteResponse{.error = KafkaError::inconsistent_cluster_id}});
            }
        }
        bench.pass(std::chrono::milliseconds(10));
    }
    EXPECT_GE(votes, 6);
    EXPECT_LE(votes, 60);
}

TEST(RaftCases, a_leader_of_another_cluster_is_not_asked_again_and_again) {
    CoreBench bench(1, log_of(Offset{10}, voter_set(3)));
    bench.follow(2, QuorumEpoch{3});
    int fetches = 0;
    for (int slice = 0; slice < 100; ++slice) {
        for (const Send& asked : bench.take_sent<FetchRequest>()) {
            ++fetches;
            bench.step(ResponseReceived{
                asked.id, FetchResponse{.error = KafkaError::inconsistent_cluster_id}});
        }
        bench.pass(std::chrono::milliseconds(10));
    }
    EXPECT_GE(fetches, 1);
    EXPECT_LE(fetches, 3);
}

TEST(RaftForming, an_emptied_disk_forms_nothing_beside_a_quorum_that_lives) {
    CoreBench bench(1, {}, static_list(3));
    const auto asked = bench.take_sent<DescribeQuorumRequest>();
    DescribeQuorumResponse knows_better = new_member(2);
    knows_better.observers[0].log_end = Offset{50};
    bench.step(ResponseReceived{asked[0].id, knows_better});
    bench.step(ResponseReceived{asked[1].id, new_member(3)});
    bench.pass(std::chrono::seconds(5));
    EXPECT_TRUE(bench.core().voters().empty());
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{0});
}

// A mistyped address leads to a controller of another cluster: its epochs are not ours, and once
// the address is right the cluster forms.
TEST(RaftForming, nothing_is_learnt_of_a_member_of_another_cluster) {
    CoreBench bench(1, {}, static_list(3));
    auto asked = bench.take_sent<DescribeQuorumRequest>();
    bench.step(ResponseReceived{asked[0].id, new_member(2)});
    bench.step(ResponseReceived{asked[1].id,
                                DescribeQuorumResponse{.error = KafkaError::not_leader_or_follower,
                                                       .hint = {QuorumEpoch{7}},
                                                       .voters = {{key(3)}, {key(4)}, {key(5)}},
                                                       .observers = {{key(3), Offset{9}}}}});
    const auto fetches = bench.take_sent<FetchRequest>();
    ASSERT_THAT(fetches, SizeIs(1));
    EXPECT_EQ(std::get<FetchRequest>(fetches[0].request).cluster_id, "cluster");
    bench.step(ResponseReceived{
        fetches[0].id, FetchResponse{.error = KafkaError::inconsistent_cluster_id,
                                     .hint = {QuorumEpoch{7}, BrokerId{4}, {"n4", 9004}}}});
    EXPECT_EQ(bench.core().epoch(), QuorumEpoch{0});
    bench.pass(std::chrono::milliseconds(300));
    for (const Send& again : bench.take_sent<DescribeQuorumRequest>()) {
        bench.step(ResponseReceived{again.id, new_member(again.to_id.value)});
    }
    EXPECT_EQ(bench.core().voters(), voter_set(3));
}

TEST(RaftForming, nothing_forms_over_a_vote_for_a_quorum_we_do_not_know) {
    CoreBench bench(1, {}, static_list(2));
    const auto asked = bench.take_sent<DescribeQuorumRequest>();
    DescribeQuorumResponse voted = new_member(2);
    voted.hint.epoch = QuorumEpoch{1};
    bench.step(ResponseReceived{asked[0].id, voted});
    bench.pass(std::chrono::seconds(5));
    EXPECT_TRUE(bench.core().voters().empty());
}

TEST(RaftForming, a_server_list_must_name_each_member_by_its_own_address) {
    CoreConfig config;
    config.bootstrap_servers = {address(1), {"any-of-them", 9000}};
    CoreBench bench(1, {}, config);
    const auto asked = bench.take_sent<DescribeQuorumRequest>();
    ASSERT_THAT(asked, SizeIs(1));
    // Behind a name that leads to anybody, two nodes would each find themselves alone.
    bench.step(ResponseReceived{asked[0].id, new_member(2)});
    bench.pass(std::chrono::seconds(1));
    EXPECT_TRUE(bench.core().voters().empty());
}

// As in a server.properties without advertised.listeners.
TEST(RaftForming, a_server_list_may_name_nodes_of_this_machine_by_its_loopback) {
    CoreConfig config;
    config.bootstrap_servers = {{"localhost", 9001}, {"127.0.0.1", 9002}, {"n3.example.com", 9003}};
    CoreBench bench(1, {}, config);
    const auto asked = bench.take_sent<DescribeQuorumRequest>();
    ASSERT_THAT(asked, SizeIs(2));
    bench.step(ResponseReceived{asked[0].id, new_member(2)});
    bench.step(ResponseReceived{asked[1].id, new_member(3)});
    EXPECT_EQ(bench.core().voters(), voter_set(3));
}

TEST(RaftForming, a_node_that_is_not_in_the_server_list_only_follows) {
    CoreConfig config;
    config.bootstrap_servers = {address(1)};
    CoreBench bench(2, {}, config);
    bench.pass(std::chrono::seconds(1));
    EXPECT_THAT(bench.take_sent<VoteRequest>(), IsEmpty());
    EXPECT_THAT(bench.take_sent<FetchRequest>(), SizeIs(1));
}

TEST(RaftForming, static_voters_of_an_older_log_are_put_on_record_with_their_directories) {
    RecoveredState state;
    state.log_end = Offset{10};
    state.epochs = EpochHistory({}, {{QuorumEpoch{1}, Offset{0}}});
    CoreBench bench(1, std::move(state), static_list(3));
    ASSERT_EQ(bench.core().voters().size(), 3U);
    bench.lead();
    EXPECT_EQ(bench.core().kraft_version(), 0);
    bench.fetch_from(key(2), Offset{11});
    EXPECT_EQ(bench.core().kraft_version(), 0);  // The directory of 3 is not known yet.
    bench.fetch_from(key(3), Offset{11});
    EXPECT_EQ(bench.core().kraft_version(), 1);
    EXPECT_EQ(bench.core().voters(), voter_set(3));
}

// kafka-storage format --standalone leaves a snapshot that ends before the first record. Who joins
// fetches from the first record on, and never sees it.
TEST(RaftForming, voters_of_a_format_step_are_put_on_record) {
    RecoveredState state;
    state.snapshot = SnapshotId{Offset{0}, QuorumEpoch{0}};
    state.voters.reset_to_snapshot(Offset{0}, 1, voter_set(1));
    CoreBench bench(1, std::move(state), {});
    bench.lead();
    EXPECT_EQ(bench.core().voters(), voter_set(1));
    EXPECT_GE(bench.core().voter_history().latest_offset(), Offset{0});
}

}  // namespace
}  // namespace millrace::raft
