#include <algorithm>
#include <limits>
#include <lz4frame.h>
#include <memory>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "base/assert.h"
#include "record/compression.h"
#include "record/internal/decoder.h"

namespace millrace::record {

namespace {

constexpr int gzip_only = 15 + 16;
constexpr int gzip_memory = 8;  // zlib's default
constexpr std::size_t xerial_block = std::size_t{32} << 10;
constexpr int kafka_lz4_default = 9;  // which means "fast", not level 9 of the slow compressor
constexpr int lz4_slow_min = 3;       // below it liblz4 would take the fast compressor
constexpr int lz4_slow_max = 12;

struct FreeGzip {
    void operator()(z_stream* stream) const {
        deflateEnd(stream);
        delete stream;
    }
};
struct FreeZstd {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
};

/// Lets a C library write up to `most` bytes behind `out` and keeps what it wrote.
template <typename Write>
Result<void> append_bounded(Buffer& out, std::size_t most, Write write) {
    const std::size_t before = out.size();
    out.resize(before + most);
    Result<std::size_t> written = write(out.data() + before, most);
    out.resize(before + (written ? *written : 0));
    return written ? Result<void>{} : Result<void>{written.error()};
}

Result<void> append_lz4(std::optional<int> level, ByteView input, Buffer& out) {
    LZ4F_preferences_t preferences{};
    preferences.frameInfo.blockSizeID = LZ4F_max64KB;
    preferences.frameInfo.blockMode = LZ4F_blockIndependent;
    preferences.compressionLevel = level.value_or(kafka_lz4_default) == kafka_lz4_default
                                       ? 0
                                       : std::clamp(*level, lz4_slow_min, lz4_slow_max);
    return append_bounded(
        out, LZ4F_compressFrameBound(input.size(), &preferences),
        [&](std::byte* to, std::size_t most) -> Result<std::size_t> {
            const std::size_t written =
                LZ4F_compressFrame(to, most, input.data(), input.size(), &preferences);
            if (LZ4F_isError(written) != 0) {
                return Error::make(Code::internal, "lz4: {}", LZ4F_getErrorName(written));
            }
            return written;
        });
}

Result<void> append_snappy(ByteView input, Buffer& out) {
    const ByteView header = std::as_bytes(std::span{codec::xerial_header});
    out.insert(out.end(), header.begin(), header.end());
    while (!input.empty()) {
        const ByteView block = input.first(std::min(input.size(), xerial_block));
        input = input.subspan(block.size());
        const std::size_t most = sizeof(std::int32_t) + snappy_max_compressed_length(block.size());
        MR_TRY_VOID(
            append_bounded(out, most, [&](std::byte* to, std::size_t room) -> Result<std::size_t> {
                std::size_t written = room - sizeof(std::int32_t);
                if (snappy_compress(reinterpret_cast<const char*>(block.data()), block.size(),
                                    reinterpret_cast<char*>(to) + sizeof(std::int32_t),
                                    &written) != SNAPPY_OK) {
                    return Error::make(Code::internal, "snappy: can't compress {} bytes",
                                       block.size());
                }
                store_big_endian(to, static_cast<std::int32_t>(written));
                return sizeof(std::int32_t) + written;
            }));
    }
    return {};
}

}  // namespace

struct Compressor::State {
    std::unique_ptr<z_stream, FreeGzip> gzip;
    int gzip_level = 0;
    std::unique_ptr<ZSTD_CCtx, FreeZstd> zstd;

    Result<void> append_gzip(std::optional<int> level, ByteView input, Buffer& out);
    Result<void> append_zstd(std::optional<int> level, ByteView input, Buffer& out);
};

Result<void> Compressor::State::append_gzip(std::optional<int> level, ByteView input, Buffer& out) {
    const int wanted = level.value_or(Z_DEFAULT_COMPRESSION);
    if (gzip == nullptr || gzip_level != wanted) {
        gzip.reset();
        auto stream = std::make_unique<z_stream>();
        if (deflateInit2(stream.get(), wanted, Z_DEFLATED, gzip_only, gzip_memory,
                         Z_DEFAULT_STRATEGY) != Z_OK) {
            return Error::make(Code::invalid, "gzip: level {} or no memory", wanted);
        }
        gzip.reset(stream.release());
        gzip_level = wanted;
    } else {
        MR_ASSERT(deflateReset(gzip.get()) == Z_OK);
    }
    MR_ASSERT(input.size() <= std::numeric_limits<uInt>::max() / 2);
    return append_bounded(
        out, deflateBound(gzip.get(), input.size()),
        [&](std::byte* to, std::size_t most) -> Result<std::size_t> {
            gzip->next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
            gzip->avail_in = static_cast<uInt>(input.size());
            gzip->next_out = reinterpret_cast<Bytef*>(to);
            gzip->avail_out = static_cast<uInt>(most);
            if (deflate(gzip.get(), Z_FINISH) != Z_STREAM_END) {
                return Error::make(Code::internal, "gzip: can't compress {} bytes", input.size());
            }
            return most - gzip->avail_out;
        });
}

Result<void> Compressor::State::append_zstd(std::optional<int> level, ByteView input, Buffer& out) {
    if (zstd == nullptr) {
        zstd.reset(ZSTD_createCCtx());
        if (zstd == nullptr) {
            return Error::make(Code::exhausted, "zstd: no memory for an encoder");
        }
    }
    return append_bounded(
        out, ZSTD_compressBound(input.size()),
        [&](std::byte* to, std::size_t most) -> Result<std::size_t> {
            const std::size_t written =
                ZSTD_compressCCtx(zstd.get(), to, most, input.data(), input.size(),
                                  level.value_or(ZSTD_CLEVEL_DEFAULT));
            if (ZSTD_isError(written) != 0) {
                return Error::make(Code::internal, "zstd: {}", ZSTD_getErrorName(written));
            }
            return written;
        });
}

Compressor::Compressor() : state_(std::make_unique<State>()) {}
Compressor::~Compressor() = default;
Compressor::Compressor(Compressor&&) noexcept = default;
Compressor& Compressor::operator=(Compressor&&) noexcept = default;

Result<void> Compressor::append(CompressionChoice choice, ByteView input, Buffer& out) {
    switch (choice.codec) {
        case Compression::none:
            out.insert(out.end(), input.begin(), input.end());
            return {};
        case Compression::gzip:
            return state_->append_gzip(choice.level, input, out);
        case Compression::snappy:
            return append_snappy(input, out);
        case Compression::lz4:
            return append_lz4(choice.level, input, out);
        case Compression::zstd:
            return state_->append_zstd(choice.level, input, out);
    }
    return Error::make(Code::unsupported, "compression codec {}", static_cast<int>(choice.codec));
}

}  // namespace millrace::record
