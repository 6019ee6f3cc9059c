// base/random.h
//
// The one source of randomness. Real: seeded by the OS; simulated: one seeded generator per node.
#pragma once

#include <cstdint>

namespace millrace {

class Random {
public:
    virtual ~Random() = default;
    virtual std::uint64_t next() = 0;

    /// Uniform in [0, bound). `bound` must be positive.
    std::uint64_t below(std::uint64_t bound) { return next() % bound; }
    /// Uniform in [low, high], both included.
    std::int64_t between(std::int64_t low, std::int64_t high) {
        return low + static_cast<std::int64_t>(
                         below(static_cast<std::uint64_t>(high - low) + 1));
    }
    bool one_in(std::uint64_t n) { return below(n) == 0; }
};

/// xoshiro256** from one seed: same seed, same sequence, on every machine.
class SeededRandom final : public Random {
public:
    explicit SeededRandom(std::uint64_t seed);
    std::uint64_t next() override;

private:
    std::uint64_t state_[4];
};

}  // namespace millrace
