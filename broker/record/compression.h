// record/compression.h
//
// Kafka's codecs with bounds: gzip, snappy (raw as librdkafka writes it, framed as snappy-java
// does), lz4 frames, zstd. A Decompressor or Compressor keeps its codec state and buffer between
// calls; have one per shard and use it from that thread only.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/result.h"
#include "record/types.h"

namespace millrace::record {

/// What a decompression may cost, whatever the input claims. Memory follows what really came out,
/// never a declared size.
struct DecompressLimits {
    std::size_t output = std::size_t{128} << 20;  ///< In total.
    std::size_t window = std::size_t{64} << 20;   ///< At once: no record may be larger.
};

class Decompressor {
public:
    class Decoder;  ///< One codec's state; see internal/decoder.h.

    Decompressor();
    ~Decompressor();
    Decompressor(Decompressor&&) noexcept;
    Decompressor& operator=(Decompressor&&) noexcept;

    /// All of it at once. The answer lives until the next call. Code::corrupt: not that codec's
    /// bytes, or cut; Code::exhausted: more than `limit` would come out; Code::unsupported: unknown
    /// codec. `Compression::none` gives the input back.
    Result<ByteView> decompress(Compression codec, ByteView input, std::size_t limit);

    /// Piece by piece. `input` must outlive the walk.
    Result<void> begin(Compression codec, ByteView input, DecompressLimits limits);

    /// The last `keep` bytes of the previous window followed by new ones; if nothing is new, the
    /// input has ended. Earlier windows are dead.
    Result<ByteView> more(std::size_t keep);

    /// Gives a large buffer back; what a quiet shard holds stays below `retain` bytes.
    void shrink(std::size_t retain);

    /// Bytes held for output, for the memory ledger.
    std::size_t memory() const { return capacity_; }

private:
    Error too_large() const;
    Result<void> make_room(std::size_t keep, std::size_t want);
    Result<Decoder*> decoder_for(Compression codec);

    std::array<std::unique_ptr<Decoder>, 5> decoders_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t capacity_ = 0;

    Decoder* active_ = nullptr;
    DecompressLimits limits_;
    std::size_t begin_ = 0;  ///< The window in buffer_.
    std::size_t end_ = 0;
    std::size_t produced_ = 0;
    std::size_t chunk_ = 0;  ///< How much to decode per step.
};

/// A codec with its level on Kafka's scale (`compression.gzip.level`, `.lz4.level`, `.zstd.level`).
struct CompressionChoice {
    Compression codec = Compression::none;
    std::optional<int> level;  ///< Kafka's default if absent; snappy has none.
};

class Compressor {
public:
    Compressor();
    ~Compressor();
    Compressor(Compressor&&) noexcept;
    Compressor& operator=(Compressor&&) noexcept;

    /// Appends the compressed `input` to `out`. Framed snappy and independent 64 KiB lz4 blocks,
    /// which is what every Kafka client reads.
    Result<void> append(CompressionChoice choice, ByteView input, Buffer& out);

private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace millrace::record
