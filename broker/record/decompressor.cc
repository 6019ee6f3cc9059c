#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "record/compression.h"
#include "record/internal/decoder.h"

namespace millrace::record {

namespace {

// Streaming decodes this much per step: it stays in the second-level cache while it is walked.
constexpr std::size_t streaming_chunk = std::size_t{64} << 10;

std::unique_ptr<Decompressor::Decoder> make_decoder(Compression codec) {
    switch (codec) {
        case Compression::gzip:
            return codec::make_gzip();
        case Compression::snappy:
            return codec::make_snappy();
        case Compression::lz4:
            return codec::make_lz4();
        case Compression::zstd:
            return codec::make_zstd();
        case Compression::none:
            break;
    }
    return nullptr;
}

}  // namespace

Decompressor::Decompressor() = default;
Decompressor::~Decompressor() = default;
Decompressor::Decompressor(Decompressor&&) noexcept = default;
Decompressor& Decompressor::operator=(Decompressor&&) noexcept = default;

Result<Decompressor::Decoder*> Decompressor::decoder_for(Compression codec) {
    const auto slot = static_cast<std::size_t>(codec);
    if (slot >= decoders_.size() || codec == Compression::none) {
        return Error::make(Code::unsupported, "compression codec {}", slot);
    }
    if (decoders_[slot] == nullptr) {
        decoders_[slot] = make_decoder(codec);
    }
    return decoders_[slot].get();
}

Result<ByteView> Decompressor::decompress(Compression codec, ByteView input, std::size_t limit) {
    if (codec == Compression::none) {
        return input;
    }
    MR_TRY_VOID(begin(codec, input, {.output = limit, .window = limit}));
    // Steps grow with what came out, so that a large result is not moved more often than needed.
    chunk_ = std::max(streaming_chunk, input.size());
    std::size_t size = 0;
    while (true) {
        MR_TRY(const ByteView all, more(size));
        if (all.size() == size) {
            return all;
        }
        size = all.size();
        chunk_ = std::max(chunk_, size);
    }
}

Result<void> Decompressor::begin(Compression codec, ByteView input, DecompressLimits limits) {
    active_ = nullptr;
    begin_ = end_ = produced_ = 0;
    limits_ = limits;
    chunk_ = streaming_chunk;
    MR_TRY(Decoder* const decoder, decoder_for(codec));
    MR_TRY_VOID(decoder->start(input));
    active_ = decoder;
    return {};
}

Result<ByteView> Decompressor::more(std::size_t keep) {
    MR_ASSERT(active_ != nullptr && keep <= end_ - begin_);
    begin_ = end_ - keep;
    if (!active_->ended()) {
        MR_TRY(const std::size_t least, active_->least_room());
        const std::size_t left = limits_.output - produced_;
        // One byte past the limit tells a full result from one that is too large.
        const std::size_t want = std::max(least, std::min(chunk_, left < chunk_ ? left + 1 : left));
        if (least > left) {
            return too_large();
        }
        MR_TRY_VOID(make_room(keep, want));
        MR_TRY(const std::size_t count, active_->step({buffer_.get() + end_, want}));
        if (count > left) {
            return too_large();
        }
        end_ += count;
        produced_ += count;
    }
    return ByteView{buffer_.get() + begin_, end_ - begin_};
}

Error Decompressor::too_large() const {
    return Error::make(Code::exhausted, "decompresses to more than {} bytes", limits_.output);
}

/// Room for `want` bytes behind the `keep` bytes of the window, which may move.
Result<void> Decompressor::make_room(std::size_t keep, std::size_t want) {
    if (capacity_ - end_ >= want) {
        return {};
    }
    // The window itself is what a caller asked to see at once.
    if (keep > limits_.window) {
        return Error::make(Code::exhausted, "a record of more than {} bytes", limits_.window);
    }
    if (capacity_ >= keep + want && capacity_ / 2 >= keep) {
        std::memmove(buffer_.get(), buffer_.get() + begin_, keep);
    } else {
        const std::size_t capacity = std::max(keep + want, 2 * keep);
        auto larger = std::make_unique_for_overwrite<std::byte[]>(capacity);
        if (keep != 0) {
            std::memcpy(larger.get(), buffer_.get() + begin_, keep);
        }
        buffer_ = std::move(larger);
        capacity_ = capacity;
    }
    begin_ = 0;
    end_ = keep;
    return {};
}

void Decompressor::shrink(std::size_t retain) {
    if (capacity_ > retain) {
        buffer_.reset();
        capacity_ = begin_ = end_ = 0;
        active_ = nullptr;
    }
    for (auto& decoder : decoders_) {
        if (decoder != nullptr) {
            decoder->shrink();
        }
    }
}

}  // namespace millrace::record
