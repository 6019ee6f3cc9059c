// runtime/sim/trace_hash.h
//
// A rolling hash over everything that a run does. Equal seeds must give equal hashes: if not, some
// choice came from outside the seams (an address, a hash seed, a clock).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "base/bytes.h"

namespace millrace::runtime::sim {

class TraceHash {
public:
    void fold(std::uint64_t word) {
        value_ = (value_ ^ word) * 0x9e3779b97f4a7c15ULL;
        value_ ^= value_ >> 29;
    }
    void fold(ByteView bytes) {
        fold(bytes.size());
        while (bytes.size() >= 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, bytes.data(), 8);
            fold(word);
            bytes = bytes.subspan(8);
        }
        std::uint64_t rest = 0;
        if (!bytes.empty()) {
            std::memcpy(&rest, bytes.data(), bytes.size());
        }
        fold(rest);
    }
    void fold(std::string_view text) { fold(as_bytes(text)); }
    std::uint64_t value() const { return value_; }

private:
    std::uint64_t value_ = 0x6d696c6c72616365ULL;
};

/// A stream of its own for each purpose: one more draw here does not shift the draws there.
inline std::uint64_t derive_seed(std::uint64_t seed, std::string_view purpose,
                                 std::uint64_t index = 0) {
    TraceHash hash;
    hash.fold(seed);
    hash.fold(purpose);
    hash.fold(index);
    return hash.value();
}

}  // namespace millrace::runtime::sim
