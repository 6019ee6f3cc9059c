// One codec's decoding state, fed from a whole input and drained step by step.
#pragma once

#include <cstddef>
#include <memory>

#include "base/bytes.h"
#include "base/result.h"
#include "record/compression.h"

namespace millrace::record {

class Decompressor::Decoder {
public:
    virtual ~Decoder() = default;

    /// Starts over on `input`, which outlives the walk.
    virtual Result<void> start(ByteView input) = 0;

    /// How much room the next step needs to get anywhere.
    virtual Result<std::size_t> least_room() { return std::size_t{1}; }

    /// The input has ended properly and all of it came out.
    virtual bool ended() const = 0;

    /// Decodes into `room`; 0 means the input has ended properly.
    virtual Result<std::size_t> step(MutableBytes room) = 0;

    /// Gives up what an unusual input made large.
    virtual void shrink() {}
};

namespace codec {
std::unique_ptr<Decompressor::Decoder> make_gzip();
std::unique_ptr<Decompressor::Decoder> make_snappy();
std::unique_ptr<Decompressor::Decoder> make_lz4();
std::unique_ptr<Decompressor::Decoder> make_zstd();

/// What snappy-java writes in front: eight bytes of magic, a version and the oldest compatible one.
inline constexpr unsigned char xerial_header[16] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                    0,    0,   0,   1,   0,   0,   0,   1};
inline constexpr std::size_t xerial_magic_size = 8;
}  // namespace codec

}  // namespace millrace::record
