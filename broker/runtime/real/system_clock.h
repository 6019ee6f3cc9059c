// runtime/real/system_clock.h
//
// The machine's clocks, read at every call, from any thread: for the edges that have no loop (the
// log sink, the HTTP and gRPC threads). What runs on a loop takes executor.clock().
#pragma once

#include "base/time.h"

namespace millrace::runtime {

class SystemClock final : public Clock {
public:
    Instant now() const override;
    Timestamp wall() const override;
};

}  // namespace millrace::runtime
