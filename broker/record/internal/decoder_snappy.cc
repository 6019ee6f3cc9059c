#include <cstring>
#include <snappy-c.h>

#include "record/internal/decoder.h"

namespace millrace::record::codec {

namespace {

// The densest element copies 64 bytes and takes three, so a block that claims more than this many
// times its size lies, and is refused before anything is allocated for it.
constexpr std::size_t densest = 32;

/// Raw snappy is one block; the framing of snappy-java is a header and length-prefixed blocks.
class SnappyDecoder final : public Decompressor::Decoder {
public:
    Result<void> start(ByteView input) override {
        rest_ = input;
        framed_ = starts_with_header(input);
        block_ = {};
        block_size_ = 0;
        if (framed_) {
            rest_ = rest_.subspan(sizeof(xerial_header));
        } else if (rest_.empty()) {
            return Error::make(Code::corrupt, "snappy: empty");
        }
        return {};
    }

    Result<std::size_t> least_room() override {
        // Empty blocks are passed over: a step that gives nothing would mean the end.
        while (block_size_ == 0 && !rest_.empty()) {
            MR_TRY_VOID(next_block());
        }
        return block_size_;
    }

    bool ended() const override { return block_size_ == 0 && rest_.empty(); }

    Result<std::size_t> step(MutableBytes room) override {
        MR_TRY(const std::size_t size, least_room());
        if (size == 0) {
            return std::size_t{0};
        }
        MR_ASSERT(room.size() >= size);
        std::size_t written = room.size();
        if (snappy_uncompress(reinterpret_cast<const char*>(block_.data()), block_.size(),
                              reinterpret_cast<char*>(room.data()), &written) != SNAPPY_OK ||
            written != size) {
            return Error::make(Code::corrupt, "snappy: malformed block of {} bytes", block_.size());
        }
        block_size_ = 0;
        return size;
    }

private:
    static bool starts_with_header(ByteView bytes) {
        return bytes.size() >= sizeof(xerial_header) &&
               std::memcmp(bytes.data(), xerial_header, xerial_magic_size) == 0;
    }

    Result<void> next_block() {
        if (!framed_) {
            block_ = rest_;
            rest_ = {};
            return measure();
        }
        // Streams may be concatenated; then a header stands where a length would.
        if (starts_with_header(rest_)) {
            rest_ = rest_.subspan(sizeof(xerial_header));
            return {};
        }
        if (rest_.size() < sizeof(std::int32_t)) {
            return Error::make(Code::corrupt, "snappy: cut in a block length");
        }
        const auto length = load_big_endian<std::int32_t>(rest_.data());
        rest_ = rest_.subspan(sizeof(std::int32_t));
        if (length < 0 || static_cast<std::size_t>(length) > rest_.size()) {
            return Error::make(Code::corrupt, "snappy: block of {} bytes with {} left", length,
                               rest_.size());
        }
        block_ = rest_.first(static_cast<std::size_t>(length));
        rest_ = rest_.subspan(static_cast<std::size_t>(length));
        return measure();
    }

    Result<void> measure() {
        std::size_t size = 0;
        if (snappy_uncompressed_length(reinterpret_cast<const char*>(block_.data()), block_.size(),
                                       &size) != SNAPPY_OK ||
            size / densest > block_.size()) {
            return Error::make(Code::corrupt, "snappy: impossible size of a block of {} bytes",
                               block_.size());
        }
        block_size_ = size;
        return {};
    }

    ByteView rest_;
    ByteView block_;
    std::size_t block_size_ = 0;  ///< Decoded; 0 if no block waits.
    bool framed_ = false;
};

}  // namespace

std::unique_ptr<Decompressor::Decoder> make_snappy() {
    return std::make_unique<SnappyDecoder>();
}

}  // namespace millrace::record::codec
