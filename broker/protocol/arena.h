// protocol/arena.h
//
// Owns copies of strings and bytes for messages whose other fields are views: what goes into a
// response and has no owner that lives until it is encoded. Everything is freed together.
#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace millrace::protocol {

class Arena {
public:
    Arena() = default;
    Arena(Arena&& other) noexcept { *this = std::move(other); }
    Arena& operator=(Arena&& other) noexcept {
        chunks_ = std::exchange(other.chunks_, {});
        free_ = std::exchange(other.free_, 0);
        next_ = std::exchange(other.next_, nullptr);
        return *this;
    }
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    std::string_view copy(std::string_view text) { return as_text(copy(as_bytes(text))); }
    ByteView copy(ByteView bytes);

private:
    // Small first, for many arenas hold one name.
    static constexpr std::size_t first_chunk = 64;
    static constexpr std::size_t largest_chunk = 4096;

    std::vector<std::unique_ptr<std::byte[]>> chunks_;
    std::size_t free_ = 0;       ///< Bytes left in the current chunk.
    std::byte* next_ = nullptr;  ///< Where the next copy goes.
};

}  // namespace millrace::protocol
