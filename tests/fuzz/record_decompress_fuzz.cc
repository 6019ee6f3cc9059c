// Any bytes to any codec, at once and piece by piece: both ways agree, and neither exceeds its
// limit.
#include <cstdint>
#include <span>

#include "base/assert.h"
#include "record/compression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace millrace;
    using namespace millrace::record;
    if (size == 0) {
        return 0;
    }
    constexpr std::size_t limit = 1 << 20;
    const auto codec = static_cast<Compression>(data[0] % 8);
    const ByteView input = std::as_bytes(std::span{data + 1, size - 1});

    static Decompressor decompressor;  // as a shard keeps it: states must not leak into each other
    const auto at_once = decompressor.decompress(codec, input, limit);
    const bool is_whole = at_once.has_value();
    const std::size_t expected = is_whole ? at_once->size() : 0;
    MR_ASSERT(codec == Compression::none || expected <= limit);
    if (codec == Compression::none || !decompressor.begin(codec, input, {.output = limit})) {
        return 0;
    }
    std::size_t total = 0;
    bool failed = false;
    while (true) {
        const auto window = decompressor.more(0);
        if (!window) {
            failed = true;
            break;
        }
        if (window->empty()) {
            break;
        }
        total += window->size();
    }
    MR_ASSERT(failed != is_whole);
    MR_ASSERT(failed || total == expected);
    return 0;
}
