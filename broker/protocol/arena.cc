#include "protocol/arena.h"

#include <algorithm>
#include <cstring>

namespace millrace::protocol {

ByteView Arena::copy(ByteView bytes) {
    if (bytes.empty()) {
        return {};
    }
    if (bytes.size() > largest_chunk / 4) {
        // Large ones get a chunk of their own, so that the current one isn't wasted.
        auto& chunk = chunks_.emplace_back(new std::byte[bytes.size()]);
        std::memcpy(chunk.get(), bytes.data(), bytes.size());
        return {chunk.get(), bytes.size()};
    }
    if (bytes.size() > free_) {
        const std::size_t grown = first_chunk << std::min<std::size_t>(chunks_.size(), 6);
        free_ = std::clamp(bytes.size(), grown, largest_chunk);
        next_ = chunks_.emplace_back(new std::byte[free_]).get();
    }
    std::memcpy(next_, bytes.data(), bytes.size());
    const ByteView copied{next_, bytes.size()};
    next_ += bytes.size();
    free_ -= bytes.size();
    return copied;
}

}  // namespace millrace::protocol
