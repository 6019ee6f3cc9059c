#include "record/batch_builder.h"

#include <array>
#include <gtest/gtest.h>
#include <limits>
#include <string>

#include "record/control.h"
#include "tests/unit/record/describe.h"

namespace millrace::record {
namespace {

using std::literals::string_literals::operator""s;

Vector vector_named(const std::string& name) {
    for (Vector& vector : read_vectors("batches.txt")) {
        if (vector.name == name) {
            return std::move(vector);
        }
    }
    ADD_FAILURE() << "no vector " << name;
    return {};
}

constexpr std::int64_t now_ms = 1'700'000'000'000;

// Byte for byte, since nothing about an uncompressed batch is left to taste.
TEST(BatchBuilder, lays_a_batch_out_as_kafkas_builder_does) {
    BatchBuilder builder{{.base_offset = Offset{1'000'000'007},
                          .leader_epoch = LeaderEpoch{42},
                          .producer_id = ProducerId{4711},
                          .producer_epoch = ProducerEpoch{3},
                          .base_sequence = std::numeric_limits<std::int32_t>::max() - 1,
                          .is_transactional = true}};
    builder.append(
        {.timestamp = now_ms + 5, .key = as_bytes("key-1"), .value = as_bytes("value-1")});
    builder.append({.timestamp = now_ms,
                    .key = as_bytes("key-2"),
                    .value = as_bytes("value-2 value-2 value-2 value-2")});
    builder.append({.timestamp = now_ms + 90'000, .key = as_bytes(""), .value = as_bytes("")});
    EXPECT_EQ(to_base64(builder.finish()),
              to_base64(vector_named("none/CreateTime/plain/transactional").bytes));
}

TEST(BatchBuilder, lays_headers_out_as_kafkas_builder_does) {
    BatchBuilder builder{{.base_offset = Offset{1'000'000'007},
                          .leader_epoch = LeaderEpoch{42},
                          .append_time = now_ms}};
    const std::array<std::byte, 2> two{std::byte{0}, std::byte{0xff}};
    const std::array<HeaderView, 4> headers{
        HeaderView{"trace", as_bytes("abc")}, HeaderView{"", as_bytes("")},
        HeaderView{"null", std::nullopt}, HeaderView{"s\u00e9mi", ByteView{two}}};
    builder.append({.timestamp = now_ms - 1,
                    .key = as_bytes("k"),
                    .value = as_bytes("v"),
                    .headers = headers});
    builder.append({.timestamp = now_ms, .key = as_bytes("k"), .value = as_bytes("v")});
    EXPECT_EQ(to_base64(builder.finish()),
              to_base64(vector_named("none/LogAppendTime/headers/anonymous").bytes));
}

TEST(BatchBuilder, keeps_offsets_and_delete_horizon_through_compaction) {
    BatchBuilder builder{{.base_offset = Offset{50},
                          .leader_epoch = LeaderEpoch{5},
                          .delete_horizon = now_ms + 86'400'000}};
    builder.append_at(Offset{50}, {.timestamp = now_ms, .key = as_bytes("gone")});
    builder.append_at(
        Offset{57}, {.timestamp = now_ms + 1, .key = as_bytes("kept"), .value = as_bytes("value")});
    builder.keep_last_offset(Offset{60});
    EXPECT_EQ(to_base64(builder.finish()), to_base64(vector_named("compacted/holes-none").bytes));
}

TEST(BatchBuilder, a_batch_emptied_by_compaction_keeps_its_end_and_its_producer) {
    BatchBuilder builder{{.base_offset = Offset{100},
                          .leader_epoch = LeaderEpoch{5},
                          .compression = {.codec = Compression::zstd},
                          .producer_id = ProducerId{4711},
                          .producer_epoch = ProducerEpoch{3},
                          .base_sequence = 8,
                          .is_transactional = true}};
    builder.keep_last_offset(Offset{119});
    builder.keep_max_timestamp(now_ms);
    Compressor compressor;
    EXPECT_EQ(to_base64(*builder.finish(compressor)),
              to_base64(vector_named("compacted/empty").bytes));
}

TEST(BatchBuilder, copies_records_with_their_headers) {
    for (const Vector& vector : read_vectors("batches.txt")) {
        const auto batch = BatchView::parse(vector.bytes);
        if (!vector.name.starts_with("none/") || !batch) {
            continue;
        }
        BatchOptions options{.base_offset = batch->base_offset(),
                             .leader_epoch = batch->partition_leader_epoch(),
                             .producer_id = batch->producer_id(),
                             .producer_epoch = batch->producer_epoch(),
                             .base_sequence = batch->base_sequence(),
                             .is_transactional = batch->is_transactional()};
        if (batch->timestamp_type() == TimestampType::log_append_time) {
            options.append_time = batch->max_timestamp();
        }
        BatchBuilder builder{options};
        RecordReader reader{*batch};
        for (RecordView record; reader.next(record);) {
            builder.append_at(offset_of(*batch, record), create_timestamp_of(*batch, record),
                              record);
        }
        EXPECT_EQ(to_base64(builder.finish()), to_base64(vector.bytes)) << vector.name;
    }
}

TEST(BatchBuilder, is_empty_again_after_finishing) {
    BatchBuilder builder{{}};
    builder.append({.timestamp = 5, .value = as_bytes("a")});
    const Buffer first = builder.finish();
    EXPECT_TRUE(builder.empty());
    builder.append({.timestamp = 5, .value = as_bytes("a")});
    EXPECT_EQ(builder.finish(), first);
}

TEST(BatchBuilder, no_record_needs_more_than_its_upper_bound) {
    const std::string long_text(300, 'x');
    const std::array<HeaderView, 2> headers{HeaderView{long_text, std::nullopt},
                                            HeaderView{"", as_bytes(long_text)}};
    const NewRecord records[] = {
        {.timestamp = 0},
        {.timestamp = std::numeric_limits<std::int64_t>::max(), .key = as_bytes(long_text)},
        {.timestamp = std::numeric_limits<std::int64_t>::min(), .headers = headers}};
    BatchBuilder builder{{}};
    for (const NewRecord& record : records) {
        const std::size_t before = builder.size();
        builder.append(record);
        EXPECT_LE(builder.size() - before, BatchBuilder::upper_bound(record));
    }
}

TEST(BatchBuilder, timestamps_at_both_ends_of_time_survive) {
    constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
    constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
    BatchBuilder builder{{}};
    builder.append({.timestamp = least});
    builder.append({.timestamp = most});
    const Buffer bytes = builder.finish();
    const auto batch = BatchView::parse(bytes);
    RecordReader reader{*batch};
    RecordView record;
    ASSERT_TRUE(reader.next(record));
    EXPECT_EQ(timestamp_of(*batch, record), least);
    ASSERT_TRUE(reader.next(record));
    EXPECT_EQ(timestamp_of(*batch, record), most);
}

TEST(Control, ends_a_transaction_as_kafkas_coordinator_does) {
    for (const ControlType type : {ControlType::abort, ControlType::commit}) {
        Buffer bytes =
            end_transaction_batch(ProducerId{4711}, ProducerEpoch{3}, {type, 12}, now_ms);
        patch_base_offset(bytes, Offset{77});
        patch_leader_epoch(bytes, LeaderEpoch{5});
        const std::string name = type == ControlType::abort ? "marker/ABORT" : "marker/COMMIT";
        EXPECT_EQ(to_base64(bytes), to_base64(vector_named(name).bytes));
    }
}

TEST(Control, a_marker_says_how_the_transaction_ended) {
    const Vector vector = vector_named("marker/COMMIT");
    RecordReader reader{*BatchView::parse(vector.bytes)};
    RecordView record;
    ASSERT_TRUE(reader.next(record));
    const auto marker = parse_end_transaction(record);
    ASSERT_TRUE(marker.has_value());
    EXPECT_EQ(*marker, (EndTransactionMarker{ControlType::commit, 12}));
}

TEST(Control, the_quorums_records_are_told_apart_by_their_keys) {
    const std::pair<const char*, ControlType> kinds[] = {
        {"quorum/leader-change", ControlType::leader_change},
        {"quorum/snapshot-header", ControlType::snapshot_header},
        {"quorum/snapshot-footer", ControlType::snapshot_footer},
        {"quorum/version-and-voters", ControlType::kraft_version}};
    for (const auto& [name, type] : kinds) {
        const Vector vector = vector_named(name);
        RecordReader reader{*BatchView::parse(vector.bytes)};
        RecordView record;
        ASSERT_TRUE(reader.next(record));
        EXPECT_EQ(*parse_control_key(*record.key), type);
        EXPECT_EQ(parse_end_transaction(record).error().code(), Code::invalid);
    }
}

TEST(Control, builds_a_control_batch_of_the_quorum_as_kafka_does) {
    const Vector vector = vector_named("quorum/snapshot-footer");
    const std::array<std::byte, 3> value{};
    const Buffer bytes = control_batch({.base_offset = Offset{3}, .leader_epoch = LeaderEpoch{6}},
                                       ControlType::snapshot_footer, value, now_ms);
    EXPECT_EQ(to_base64(bytes), to_base64(vector.bytes));
}

TEST(Control, short_or_negative_keys_and_values_are_corrupt) {
    EXPECT_EQ(parse_control_key(as_bytes("\0\0\0"s)).error().code(), Code::corrupt);
    EXPECT_EQ(parse_control_key(as_bytes("\xff\xff\0\0"s)).error().code(), Code::corrupt);
    const ControlKey key = control_key(ControlType::abort);
    RecordView record;
    EXPECT_EQ(parse_end_transaction(record).error().code(), Code::corrupt);
    record.key = ByteView{key};
    EXPECT_EQ(parse_end_transaction(record).error().code(), Code::corrupt);
    record.value = as_bytes("\0\0\0\0\0"s);
    EXPECT_EQ(parse_end_transaction(record).error().code(), Code::corrupt);
}

}  // namespace
}  // namespace millrace::record
