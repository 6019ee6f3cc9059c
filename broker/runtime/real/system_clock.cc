#include "runtime/real/system_clock.h"

#include "runtime/real/internal/system.h"

namespace millrace::runtime {

Instant SystemClock::now() const {
    return internal::monotonic_now();
}

Timestamp SystemClock::wall() const {
    return internal::wall_now();
}

}  // namespace millrace::runtime
