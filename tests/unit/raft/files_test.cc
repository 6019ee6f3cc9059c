// What lies on the quorum's disk, read and written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "raft/internal/control_batch.h"
#include "raft/internal/quorum_state_file.h"
#include "raft/internal/snapshot_file.h"
#include "raft/internal/wire.h"
#include "raft/quorum_config.h"
#include "record/batch_builder.h"
#include "tests/unit/raft/core_bench.h"

namespace millrace::raft {
namespace {

using test::key;
using test::voter_set;
using testing::HasSubstr;

TEST(QuorumState, is_written_as_kafka_writes_it) {
    const Uuid directory = *Uuid::parse("ydJOnJJ5SHaLZRxnMzNRbA");
    const ElectionState state{QuorumEpoch{7}, BrokerId{2}, ReplicaKey{BrokerId{3}, directory}};
    const std::string text =
        R"({"leaderId":2,"leaderEpoch":7,"votedId":3,"votedDirectoryId":"ydJOnJJ5SHaLZRxnMzNRbA",)"
        R"("data_version":1})";
    EXPECT_EQ(print_quorum_state(state), text);
    EXPECT_EQ(*parse_quorum_state(text), state);
}

TEST(QuorumState, reads_what_kafka_wrote_with_static_voters) {
    const auto state = parse_quorum_state(
        R"({"clusterId":"","leaderId":1,"leaderEpoch":3,"votedId":-1,"appliedOffset":0,)"
        R"("currentVoters":[{"voterId":1},{"voterId":2}],"data_version":0})");
    ASSERT_TRUE(state.has_value()) << state.error().to_string();
    EXPECT_EQ(*state, (ElectionState{QuorumEpoch{3}, BrokerId{1}, std::nullopt}));
}

TEST(QuorumState, of_an_unknown_version_is_refused_with_the_versions_we_know) {
    const auto state = parse_quorum_state(R"({"leaderEpoch":3,"data_version":2})");
    ASSERT_FALSE(state.has_value());
    EXPECT_EQ(state.error().code(), Code::unsupported);
    EXPECT_THAT(state.error().message(), HasSubstr("data_version 2"));
}

TEST(QuorumState, that_is_damaged_is_never_taken_for_an_empty_one) {
    for (const char* text :
         {"", "{", "{}", "null", R"({"data_version":1})", "\0\0\0\0",
          R"({"leaderId":1,"leaderEpoch":-4,"votedId":1,"data_version":1})",
          R"({"leaderId":1,"leaderEpoch":4,"votedId":1,"votedDirectoryId":"?","data_version":1})",
          R"({"leaderId":1,"leaderEpoch":4,"votedId":1,"data_version":1} more)",
          R"({"leaderId":1,"leaderEpoch":99999999999,"votedId":1,"data_version":1})"}) {
        const auto state = parse_quorum_state(text);
        ASSERT_FALSE(state.has_value()) << text;
        EXPECT_EQ(state.error().code(), Code::corrupt) << text;
    }
}

TEST(ControlBatch, comes_back_as_it_was_written) {
    const std::vector<ControlRecord> records{
        LeaderChange{BrokerId{1}, {{BrokerId{1}, {}}, {BrokerId{2}, {}}}, {{BrokerId{1}, {}}}},
        KraftVersionChange{1}, VotersChange{voter_set(3)}};
    const Buffer bytes = build_control_batch(records, Offset{40}, QuorumEpoch{6}, Timestamp{9});
    const auto batch = record::BatchView::parse(bytes);
    ASSERT_TRUE(batch->check().has_value());
    EXPECT_EQ(batch->partition_leader_epoch(), LeaderEpoch{6});
    const auto back = read_control_records(*batch);
    ASSERT_TRUE(back.has_value()) << back.error().to_string();
    ASSERT_EQ(back->size(), 3U);
    for (std::size_t i = 0; i < records.size(); ++i) {
        EXPECT_EQ((*back)[i].first, Offset{40} + static_cast<std::int64_t>(i));
        EXPECT_EQ((*back)[i].second, records[i]);
    }
}

TEST(SnapshotName, is_end_and_epoch_with_leading_zeros) {
    const SnapshotId id{Offset{42}, QuorumEpoch{3}};
    EXPECT_EQ(snapshot_file_name(id), "00000000000000000042-0000000003.checkpoint");
    EXPECT_EQ(parse_snapshot_file_name(snapshot_file_name(id)), id);
    for (const char* name : {"00000000000000000042-0000000003.checkpoint.part",
                             "0000000000000000004x-0000000003.checkpoint", "quorum-state",
                             "-0000000000000000001-0000000003.checkpoint", ""}) {
        EXPECT_FALSE(parse_snapshot_file_name(name)) << name;
    }
}

Buffer data_batch(Offset base, int records) {
    record::BatchBuilder builder({.base_offset = base});
    for (int i = 0; i < records; ++i) {
        builder.append({.timestamp = 5, .value = as_bytes("value")});
    }
    return builder.finish();
}

Result<SnapshotSummary> check(const std::vector<Buffer>& batches) {
    SnapshotChecker checker;
    for (const Buffer& bytes : batches) {
        MR_TRY(const auto batch, record::BatchView::parse(bytes));
        MR_TRY_VOID(checker.add(batch));
    }
    return checker.finish();
}

class SnapshotBatches : public testing::Test {
protected:
    const SnapshotId id{Offset{42}, QuorumEpoch{3}};
    const Buffer header = snapshot_header_batch(id, Timestamp{77}, 1, voter_set(3), Timestamp{80});
    const Buffer data = data_batch(Offset{3}, 4);
    const Buffer footer = snapshot_footer_batch(id, Offset{7}, Timestamp{80});
};

TEST_F(SnapshotBatches, from_header_to_footer_are_a_snapshot) {
    const auto summary = check({header, data, footer});
    ASSERT_TRUE(summary.has_value()) << summary.error().to_string();
    EXPECT_EQ(summary->last_contained_log_time, Timestamp{77});
    EXPECT_EQ(summary->kraft_version, 1);
    EXPECT_EQ(summary->voters, voter_set(3));
    EXPECT_EQ(summary->size, header.size() + data.size() + footer.size());
}

TEST_F(SnapshotBatches, that_lack_something_or_are_out_of_order_are_not) {
    Buffer flipped = data;
    flipped.back() ^= std::byte{1};
    const std::vector<std::vector<Buffer>> wrong{{},
                                                 {header},
                                                 {header, data},
                                                 {data, footer},
                                                 {header, footer},  // A batch is missing.
                                                 {header, data, data, footer},
                                                 {header, flipped, footer},
                                                 {header, data, footer, footer},
                                                 {header, header, data, footer}};
    for (std::size_t i = 0; i < wrong.size(); ++i) {
        const auto summary = check(wrong[i]);
        ASSERT_FALSE(summary.has_value()) << "case " << i;
        EXPECT_EQ(summary.error().code(), Code::corrupt) << "case " << i;
    }
}

TEST(FetchedBatchesOnTheWire, lose_a_batch_that_was_cut_and_refuse_a_damaged_one) {
    Buffer two = data_batch(Offset{10}, 2);
    const Buffer second = data_batch(Offset{12}, 3);
    const std::size_t first_size = two.size();
    two.insert(two.end(), second.begin(), second.end());
    EXPECT_EQ(read_batches(two)->batches.size(), 2U);
    Buffer cut = two;
    cut.resize(cut.size() - 3);
    const auto fetched = read_batches(cut);
    ASSERT_EQ(fetched->batches.size(), 1U);
    EXPECT_EQ(fetched->batches[0].end, Offset{12});
    EXPECT_EQ(fetched->bytes->size(), first_size);
    two[first_size + 70] ^= std::byte{1};
    EXPECT_FALSE(read_batches(two).has_value());
}

TEST(QuorumLists, are_read_in_kafkas_notation) {
    const auto voters = parse_voters("1@host-a:9093, 2@[::1]:9094", "CONTROLLER");
    ASSERT_TRUE(voters.has_value()) << voters.error().to_string();
    ASSERT_EQ(voters->size(), 2U);
    EXPECT_EQ((*voters)[1].key.id, BrokerId{2});
    EXPECT_EQ((*voters)[1].listeners[0], (Listener{"CONTROLLER", {"::1", 9094}}));
    EXPECT_EQ(parse_bootstrap_servers("a:1,b:2")->at(1), (Endpoint{"b", 2}));
    EXPECT_TRUE(parse_voters("", "CONTROLLER")->empty());
}

TEST(QuorumLists, name_a_voter_twice_only_at_one_address) {
    EXPECT_EQ(parse_voters("1@host-a:9093,2@host-b:9093,1@host-a:9093", "CONTROLLER")->size(), 2U);
    EXPECT_FALSE(parse_voters("1@host-a:9093,1@host-a:9094", "CONTROLLER").has_value());
}

TEST(QuorumLists, say_whether_others_belong_to_the_quorum) {
    QuorumConfig config;
    config.node_id = BrokerId{1};
    config.listeners = {{"CONTROLLER", {"host-a", 9093}}};
    EXPECT_FALSE(names_others(config));
    config.voters = *parse_voters("1@anything:9093", "CONTROLLER");
    config.bootstrap_servers = *parse_bootstrap_servers("host-a:9093,localhost:9093");
    EXPECT_FALSE(names_others(config));
    config.bootstrap_servers = *parse_bootstrap_servers("host-a:9093,host-b:9093");
    EXPECT_TRUE(names_others(config));
    config.bootstrap_servers.clear();
    config.voters = *parse_voters("1@host-a:9093,2@host-b:9093", "CONTROLLER");
    EXPECT_TRUE(names_others(config));
}

TEST(QuorumLists, know_a_node_by_its_own_names_only) {
    const auto reached = [](const char* own, const char* address) {
        return is_reached_at({{"CONTROLLER", {own, 9093}}}, {address, 9093});
    };
    EXPECT_TRUE(reached("host-a", "host-a"));
    EXPECT_TRUE(reached("host-a.example.com", "host-a"));
    EXPECT_TRUE(reached("host-a", "host-a.example.com"));
    EXPECT_TRUE(reached("host-a", "127.0.0.1"));
    EXPECT_FALSE(reached("host-a", "host-ab"));
    EXPECT_FALSE(reached("host-a", "host"));
    EXPECT_FALSE(reached("host-a.example", "host-a.example.com"));
    EXPECT_FALSE(reached("10", "10.0.0.1"));
    EXPECT_FALSE(reached("10.0.0.1", "10.0.0.11"));
    EXPECT_FALSE(is_reached_at({{"CONTROLLER", {"host-a", 9093}}}, {"localhost", 9094}));
}

TEST(QuorumLists, with_a_mistake_are_refused_with_the_place) {
    for (const char* text : {"1", "1@host", "x@host:1", "1@host:1,1@other:2", "-1@host:1",
                             "1@:9093", "1@::1:9093", "1@host:99999", "1@host:1,,2@host:2"}) {
        const auto voters = parse_voters(text, "CONTROLLER");
        ASSERT_FALSE(voters.has_value()) << text;
        EXPECT_THAT(voters.error().message(), HasSubstr("controller.quorum.voters")) << text;
    }
    EXPECT_FALSE(parse_bootstrap_servers("host").has_value());
}

}  // namespace
}  // namespace millrace::raft
