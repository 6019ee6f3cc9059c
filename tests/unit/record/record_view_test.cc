#include "record/record_view.h"

#include <gtest/gtest.h>
#include <string>

#include "base/crc32c.h"
#include "base/varint.h"
#include "record/batch_builder.h"

namespace millrace::record {
namespace {

/// A record from its fields as numbers on the wire, right or wrong.
class Raw {
public:
    Raw& varint(std::int64_t value) {
        std::byte scratch[max_varint64_size];
        const std::size_t used = write_unsigned_varint(scratch, zigzag_encode(value));
        body_.insert(body_.end(), scratch, scratch + used);
        return *this;
    }
    Raw& byte(int value) {
        body_.push_back(static_cast<std::byte>(value));
        return *this;
    }
    Raw& text(std::string_view text) {
        const ByteView bytes = as_bytes(text);
        body_.insert(body_.end(), bytes.begin(), bytes.end());
        return *this;
    }
    /// With its length in front, off by `lie`.
    Buffer record(std::int64_t lie = 0) const {
        Raw whole;
        whole.varint(static_cast<std::int64_t>(body_.size()) + lie);
        whole.body_.insert(whole.body_.end(), body_.begin(), body_.end());
        return whole.body_;
    }

private:
    Buffer body_;
};

RecordParse parse(const Buffer& bytes) {
    RecordView record;
    return parse_record(bytes, record);
}

Raw usual() {
    return Raw{}.byte(0).varint(5).varint(1).varint(1).text("k").varint(2).text("vv").varint(0);
}

TEST(RecordView, gives_the_fields_of_a_record) {
    const Buffer bytes = usual().record();
    RecordView record;
    ASSERT_EQ(parse_record(bytes, record), RecordParse::parsed);
    EXPECT_EQ(record.timestamp_delta, 5);
    EXPECT_EQ(record.offset_delta, 1);
    EXPECT_EQ(as_text(*record.key), "k");
    EXPECT_EQ(as_text(*record.value), "vv");
    EXPECT_TRUE(record.headers.empty());
    EXPECT_EQ(record.bytes.size(), bytes.size());
}

TEST(RecordView, any_cut_is_incomplete) {
    const Buffer bytes = usual().record();
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        EXPECT_EQ(parse(Buffer(bytes.begin(), bytes.begin() + static_cast<long>(size))),
                  RecordParse::incomplete);
    }
}

TEST(RecordView, lengths_that_disagree_are_malformed) {
    Buffer too_long = usual().record(1);
    too_long.push_back(std::byte{0});
    EXPECT_EQ(parse(too_long), RecordParse::malformed);
    EXPECT_EQ(parse(usual().record(-1)), RecordParse::malformed);
    EXPECT_EQ(parse(Raw{}.varint(-5).record()), RecordParse::malformed);
}

TEST(RecordView, numbers_that_lie_about_what_follows_are_malformed) {
    const Raw front = Raw{}.byte(0).varint(0).varint(0);
    const auto with = [&](auto... numbers) {
        Raw raw = front;
        (raw.varint(numbers), ...);
        return parse(raw.record());
    };
    EXPECT_EQ(with(-1, -1, 0), RecordParse::parsed);
    EXPECT_EQ(with(INT32_MAX, -1, 0), RecordParse::malformed);   // key
    EXPECT_EQ(with(-1, INT32_MAX, 0), RecordParse::malformed);   // value
    EXPECT_EQ(with(-1, -1, -1), RecordParse::malformed);         // number of headers
    EXPECT_EQ(with(-1, -1, INT32_MAX), RecordParse::malformed);  // many headers, no bytes
    EXPECT_EQ(with(-1, -1, 1, -1, -1), RecordParse::malformed);  // header without a key
    EXPECT_EQ(with(-1, -1, 1, 0, -1), RecordParse::parsed);
    EXPECT_EQ(with(-1, -1, 1, 0, 9), RecordParse::malformed);  // header value
}

TEST(RecordView, a_number_that_never_ends_is_malformed) {
    EXPECT_EQ(parse(Buffer(20, std::byte{0xff})), RecordParse::malformed);
}

Buffer compressed(int records, Compression codec, std::size_t value_size) {
    BatchBuilder builder{{.compression = {.codec = codec}}};
    const std::string value(value_size, 'v');
    for (int i = 0; i < records; ++i) {
        builder.append({.timestamp = i, .value = as_bytes(value)});
    }
    Compressor compressor;
    return *builder.finish(compressor);
}

Buffer with_count(Buffer batch, std::int32_t count) {
    store_big_endian(batch.data() + BatchHeader::record_count, count);
    return batch;
}

Result<void> read_all(const Buffer& bytes, DecompressLimits limits = {}) {
    Decompressor decompressor;
    RecordReader reader{*BatchView::parse(bytes), decompressor, limits};
    for (RecordView record; reader.next(record);) {
    }
    return reader.status();
}

constexpr Compression all_codecs[] = {Compression::none, Compression::gzip, Compression::snappy,
                                      Compression::lz4, Compression::zstd};

TEST(RecordReader, reads_as_many_records_as_the_header_says) {
    for (const Compression codec : all_codecs) {
        const Buffer batch = compressed(10, codec, 100);
        EXPECT_TRUE(read_all(batch).has_value()) << to_string(codec);
        EXPECT_EQ(read_all(with_count(batch, 9)).error().code(), Code::corrupt);
        EXPECT_EQ(read_all(with_count(batch, 11)).error().code(), Code::corrupt);
        EXPECT_EQ(read_all(with_count(batch, 0)).error().code(), Code::corrupt);
        EXPECT_EQ(read_all(with_count(batch, -1)).error().code(), Code::corrupt);
    }
}

TEST(RecordReader, records_across_windows_come_out_whole) {
    for (const Compression codec : all_codecs) {
        const Buffer bytes = compressed(40, codec, 50'000);
        Decompressor decompressor;
        RecordReader reader{*BatchView::parse(bytes), decompressor};
        const std::string expected(50'000, 'v');
        int read = 0;
        for (RecordView record; reader.next(record); ++read) {
            ASSERT_EQ(record.offset_delta, read);
            ASSERT_EQ(as_text(*record.value), expected);
        }
        EXPECT_TRUE(reader.status().has_value());
        EXPECT_EQ(read, 40);
    }
}

// 100 MB of zeroes: the walk ends at the limit, with no more than a window held.
TEST(RecordReader, a_bomb_ends_at_the_output_limit) {
    for (const Compression codec : {Compression::gzip, Compression::lz4, Compression::zstd}) {
        const Buffer bomb = compressed(100, codec, 1'000'000);
        EXPECT_EQ(read_all(bomb, {.output = 10'000'000}).error().code(), Code::exhausted);
        EXPECT_TRUE(read_all(bomb, {.output = 200'000'000, .window = 4 << 20}).has_value());
    }
}

TEST(RecordReader, a_record_larger_than_the_window_is_refused) {
    for (const Compression codec : {Compression::gzip, Compression::lz4, Compression::zstd}) {
        EXPECT_EQ(read_all(compressed(1, codec, 5 << 20), {.window = 1 << 20}).error().code(),
                  Code::exhausted);
    }
}

TEST(RecordReader, an_unknown_codec_is_unsupported) {
    Buffer batch = compressed(1, Compression::none, 1);
    batch[BatchHeader::attributes + 1] |= std::byte{7};
    EXPECT_EQ(read_all(batch).error().code(), Code::unsupported);
}

}  // namespace
}  // namespace millrace::record
