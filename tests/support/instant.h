// Instants of a test's own clock.
#pragma once

#include "base/time.h"

namespace millrace::support {

inline Instant at(Duration since_start) {
    return Instant{} + since_start;
}

}  // namespace millrace::support
