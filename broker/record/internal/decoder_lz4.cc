#include <lz4frame.h>

#include "record/internal/decoder.h"

namespace millrace::record::codec {

namespace {

class Lz4Decoder final : public Decompressor::Decoder {
public:
    Lz4Decoder() = default;
    Lz4Decoder(const Lz4Decoder&) = delete;
    Lz4Decoder& operator=(const Lz4Decoder&) = delete;
    ~Lz4Decoder() override { LZ4F_freeDecompressionContext(context_); }

    Result<void> start(ByteView input) override {
        if (context_ == nullptr) {
            if (LZ4F_isError(LZ4F_createDecompressionContext(&context_, LZ4F_VERSION)) != 0) {
                return Error::make(Code::exhausted, "lz4: no memory for a decoder");
            }
        } else {
            LZ4F_resetDecompressionContext(context_);
        }
        rest_ = input;
        inside_frame_ = true;  // an empty input is not a frame
        return {};
    }

    bool ended() const override { return !inside_frame_ && rest_.empty(); }

    // The context holds two blocks, of up to 4 MiB each if a frame says so.
    void shrink() override {
        LZ4F_freeDecompressionContext(context_);
        context_ = nullptr;
    }

    Result<std::size_t> step(MutableBytes room) override {
        std::size_t written = 0;
        while (written == 0 && !ended()) {
            std::size_t out = room.size();
            std::size_t in = rest_.size();
            const std::size_t hint =
                LZ4F_decompress(context_, room.data(), &out, rest_.data(), &in, nullptr);
            if (LZ4F_isError(hint) != 0) {
                return Error::make(Code::corrupt, "lz4: {}", LZ4F_getErrorName(hint));
            }
            if (in == 0 && out == 0) {
                return Error::make(Code::corrupt, "lz4: cut");
            }
            rest_ = rest_.subspan(in);
            written = out;
            inside_frame_ = hint != 0;
        }
        return written;
    }

private:
    LZ4F_dctx* context_ = nullptr;
    ByteView rest_;
    bool inside_frame_ = false;
};

}  // namespace

std::unique_ptr<Decompressor::Decoder> make_lz4() {
    return std::make_unique<Lz4Decoder>();
}

}  // namespace millrace::record::codec
