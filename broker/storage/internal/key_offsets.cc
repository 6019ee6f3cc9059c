#include "storage/internal/key_offsets.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace millrace::storage {

namespace {

constexpr std::size_t first_slots = 1024;

std::uint64_t load_little_endian(const std::byte* from, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value |= static_cast<std::uint64_t>(from[i]) << (8 * i);
    }
    return value;
}

struct SipState {
    std::uint64_t v0, v1, v2, v3;

    void round() {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    }
    void rounds(int count) {
        for (int i = 0; i < count; ++i) {
            round();
        }
    }
    void absorb(std::uint64_t word) {
        v3 ^= word;
        rounds(2);
        v0 ^= word;
    }
    std::uint64_t value() const { return v0 ^ v1 ^ v2 ^ v3; }
};

}  // namespace

KeyHash sip_hash_128(ByteView key, std::uint64_t seed_low, std::uint64_t seed_high) {
    SipState state{seed_low ^ 0x736f6d6570736575ULL, seed_high ^ 0x646f72616e646f6dULL ^ 0xee,
                   seed_low ^ 0x6c7967656e657261ULL, seed_high ^ 0x7465646279746573ULL};
    const std::size_t words = key.size() / 8;
    for (std::size_t i = 0; i < words; ++i) {
        state.absorb(load_little_endian(key.data() + i * 8, 8));
    }
    const std::size_t rest = key.size() % 8;
    state.absorb(load_little_endian(key.data() + words * 8, rest) |
                 static_cast<std::uint64_t>(key.size() & 0xff) << 56);
    state.v2 ^= 0xee;
    state.rounds(4);
    KeyHash hash{.low = state.value()};
    state.v1 ^= 0xdd;
    state.rounds(4);
    hash.high = state.value();
    return hash;
}

KeyOffsets::KeyOffsets(std::size_t max_bytes, std::uint64_t seed_low, std::uint64_t seed_high)
    : max_slots_(std::max(first_slots, std::bit_floor(max_bytes / sizeof(Slot)))),
      seed_low_(seed_low),
      seed_high_(seed_high),
      slots_(first_slots) {}

std::size_t KeyOffsets::slot_of(const KeyHash& hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = hash.low & mask;
    while (slots_[at].offset >= 0 && slots_[at].hash != hash) {
        at = (at + 1) & mask;
    }
    return at;
}

bool KeyOffsets::grow() {
    if (slots_.size() >= max_slots_) {
        return false;
    }
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    for (const Slot& slot : old) {
        if (slot.offset >= 0) {
            slots_[slot_of(slot.hash)] = slot;
        }
    }
    return true;
}

bool KeyOffsets::put(ByteView key, Offset offset) {
    const KeyHash hash = sip_hash_128(key, seed_low_, seed_high_);
    std::size_t at = slot_of(hash);
    if (slots_[at].offset < 0) {
        if ((count_ + 1) * 8 > slots_.size() * 7) {
            if (!grow()) {
                return false;
            }
            at = slot_of(hash);
        }
        ++count_;
    }
    slots_[at] = {hash, offset.value};
    latest_ = std::max(latest_, offset);
    return true;
}

std::optional<Offset> KeyOffsets::find(ByteView key) const {
    const Slot& slot = slots_[slot_of(sip_hash_128(key, seed_low_, seed_high_))];
    return slot.offset < 0 ? std::nullopt : std::optional{Offset{slot.offset}};
}

}  // namespace millrace::storage
