#include <zstd.h>

#include "base/assert.h"
#include "record/internal/decoder.h"

namespace millrace::record::codec {

namespace {

// zstd's own default. Levels up to 22 need it, since Java's stream writer never knows the size in
// advance; the buffer is only touched as far as output comes.
constexpr int largest_window_log = 27;
// A context that served a larger window than level 19 writes is not kept.
constexpr std::size_t retained_context = std::size_t{10} << 20;

class ZstdDecoder final : public Decompressor::Decoder {
public:
    ZstdDecoder() = default;
    ZstdDecoder(const ZstdDecoder&) = delete;
    ZstdDecoder& operator=(const ZstdDecoder&) = delete;
    ~ZstdDecoder() override { ZSTD_freeDCtx(context_); }

    Result<void> start(ByteView input) override {
        shrink();
        if (context_ == nullptr) {
            context_ = ZSTD_createDCtx();
            if (context_ == nullptr) {
                return Error::make(Code::exhausted, "zstd: no memory for a decoder");
            }
            ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, largest_window_log);
        } else {
            ZSTD_DCtx_reset(context_, ZSTD_reset_session_only);
        }
        input_ = {input.data(), input.size(), 0};
        inside_frame_ = true;  // an empty input is not a frame
        return {};
    }

    bool ended() const override { return !inside_frame_ && input_.pos == input_.size; }

    Result<std::size_t> step(MutableBytes room) override {
        ZSTD_outBuffer output{room.data(), room.size(), 0};
        while (output.pos < output.size && !ended()) {
            const std::size_t read_before = input_.pos;
            const std::size_t written_before = output.pos;
            const std::size_t hint = ZSTD_decompressStream(context_, &output, &input_);
            if (ZSTD_isError(hint) != 0) {
                return Error::make(Code::corrupt, "zstd: {}", ZSTD_getErrorName(hint));
            }
            inside_frame_ = hint != 0;
            if (inside_frame_ && input_.pos == read_before && output.pos == written_before) {
                return Error::make(Code::corrupt, "zstd: cut");
            }
        }
        return output.pos;
    }

    void shrink() override {
        if (context_ != nullptr && ZSTD_sizeof_DCtx(context_) > retained_context) {
            ZSTD_freeDCtx(context_);
            context_ = nullptr;
        }
    }

private:
    ZSTD_DCtx* context_ = nullptr;
    ZSTD_inBuffer input_{};
    bool inside_frame_ = false;
};

}  // namespace

std::unique_ptr<Decompressor::Decoder> make_zstd() {
    return std::make_unique<ZstdDecoder>();
}

}  // namespace millrace::record::codec
