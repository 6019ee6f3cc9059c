// The core's messages through Kafka's wire format and back.
#include "raft/internal/wire.h"

#include <gtest/gtest.h>

#include "protocol/api_table.h"
#include "raft/raft_driver.h"
#include "record/batch_builder.h"
#include "tests/unit/raft/core_bench.h"

namespace millrace::raft {
namespace {

using test::address;
using test::key;
using test::voter;

/// In every version that we send: what a peer of ours reads is what we meant.
template <typename Message, typename Check>
void round_trip(const Message& message, Check check) {
    const Request request = message;
    const WireVersions versions = versions_of(request);
    for (std::int16_t version = versions.min; version <= versions.max; ++version) {
        const auto bytes = encode_request(request, version);
        ASSERT_TRUE(bytes.has_value()) << bytes.error().to_string();
        const auto back = decode_request(versions.api_key, version, ByteView(*bytes));
        ASSERT_TRUE(back.has_value()) << back.error().to_string();
        check(std::get<Message>(*back), version);
    }
}

/// The answer to `request` in its newest version.
template <typename Answer>
Answer through_the_wire(const Request& request, const Answer& answer) {
    const WireVersions versions = versions_of(request);
    const Instant now{5'000'000'000};
    const auto bytes =
        encode_response(versions.api_key, versions.max, answer, now, Timestamp{1'000'000});
    EXPECT_TRUE(bytes.has_value()) << bytes.error().to_string();
    auto back = decode_response(request, versions.max, *bytes);
    EXPECT_TRUE(back.has_value()) << back.error().to_string();
    return std::get<Answer>(*std::move(back));
}

TEST(RaftWire, carries_votes_and_pre_votes) {
    for (const bool pre_vote : {false, true}) {
        const VoteRequest vote{
            "cluster", key(1), key(2), QuorumEpoch{5}, {Offset{77}, QuorumEpoch{4}}, pre_vote};
        round_trip(vote, [&](const VoteRequest& back, std::int16_t) {
            EXPECT_EQ(back.cluster_id, vote.cluster_id);
            EXPECT_EQ(back.voter, vote.voter);
            EXPECT_EQ(back.candidate, vote.candidate);
            EXPECT_EQ(back.epoch, vote.epoch);
            EXPECT_EQ(back.log, vote.log);
            EXPECT_EQ(back.pre_vote, vote.pre_vote);
        });
    }
    const LeaderHint hint{QuorumEpoch{5}, BrokerId{3}, address(3)};
    const auto answer =
        through_the_wire(VoteRequest{}, VoteResponse{.hint = hint, .granted = true});
    EXPECT_TRUE(answer.granted);
    EXPECT_EQ(answer.hint, hint);
}

TEST(RaftWire, a_pre_vote_is_never_sent_as_a_vote_to_who_does_not_know_the_difference) {
    EXPECT_EQ(versions_of(VoteRequest{.pre_vote = true}).min, 2);
    EXPECT_FALSE(encode_request(VoteRequest{.pre_vote = true}, 1).has_value());
}

TEST(RaftWire, carries_the_beginning_and_the_end_of_an_epoch) {
    const BeginQuorumEpochRequest begin{
        "cluster", key(1), BrokerId{2}, QuorumEpoch{5}, {{"CONTROLLER", address(2)}}};
    round_trip(begin, [&](const BeginQuorumEpochRequest& back, std::int16_t) {
        EXPECT_EQ(back.voter, begin.voter);
        EXPECT_EQ(back.leader, begin.leader);
        EXPECT_EQ(back.epoch, begin.epoch);
        EXPECT_EQ(back.leader_listeners, begin.leader_listeners);
    });
    const EndQuorumEpochRequest end{
        "cluster", BrokerId{2}, QuorumEpoch{5}, {key(3), key(1)}, {{"CONTROLLER", address(2)}}};
    round_trip(end, [&](const EndQuorumEpochRequest& back, std::int16_t) {
        EXPECT_EQ(back.leader, end.leader);
        EXPECT_EQ(back.preferred, end.preferred);
    });
}

TEST(RaftWire, carries_a_fetch_and_what_it_brings) {
    const FetchRequest fetch{"cluster",
                             key(2),
                             QuorumEpoch{5},
                             {Offset{40}, QuorumEpoch{4}},
                             Offset{38},
                             1 << 20,
                             std::chrono::milliseconds(500)};
    round_trip(fetch, [&](const FetchRequest& back, std::int16_t version) {
        EXPECT_EQ(back.replica, fetch.replica);
        EXPECT_EQ(back.leader_epoch, fetch.leader_epoch);
        EXPECT_EQ(back.log, fetch.log);
        EXPECT_EQ(back.max_wait, fetch.max_wait);
        // Only the newest version tells the high watermark.
        EXPECT_EQ(back.high_watermark,
                  version >= 18 ? fetch.high_watermark : high_watermark_unsupported);
    });
    record::BatchBuilder builder({.base_offset = Offset{40}, .leader_epoch = LeaderEpoch{5}});
    builder.append({.timestamp = 1, .value = as_bytes("opaque")});
    FetchResponse response{.hint = {QuorumEpoch{5}, BrokerId{1}, address(1)},
                           .high_watermark = Offset{40},
                           .log_start = Offset{3}};
    response.fetched.bytes = std::make_shared<const Buffer>(builder.finish());
    const auto back = through_the_wire(fetch, response);
    EXPECT_EQ(back.hint, response.hint);
    EXPECT_EQ(back.high_watermark, response.high_watermark);
    ASSERT_EQ(back.fetched.batches.size(), 1U);
    EXPECT_EQ(back.fetched.batches[0].base, Offset{40});
    EXPECT_EQ(back.fetched.batches[0].epoch, QuorumEpoch{5});
    EXPECT_EQ(*back.fetched.bytes, *response.fetched.bytes);
    EXPECT_FALSE(back.diverging);
    EXPECT_FALSE(back.snapshot);
}

TEST(RaftWire, tells_a_diverging_log_from_a_snapshot_to_take) {
    const auto diverging = through_the_wire(
        FetchRequest{}, FetchResponse{.diverging = LogPosition{Offset{0}, QuorumEpoch{0}}});
    EXPECT_EQ(diverging.diverging, (LogPosition{Offset{0}, QuorumEpoch{0}}));
    EXPECT_FALSE(diverging.snapshot);
    const auto snapshot = through_the_wire(
        FetchRequest{}, FetchResponse{.snapshot = SnapshotId{Offset{9}, QuorumEpoch{2}}});
    EXPECT_EQ(snapshot.snapshot, (SnapshotId{Offset{9}, QuorumEpoch{2}}));
    EXPECT_FALSE(snapshot.diverging);
}

TEST(RaftWire, carries_a_piece_of_a_snapshot) {
    const FetchSnapshotRequest fetch{
        "cluster", key(2), QuorumEpoch{5}, {Offset{40}, QuorumEpoch{4}}, 4096, 1 << 20};
    round_trip(fetch, [&](const FetchSnapshotRequest& back, std::int16_t) {
        EXPECT_EQ(back.replica, fetch.replica);
        EXPECT_EQ(back.snapshot, fetch.snapshot);
        EXPECT_EQ(back.position, fetch.position);
    });
    const auto back = through_the_wire(
        fetch, FetchSnapshotResponse{.snapshot = fetch.snapshot,
                                     .size = 5000,
                                     .position = 4096,
                                     .bytes = std::make_shared<const Buffer>(904)});
    EXPECT_EQ(back.size, 5000);
    EXPECT_EQ(back.position, 4096);
    EXPECT_EQ(back.bytes->size(), 904U);
}

TEST(RaftWire, carries_changes_of_the_voters) {
    round_trip(AddVoterRequest{"cluster", std::chrono::seconds(3), key(2), voter(2).listeners},
               [&](const AddVoterRequest& back, std::int16_t) {
                   EXPECT_EQ(back.cluster_id, "cluster");
                   EXPECT_EQ(back.voter, key(2));
                   EXPECT_EQ(back.listeners, voter(2).listeners);
                   EXPECT_EQ(back.timeout, std::chrono::seconds(3));
                   EXPECT_TRUE(back.ack_when_committed);
               });
    round_trip(RemoveVoterRequest{std::nullopt, key(2)},
               [&](const RemoveVoterRequest& back, std::int16_t) {
                   EXPECT_FALSE(back.cluster_id);
                   EXPECT_EQ(back.voter, key(2));
               });
    round_trip(UpdateVoterRequest{"cluster", QuorumEpoch{5}, voter(2)},
               [&](const UpdateVoterRequest& back, std::int16_t) {
                   EXPECT_EQ(back.leader_epoch, QuorumEpoch{5});
                   EXPECT_EQ(back.voter, voter(2));
               });
    const auto answer = through_the_wire(
        RemoveVoterRequest{},
        VoterChangeResponse{.error = KafkaError::voter_not_found, .message = "2 is not a voter"});
    EXPECT_EQ(answer.error, KafkaError::voter_not_found);
    EXPECT_EQ(answer.message, "2 is not a voter");
}

TEST(RaftWire, carries_the_description_of_a_quorum) {
    DescribeQuorumResponse quorum{.hint = {QuorumEpoch{5}, BrokerId{1}, address(1)},
                                  .high_watermark = Offset{40}};
    quorum.voters.push_back({key(1), Offset{41}});
    quorum.observers.push_back({key(7), Offset{30}});
    quorum.nodes.emplace_back(BrokerId{1}, voter(1).listeners);
    const auto back = through_the_wire(DescribeQuorumRequest{}, quorum);
    EXPECT_EQ(back.hint, quorum.hint);
    ASSERT_EQ(back.voters.size(), 1U);
    EXPECT_EQ(back.voters[0].key, key(1));
    EXPECT_EQ(back.voters[0].log_end, Offset{41});
    ASSERT_EQ(back.observers.size(), 1U);
    EXPECT_EQ(back.nodes, quorum.nodes);
}

TEST(RaftWire, refuses_a_request_about_another_partition) {
    const Buffer body{std::byte{0}, std::byte{0}};
    const auto request =
        decode_request(static_cast<std::int16_t>(protocol::ApiKey::vote), 2, ByteView(body));
    EXPECT_FALSE(request.has_value());
}

}  // namespace
}  // namespace millrace::raft
