// runtime/real/os_random.h
//
// Randomness seeded by the operating system. One per loop; not for keys and salts, which come from
// OpenSSL in the room security.
#pragma once

#include "base/random.h"

namespace millrace::runtime {

class OsRandom final : public Random {
public:
    OsRandom();
    std::uint64_t next() override { return generator_.next(); }

private:
    SeededRandom generator_;
};

}  // namespace millrace::runtime
