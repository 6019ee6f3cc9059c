#include "runtime/real/os_random.h"

#include <sys/random.h>

#include "base/assert.h"

namespace millrace::runtime {

namespace {

std::uint64_t seed_from_kernel() {
    std::uint64_t seed = 0;
    // Up to 256 bytes come whole or not at all (getrandom(2)).
    MR_ASSERT(::getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    return seed;
}

}  // namespace

OsRandom::OsRandom() : generator_(seed_from_kernel()) {}

}  // namespace millrace::runtime
