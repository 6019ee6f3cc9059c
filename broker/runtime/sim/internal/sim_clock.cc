#include "runtime/sim/internal/sim_clock.h"

namespace millrace::runtime::sim {

namespace {

constexpr std::int64_t million = 1'000'000;
/// Where every simulation's calendar begins: 2026-01-01T00:00:00Z.
constexpr std::int64_t calendar_start_ms = 1'767'225'600'000;

using Wide = __int128;

std::int64_t scale(std::int64_t value, std::int64_t times, std::int64_t by, std::int64_t round_up) {
    return static_cast<std::int64_t>((static_cast<Wide>(value) * times + round_up) / by);
}

}  // namespace

Instant SimClock::local(Instant world) const {
    const std::int64_t passed = (world - world_anchor_).count();
    return local_anchor_ + Duration{scale(passed, million + drift_ppm_, million, 0)};
}

Instant SimClock::world(Instant instant) const {
    const std::int64_t ahead = (instant - local_anchor_).count();
    const std::int64_t rate = million + drift_ppm_;
    Instant at = world_anchor_ + Duration{scale(ahead, million, rate, rate - 1)};
    while (local(at) < instant) {
        ++at.nanoseconds;
    }
    return at;
}

Timestamp SimClock::wall() const {
    const Duration since_start = Duration{world_now_.nanoseconds} + wall_offset_;
    return Timestamp{calendar_start_ms} + since_start;
}

void SimClock::start_at(Instant monotonic) {
    world_anchor_ = world_now_;
    local_anchor_ = monotonic;
}

void SimClock::set_drift(std::int64_t parts_per_million) {
    const Instant here = now();
    world_anchor_ = world_now_;
    local_anchor_ = here;
    drift_ppm_ = parts_per_million;
}

}  // namespace millrace::runtime::sim
