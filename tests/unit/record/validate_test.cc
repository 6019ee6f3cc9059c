// What tests/vectors/records/verdicts.txt does not hold: faults that Kafka finds before its
// validator, and where we look less closely than Kafka on purpose.
#include "record/validate.h"

#include <gtest/gtest.h>
#include <string>

#include "base/crc32c.h"
#include "record/batch_builder.h"
#include "tests/unit/record/describe.h"

namespace millrace::record {
namespace {

constexpr Timestamp now{1'700'000'000'000};

Buffer batch_of(Compression codec, int records = 3, std::size_t value_size = 10) {
    BatchBuilder builder{{.compression = {.codec = codec}}};
    const std::string value(value_size, 'v');
    for (int i = 0; i < records; ++i) {
        builder.append({.timestamp = now.milliseconds - i, .value = as_bytes(value)});
    }
    Compressor compressor;
    return *builder.finish(compressor);
}

void sign(Buffer& batch) {
    store_big_endian(batch.data() + BatchHeader::crc,
                     crc32c(ByteView{batch}.subspan(BatchHeader::attributes)));
}

template <typename T>
Buffer with(Buffer batch, std::size_t at, T value) {
    store_big_endian(batch.data() + at, value);
    sign(batch);
    return batch;
}

Verdict judge(ByteView records, const ProduceRules& rules = {}) {
    Decompressor decompressor;
    return validate_produce(records, rules, now, decompressor);
}

TEST(ValidateProduce, demands_exactly_one_whole_batch) {
    const Buffer one = batch_of(Compression::none);
    Buffer two = one;
    two.insert(two.end(), one.begin(), one.end());
    EXPECT_TRUE(judge(one).accepted());
    EXPECT_EQ(judge({}).refusal, Refusal::not_one_batch);
    EXPECT_EQ(judge(two).refusal, Refusal::not_one_batch);
    EXPECT_EQ(judge(ByteView{one}.first(one.size() - 1)).refusal, Refusal::not_one_batch);
}

TEST(ValidateProduce, refuses_old_and_unknown_magic) {
    EXPECT_EQ(judge(with(batch_of(Compression::none), BatchHeader::magic, std::int8_t{1})).refusal,
              Refusal::old_magic);
    EXPECT_EQ(judge(with(batch_of(Compression::none), BatchHeader::magic, std::int8_t{3})).refusal,
              Refusal::malformed);
}

TEST(ValidateProduce, refuses_a_base_offset_other_than_zero) {
    EXPECT_EQ(
        judge(with(batch_of(Compression::none), BatchHeader::base_offset, std::int64_t{1})).refusal,
        Refusal::base_offset_not_zero);
}

TEST(ValidateProduce, refuses_a_batch_above_the_limit) {
    const Buffer batch = batch_of(Compression::none);
    EXPECT_TRUE(judge(batch, {.max_batch_size = batch.size()}).accepted());
    EXPECT_EQ(judge(batch, {.max_batch_size = batch.size() - 1}).refusal, Refusal::too_large);
}

TEST(ValidateProduce, refuses_any_flipped_bit) {
    const Buffer good = batch_of(Compression::lz4);
    for (std::size_t at = BatchHeader::attributes; at < good.size(); ++at) {
        Buffer bad = good;
        bad[at] ^= std::byte{0x40};
        EXPECT_EQ(judge(bad).refusal, Refusal::bad_crc) << at;
    }
}

TEST(ValidateProduce, refuses_codecs_that_do_not_exist_or_came_later) {
    EXPECT_EQ(
        judge(with(batch_of(Compression::none), BatchHeader::attributes, std::int16_t{5})).refusal,
        Refusal::unknown_codec);
    EXPECT_EQ(judge(batch_of(Compression::zstd), {.is_zstd_allowed = false}).refusal,
              Refusal::codec_too_new);
    EXPECT_TRUE(judge(batch_of(Compression::lz4), {.is_zstd_allowed = false}).accepted());
}

TEST(ValidateProduce, refuses_a_producer_that_says_log_append_time) {
    Buffer batch = batch_of(Compression::none);
    patch_timestamps(batch, TimestampType::log_append_time, now.milliseconds);
    EXPECT_EQ(judge(batch).refusal, Refusal::timestamp_type);
}

TEST(ValidateProduce, opens_compressed_batches_only_where_it_must) {
    const Buffer batch = batch_of(Compression::lz4);
    EXPECT_FALSE(judge(batch).walked);
    EXPECT_TRUE(judge(batch, {.strict = true}).walked);
    EXPECT_TRUE(judge(batch, {.stored_codec = Compression::zstd}).walked);
    EXPECT_FALSE(judge(batch, {.stored_codec = Compression::lz4}).walked);
    EXPECT_EQ(judge(batch, {.is_compacted = true}).refusal, Refusal::missing_key);
    EXPECT_TRUE(judge(batch_of(Compression::none)).walked);
}

// Said openly in README.md: without `strict`, the header's count is believed.
TEST(ValidateProduce, finds_a_lying_compressed_batch_only_if_strict) {
    Buffer liar = batch_of(Compression::zstd, 3);
    liar = with(liar, BatchHeader::record_count, 5);
    liar = with(liar, BatchHeader::last_offset_delta, 4);
    EXPECT_TRUE(judge(liar).accepted());
    EXPECT_EQ(judge(liar, {.strict = true}).refusal, Refusal::bad_record);
}

TEST(ValidateProduce, checks_the_timestamps_in_an_unopened_batchs_header) {
    const Buffer batch = batch_of(Compression::gzip, 1);
    const std::int64_t hour = 3'600'000;
    EXPECT_TRUE(judge(batch, {.before_max_ms = 0, .after_max_ms = 0}).accepted());
    EXPECT_EQ(judge(with(batch, BatchHeader::max_timestamp, now.milliseconds + hour + 1)).refusal,
              Refusal::timestamp_range);
    EXPECT_EQ(judge(with(batch, BatchHeader::base_timestamp, now.milliseconds - 11),
                    {.before_max_ms = 10})
                  .refusal,
              Refusal::timestamp_range);
}

TEST(ValidateProduce, a_bomb_is_refused_within_the_limits) {
    const ProduceRules rules{.strict = true, .decompress = {.output = 1 << 20}};
    for (const Compression codec : {Compression::gzip, Compression::lz4, Compression::zstd}) {
        EXPECT_EQ(judge(batch_of(codec, 1, 20'000'000), rules).refusal, Refusal::too_large_inside);
    }
}

TEST(ValidateProduce, lists_no_more_bad_records_than_a_response_should_carry) {
    const Verdict verdict = judge(batch_of(Compression::none, 500), {.is_compacted = true});
    EXPECT_EQ(verdict.refusal, Refusal::missing_key);
    EXPECT_EQ(verdict.bad_records.size(), Verdict::max_bad_records);
}

TEST(ValidateProduce, accepts_from_its_own_builder_what_it_accepts_from_kafkas) {
    for (const Compression codec : {Compression::none, Compression::gzip, Compression::snappy,
                                    Compression::lz4, Compression::zstd}) {
        Buffer batch = batch_of(codec);
        const Verdict verdict = judge(batch, {.strict = true});
        ASSERT_TRUE(verdict.accepted()) << describe(verdict.refusal);
        stamp(batch, verdict, Offset{500}, LeaderEpoch{2});
        const auto stored = BatchView::parse(batch);
        EXPECT_TRUE(stored->check().has_value());
        EXPECT_EQ(stored->base_offset(), Offset{500});
        EXPECT_EQ(stored->max_timestamp(), now.milliseconds);
    }
}

TEST(Recompress, refuses_to_grow_past_the_limit) {
    Decompressor decompressor;
    Compressor compressor;
    const Buffer packed = batch_of(Compression::zstd, 10, 10'000);
    const auto batch = BatchView::parse(packed);
    EXPECT_EQ(recompress(*batch, {}, 50'000, {}, decompressor, compressor).error().code(),
              Code::exhausted);
    EXPECT_EQ(recompress(*batch, {}, 200'000, {.output = 50'000}, decompressor, compressor)
                  .error()
                  .code(),
              Code::exhausted);
    EXPECT_TRUE(recompress(*batch, {}, 200'000, {}, decompressor, compressor).has_value());
}

}  // namespace
}  // namespace millrace::record
