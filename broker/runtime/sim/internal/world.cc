#include "runtime/sim/internal/world.h"

#include <cmath>

namespace millrace::runtime::sim {

Duration World::exponential(Random& random, Duration mean) {
    // Integers in, integers out: the same on every machine as far as log() is (it is correctly
    // rounded to well below a microsecond, the unit that is kept).
    const double uniform = static_cast<double>((random.next() >> 11) + 1) / 9007199254740992.0;
    const double scaled = -std::log(uniform) * static_cast<double>(mean.count()) / 1000.0;
    return Duration{static_cast<std::int64_t>(scaled) * 1000};
}

}  // namespace millrace::runtime::sim
