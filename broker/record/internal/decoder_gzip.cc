#include <algorithm>
#include <limits>
#include <zlib.h>

#include "base/assert.h"
#include "record/internal/decoder.h"

namespace millrace::record::codec {

namespace {

constexpr int gzip_only = 15 + 16;  // the largest window, and zlib's way to say gzip

class GzipDecoder final : public Decompressor::Decoder {
public:
    GzipDecoder() = default;
    GzipDecoder(const GzipDecoder&) = delete;
    GzipDecoder& operator=(const GzipDecoder&) = delete;
    ~GzipDecoder() override {
        if (ready_) {
            inflateEnd(&stream_);
        }
    }

    Result<void> start(ByteView input) override {
        if (!ready_) {
            if (inflateInit2(&stream_, gzip_only) != Z_OK) {
                return Error::make(Code::exhausted, "gzip: no memory for a decoder");
            }
            ready_ = true;
        } else {
            MR_ASSERT(inflateReset(&stream_) == Z_OK);
        }
        MR_ASSERT(input.size() <= std::numeric_limits<uInt>::max());
        // zlib's interface predates const; it only reads.
        stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(input.data()));
        stream_.avail_in = static_cast<uInt>(input.size());
        ended_ = false;
        return {};
    }

    bool ended() const override { return ended_; }

    Result<std::size_t> step(MutableBytes room) override {
        const auto want =
            static_cast<uInt>(std::min<std::size_t>(room.size(), std::numeric_limits<uInt>::max()));
        stream_.next_out = reinterpret_cast<Bytef*>(room.data());
        stream_.avail_out = want;
        while (!ended_ && stream_.avail_out != 0) {
            const int code = inflate(&stream_, Z_NO_FLUSH);
            if (code == Z_STREAM_END) {
                // gzip members may follow each other.
                ended_ = stream_.avail_in == 0;
                if (!ended_) {
                    MR_ASSERT(inflateReset(&stream_) == Z_OK);
                }
            } else if (code == Z_MEM_ERROR) {
                return Error::make(Code::exhausted, "gzip: no memory for a decoder");
            } else if (code != Z_OK) {
                return Error::make(Code::corrupt, "gzip: {}",
                                   code == Z_BUF_ERROR      ? "cut"
                                   : stream_.msg != nullptr ? stream_.msg
                                                            : "malformed");
            }
        }
        return std::size_t{want - stream_.avail_out};
    }

private:
    z_stream stream_{};
    bool ready_ = false;
    bool ended_ = false;
};

}  // namespace

std::unique_ptr<Decompressor::Decoder> make_gzip() {
    return std::make_unique<GzipDecoder>();
}

}  // namespace millrace::record::codec
