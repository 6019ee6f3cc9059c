#include "record/compression.h"

#include <gtest/gtest.h>
#include <snappy-c.h>
#include <string>
#include <zstd.h>

#include "record/internal/decoder.h"

namespace millrace::record {
namespace {

constexpr Compression codecs[] = {Compression::gzip, Compression::snappy, Compression::lz4,
                                  Compression::zstd};
constexpr std::size_t plenty = std::size_t{64} << 20;

Buffer compress(CompressionChoice choice, ByteView input) {
    Compressor compressor;
    Buffer out;
    EXPECT_TRUE(compressor.append(choice, input, out).has_value());
    return out;
}

/// Text-like: neither constant nor noise.
Buffer sample(std::size_t size) {
    Buffer bytes(size);
    std::uint32_t state = 1;
    for (std::size_t i = 0; i < size; ++i) {
        state = state * 1664525 + 1013904223;
        bytes[i] = static_cast<std::byte>((i % 7 == 0 ? state >> 28 : i % 26) + 'a');
    }
    return bytes;
}

Buffer joined(const Buffer& a, const Buffer& b) {
    Buffer both = a;
    both.insert(both.end(), b.begin(), b.end());
    return both;
}

TEST(Compression, what_goes_in_comes_out_at_every_size) {
    Compressor compressor;
    Decompressor decompressor;
    for (const Compression codec : codecs) {
        for (const std::size_t size : {0u, 1u, 100u, 32'768u, 65'536u, 65'537u, 3'000'000u}) {
            const Buffer input = sample(size);
            Buffer packed;
            ASSERT_TRUE(compressor.append({.codec = codec}, input, packed).has_value());
            const auto output = decompressor.decompress(codec, packed, plenty);
            ASSERT_TRUE(output.has_value())
                << to_string(codec) << ' ' << size << ' ' << output.error().to_string();
            EXPECT_TRUE(std::equal(output->begin(), output->end(), input.begin(), input.end()));
        }
    }
}

TEST(Compression, every_level_that_kafka_has_can_be_read) {
    const Buffer input = sample(200'000);
    const auto expect_readable = [&](Compression codec, int from, int to) {
        for (int level = from; level <= to; ++level) {
            Decompressor decompressor;
            const auto output = decompressor.decompress(
                codec, compress({.codec = codec, .level = level}, input), plenty);
            ASSERT_TRUE(output.has_value()) << to_string(codec) << ' ' << level;
            EXPECT_EQ(output->size(), input.size());
        }
    };
    expect_readable(Compression::gzip, -1, 9);
    expect_readable(Compression::lz4, 1, 17);
    expect_readable(Compression::zstd, -7, 22);
}

TEST(Compression, a_higher_level_takes_effect) {
    const Buffer input = sample(200'000);
    const auto size = [&](Compression codec, int level) {
        return compress({.codec = codec, .level = level}, input).size();
    };
    EXPECT_LT(size(Compression::gzip, 9), size(Compression::gzip, 1));
    EXPECT_LT(size(Compression::lz4, 12), size(Compression::lz4, 9));  // 9 means fast
    EXPECT_LT(size(Compression::zstd, 19), size(Compression::zstd, 1));
}

TEST(Decompressor, any_cut_input_is_corrupt) {
    for (const Compression codec : codecs) {
        const Buffer packed = compress({.codec = codec}, sample(5000));
        Decompressor decompressor;
        for (std::size_t size = 0; size < packed.size(); ++size) {
            // What remains of framed snappy after a whole block is a shorter stream, by design.
            if (codec == Compression::snappy && size == sizeof(codec::xerial_header)) {
                continue;
            }
            const auto output =
                decompressor.decompress(codec, ByteView{packed}.first(size), plenty);
            ASSERT_FALSE(output.has_value()) << to_string(codec) << ' ' << size;
            EXPECT_EQ(output.error().code(), Code::corrupt);
        }
    }
}

TEST(Decompressor, output_up_to_the_limit_passes_and_one_byte_more_does_not) {
    for (const Compression codec : codecs) {
        for (const std::size_t size : {1000u, 65'536u, 1'000'000u}) {
            const Buffer packed = compress({.codec = codec}, Buffer(size));
            Decompressor decompressor;
            EXPECT_TRUE(decompressor.decompress(codec, packed, size).has_value());
            const auto more = decompressor.decompress(codec, packed, size - 1);
            ASSERT_FALSE(more.has_value()) << to_string(codec) << ' ' << size;
            EXPECT_EQ(more.error().code(), Code::exhausted);
        }
    }
}

TEST(Decompressor, works_again_after_an_error) {
    Decompressor decompressor;
    const Buffer input = sample(1000);
    for (const Compression codec : codecs) {
        const Buffer packed = compress({.codec = codec}, input);
        EXPECT_FALSE(decompressor.decompress(codec, ByteView{packed}.first(20), plenty));
        EXPECT_FALSE(decompressor.decompress(codec, packed, 10));
        EXPECT_TRUE(decompressor.decompress(codec, packed, plenty));
    }
}

TEST(Decompressor, gzip_members_and_frames_may_follow_each_other) {
    const Buffer half = sample(1000);
    for (const Compression codec : codecs) {
        const Buffer packed = compress({.codec = codec}, half);
        Decompressor decompressor;
        const auto output = decompressor.decompress(codec, joined(packed, packed), plenty);
        ASSERT_TRUE(output.has_value()) << to_string(codec);
        EXPECT_EQ(Buffer(output->begin(), output->end()), joined(half, half));
    }
}

TEST(Decompressor, reads_raw_snappy) {
    const Buffer input = sample(100'000);
    Buffer packed(snappy_max_compressed_length(input.size()));
    std::size_t size = packed.size();
    ASSERT_EQ(snappy_compress(reinterpret_cast<const char*>(input.data()), input.size(),
                              reinterpret_cast<char*>(packed.data()), &size),
              SNAPPY_OK);
    packed.resize(size);
    Decompressor decompressor;
    const auto output = decompressor.decompress(Compression::snappy, packed, plenty);
    ASSERT_TRUE(output.has_value());
    EXPECT_EQ(Buffer(output->begin(), output->end()), input);
}

// Ten bytes that announce 4 GiB: refused before anything is allocated, whatever the limit.
TEST(Decompressor, snappy_that_claims_an_impossible_size_is_corrupt) {
    Buffer claim(10, std::byte{0xff});
    claim[4] = std::byte{0x0f};
    Decompressor decompressor;
    EXPECT_EQ(decompressor.decompress(Compression::snappy, claim, SIZE_MAX).error().code(),
              Code::corrupt);
}

// A frame header may declare any content size; only what comes out counts.
TEST(Decompressor, a_zstd_frame_with_a_window_above_the_limit_is_corrupt) {
    ZSTD_CCtx* const context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 30);
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    Buffer packed(1000);
    ZSTD_outBuffer out{packed.data(), packed.size(), 0};
    ZSTD_inBuffer in{"abc", 3, 0};
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
    ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
    ZSTD_freeCCtx(context);
    packed.resize(out.pos);
    Decompressor decompressor;
    EXPECT_EQ(decompressor.decompress(Compression::zstd, packed, plenty).error().code(),
              Code::corrupt);
}

TEST(Decompressor, trailing_garbage_is_corrupt) {
    for (const Compression codec : codecs) {
        const Buffer packed = joined(compress({.codec = codec}, sample(100)), Buffer(9));
        Decompressor decompressor;
        const auto output = decompressor.decompress(codec, packed, plenty);
        // Nine zero bytes are two empty snappy blocks and a cut one.
        ASSERT_FALSE(output.has_value()) << to_string(codec);
        EXPECT_EQ(output.error().code(), Code::corrupt);
    }
}

TEST(Decompressor, uncompressed_input_is_its_own_output) {
    const Buffer input = sample(10);
    Decompressor decompressor;
    EXPECT_EQ(decompressor.decompress(Compression::none, input, 0)->data(), input.data());
}

TEST(Decompressor, gives_large_buffers_back) {
    Decompressor decompressor;
    const Buffer packed = compress({.codec = Compression::zstd}, Buffer(8 << 20));
    ASSERT_TRUE(decompressor.decompress(Compression::zstd, packed, plenty));
    EXPECT_GE(decompressor.memory(), std::size_t{8} << 20);
    decompressor.shrink(1 << 20);
    EXPECT_EQ(decompressor.memory(), 0u);
    EXPECT_TRUE(decompressor.decompress(Compression::zstd, packed, plenty));
}

}  // namespace
}  // namespace millrace::record
