#include "record/batch_view.h"

#include <array>
#include <gtest/gtest.h>
#include <limits>

#include "base/crc32c.h"
#include "record/batch_builder.h"

namespace millrace::record {
namespace {

Buffer batch_at(Offset base, int records) {
    BatchBuilder builder{{.base_offset = base, .leader_epoch = LeaderEpoch{3}}};
    for (int i = 0; i < records; ++i) {
        builder.append({.timestamp = 1000 + i, .key = as_bytes("key"), .value = as_bytes("value")});
    }
    return builder.finish();
}

void append(Buffer& to, const Buffer& more) {
    to.insert(to.end(), more.begin(), more.end());
}

template <typename T>
void set(Buffer& batch, std::size_t at, T value) {
    store_big_endian(batch.data() + at, value);
    store_big_endian(batch.data() + BatchHeader::crc,
                     crc32c(ByteView{batch}.subspan(BatchHeader::attributes)));
}

TEST(BatchView, takes_the_first_batch_and_ignores_what_follows) {
    Buffer bytes = batch_at(Offset{5}, 3);
    const std::size_t size = bytes.size();
    append(bytes, batch_at(Offset{8}, 1));
    const auto batch = BatchView::parse(bytes);
    ASSERT_TRUE(batch.has_value());
    EXPECT_EQ(batch->size(), size);
    EXPECT_EQ(batch->base_offset(), Offset{5});
    EXPECT_EQ(batch->last_offset(), Offset{7});
    EXPECT_EQ(batch->next_offset(), Offset{8});
    EXPECT_TRUE(batch->check().has_value());
}

TEST(BatchView, a_cut_batch_is_told_from_a_broken_one_at_every_length) {
    const Buffer bytes = batch_at(Offset{0}, 2);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto batch = BatchView::parse(ByteView{bytes}.first(size));
        ASSERT_FALSE(batch.has_value());
        EXPECT_EQ(batch.error().code(), Code::again) << size;
    }
}

TEST(BatchView, an_impossible_length_or_magic_is_corrupt) {
    for (const std::int32_t length : {-1, 0, 48, std::numeric_limits<std::int32_t>::min()}) {
        Buffer bytes = batch_at(Offset{0}, 1);
        store_big_endian(bytes.data() + BatchHeader::batch_length, length);
        EXPECT_EQ(BatchView::parse(bytes).error().code(), Code::corrupt) << length;
    }
    for (const std::int8_t magic : {std::int8_t{-1}, std::int8_t{3}, std::int8_t{127}}) {
        Buffer bytes = batch_at(Offset{0}, 1);
        store_big_endian(bytes.data() + BatchHeader::magic, magic);
        EXPECT_EQ(BatchView::parse(bytes).error().code(), Code::corrupt) << int{magic};
    }
}

TEST(BatchView, check_finds_any_flipped_bit_under_the_checksum) {
    const Buffer good = batch_at(Offset{0}, 2);
    for (std::size_t at = BatchHeader::crc; at < good.size(); ++at) {
        Buffer bad = good;
        bad[at] ^= std::byte{0x10};
        EXPECT_FALSE(BatchView::parse(bad)->check().has_value()) << at;
    }
}

TEST(BatchView, check_refuses_offsets_and_counts_that_no_log_has) {
    const auto checked = [](auto change) {
        Buffer bytes = batch_at(Offset{10}, 2);
        change(bytes);
        return BatchView::parse(bytes)->check().has_value();
    };
    EXPECT_TRUE(checked([](Buffer&) {}));
    EXPECT_FALSE(checked([](Buffer& b) { patch_base_offset(b, Offset{-1}); }));
    EXPECT_FALSE(checked([](Buffer& b) {
        patch_base_offset(b, Offset{std::numeric_limits<std::int64_t>::max() - 1});
    }));
    EXPECT_FALSE(checked([](Buffer& b) { set(b, BatchHeader::last_offset_delta, -1); }));
    EXPECT_FALSE(checked([](Buffer& b) { set(b, BatchHeader::record_count, -1); }));
    EXPECT_FALSE(checked([](Buffer& b) { set(b, BatchHeader::record_count, 3); }));
    EXPECT_TRUE(checked([](Buffer& b) { set(b, BatchHeader::record_count, 0); }));
}

TEST(BatchView, sequences_wrap_after_the_largest_number) {
    constexpr std::int32_t largest = std::numeric_limits<std::int32_t>::max();
    BatchBuilder builder{{.producer_id = ProducerId{1},
                          .producer_epoch = ProducerEpoch{0},
                          .base_sequence = largest - 1}};
    for (int i = 0; i < 4; ++i) {
        builder.append({.timestamp = 0});
    }
    const Buffer bytes = builder.finish();
    EXPECT_EQ(BatchView::parse(bytes)->last_sequence(), 1);
}

TEST(BatchView, base_offset_and_leader_epoch_lie_outside_the_checksum) {
    Buffer bytes = batch_at(Offset{0}, 2);
    patch_base_offset(bytes, Offset{123'456'789'012});
    patch_leader_epoch(bytes, LeaderEpoch{99});
    const auto batch = BatchView::parse(bytes);
    EXPECT_EQ(batch->base_offset(), Offset{123'456'789'012});
    EXPECT_EQ(batch->partition_leader_epoch(), LeaderEpoch{99});
    EXPECT_TRUE(batch->check_crc());
}

TEST(BatchView, patched_timestamps_carry_a_right_checksum) {
    Buffer bytes = batch_at(Offset{0}, 50);
    patch_timestamps(bytes, TimestampType::log_append_time, 777);
    const auto batch = BatchView::parse(bytes);
    EXPECT_EQ(batch->timestamp_type(), TimestampType::log_append_time);
    EXPECT_EQ(batch->max_timestamp(), 777);
    EXPECT_TRUE(batch->check_crc());
    patch_timestamps(bytes, TimestampType::create_time, 1049);
    EXPECT_EQ(bytes, batch_at(Offset{0}, 50));
}

TEST(BatchView, a_wrong_checksum_is_not_mended_by_a_patch) {
    Buffer bytes = batch_at(Offset{0}, 1);
    bytes.back() ^= std::byte{1};
    patch_timestamps(bytes, TimestampType::log_append_time, 777);
    EXPECT_FALSE(BatchView::parse(bytes)->check_crc());
}

TEST(BatchRange, walks_the_batches_and_keeps_the_cut_rest) {
    Buffer bytes = batch_at(Offset{0}, 1);
    append(bytes, batch_at(Offset{1}, 2));
    const Buffer last = batch_at(Offset{3}, 1);
    append(bytes, Buffer(last.begin(), last.end() - 1));
    BatchRange range{bytes};
    std::vector<Offset> ends;
    for (const BatchView& batch : range) {
        ends.push_back(batch.next_offset());
    }
    EXPECT_EQ(ends, (std::vector{Offset{1}, Offset{3}}));
    EXPECT_EQ(range.rest().size(), last.size() - 1);
    EXPECT_EQ(range.rest_framing(), Framing::incomplete);
}

TEST(BatchRange, an_exhausted_range_has_a_complete_rest) {
    const Buffer bytes = batch_at(Offset{0}, 1);
    BatchRange range{bytes};
    EXPECT_TRUE(range.next().has_value());
    EXPECT_FALSE(range.next().has_value());
    EXPECT_EQ(range.rest_framing(), Framing::complete);
}

TEST(BatchRange, stops_before_garbage) {
    Buffer bytes = batch_at(Offset{0}, 1);
    bytes.resize(bytes.size() + 100);
    BatchRange range{bytes};
    EXPECT_TRUE(range.next().has_value());
    EXPECT_FALSE(range.next().has_value());
    EXPECT_EQ(range.rest_framing(), Framing::malformed);
}

}  // namespace
}  // namespace millrace::record
