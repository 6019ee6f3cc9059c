// storage/internal/key_offsets.h
//
// The last offset of each key, within a bound of memory: a 128-bit keyed hash stands for the key
// (SipHash, so that nobody can choose keys that collide). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "model/ids.h"

namespace millrace::storage {

struct KeyHash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const KeyHash&, const KeyHash&) = default;
};

/// SipHash-2-4 with 128 bits of output.
KeyHash sip_hash_128(ByteView key, std::uint64_t seed_low, std::uint64_t seed_high);

class KeyOffsets {
public:
    KeyOffsets(std::size_t max_bytes, std::uint64_t seed_low, std::uint64_t seed_high);

    /// False, and nothing noted, if the table is full and the key is new.
    bool put(ByteView key, Offset offset);
    std::optional<Offset> find(ByteView key) const;

    /// The last offset that was looked at, whether it has a key or not.
    Offset latest() const { return latest_; }
    void set_latest(Offset offset) { latest_ = offset; }
    std::size_t size() const { return count_; }

private:
    struct Slot {
        KeyHash hash;
        std::int64_t offset = -1;  // -1: free.
    };

    std::size_t slot_of(const KeyHash& hash) const;
    bool grow();

    std::size_t max_slots_;
    std::uint64_t seed_low_;
    std::uint64_t seed_high_;
    std::vector<Slot> slots_;
    std::size_t count_ = 0;
    Offset latest_{-1};
};

}  // namespace millrace::storage
