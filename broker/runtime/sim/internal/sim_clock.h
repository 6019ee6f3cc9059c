// runtime/sim/internal/sim_clock.h
//
// A node's idea of time: a monotonic clock that may run fast or slow, and a wall clock that may be
// wrong and jump. Both are functions of the world's time.
#pragma once

#include "base/time.h"

namespace millrace::runtime::sim {

class SimClock final : public Clock {
public:
    /// `world_now` outlives the clock.
    explicit SimClock(const Instant& world_now) : world_now_(world_now) {}

    Instant now() const override { return local(world_now_); }
    Timestamp wall() const override;

    Instant local(Instant world) const;
    /// The first moment at which local() has reached `instant`.
    Instant world(Instant instant) const;

    void start_at(Instant monotonic);  ///< As after a boot.
    void set_drift(std::int64_t parts_per_million);
    void shift_wall(Duration by) { wall_offset_ += by; }

private:
    const Instant& world_now_;
    Instant world_anchor_{0};
    Instant local_anchor_{0};
    std::int64_t drift_ppm_ = 0;
    Duration wall_offset_{};
};

}  // namespace millrace::runtime::sim
