#include "runtime/sim/faults.h"

#include <algorithm>
#include <fmt/format.h>
#include <tuple>

namespace millrace::runtime::sim {

namespace {

constexpr std::array<std::string_view, fault_kinds> names = {"kill",
                                                             "kill_in_write",
                                                             "power_cut",
                                                             "power_cut_in_write",
                                                             "blackout",
                                                             "graceful_stop",
                                                             "pause",
                                                             "empty_disk",
                                                             "partition",
                                                             "one_way",
                                                             "isolate",
                                                             "slow_link",
                                                             "reset",
                                                             "half_open",
                                                             "read_error",
                                                             "write_error",
                                                             "sync_error",
                                                             "rename_error",
                                                             "open_error",
                                                             "disk_full",
                                                             "disk_slow",
                                                             "bit_rot",
                                                             "lost_write",
                                                             "misdirected_write",
                                                             "stale_read",
                                                             "wall_jump",
                                                             "drift",
                                                             "torn_read",
                                                             "torn_write",
                                                             "connect_failure",
                                                             "ghost_connection",
                                                             "spurious_event",
                                                             "late_timer",
                                                             "torn_page",
                                                             "lost_page",
                                                             "lost_name",
                                                             "buggify"};

bool loses_data(FaultKind kind) {
    switch (kind) {
        case FaultKind::empty_disk:
        case FaultKind::bit_rot:
        case FaultKind::lost_write:
        case FaultKind::misdirected_write:
        case FaultKind::stale_read:
            return true;
        default:
            return false;
    }
}

std::uint64_t draw_value(Random& random, FaultKind kind) {
    switch (kind) {
        case FaultKind::kill_in_write:
        case FaultKind::power_cut_in_write:
            return 1 + random.below(60);
        case FaultKind::slow_link:
            return 1000 + random.below(500'000);
        case FaultKind::disk_slow:
            return 1000 + random.below(1ULL << (10 + random.below(13)));
        case FaultKind::wall_jump:
            return random.below(1ULL << (8 + random.below(20)));
        case FaultKind::drift:
            return random.below(100'000);
        case FaultKind::read_error:
        case FaultKind::write_error:
        case FaultKind::sync_error:
        case FaultKind::rename_error:
        case FaultKind::open_error:
            return random.one_in(3) ? 1 + random.below(5) : 1;
        default:
            return random.next();
    }
}

Duration draw_between(Random& random, Duration low, Duration high) {
    return Duration{random.between(low.count(), std::max(low, high).count())};
}

std::uint32_t sometimes(Random& random, std::uint32_t at_most) {
    return random.one_in(2) ? 0 : static_cast<std::uint32_t>(random.below(at_most + 1));
}

Fault draw_fault(Random& random, const FaultProfile& profile, FaultKind kind) {
    Fault fault;
    fault.kind = kind;
    fault.at = draw_between(random, profile.from, profile.until);
    const std::int64_t longest = profile.longest.count() >> random.below(8);
    fault.lasts = draw_between(random, 1ms, Duration{longest});
    const std::uint64_t targets =
        loses_data(kind) ? std::min<std::uint64_t>(profile.may_lose_data, profile.nodes.size())
                         : profile.nodes.size();
    const std::uint64_t first = random.below(targets);
    fault.node = profile.nodes[first];
    // Another one wherever there is another one.
    const std::uint64_t step =
        profile.nodes.size() > 1 ? 1 + random.below(profile.nodes.size() - 1) : 0;
    fault.other = profile.nodes[(first + step) % profile.nodes.size()];
    fault.value = draw_value(random, kind);
    return fault;
}

template <auto Member, typename T>
void append_unless_calm(std::string& text, const Ambient& ambient, std::string_view name, T shown) {
    static const Ambient calm;
    if (ambient.*Member != calm.*Member) {
        text += fmt::format("{}{}={}", text.empty() ? "" : " ", name, shown);
    }
}

}  // namespace

std::string_view to_string(FaultKind kind) {
    return names[static_cast<std::size_t>(kind)];
}

std::string Fault::to_string() const {
    return fmt::format("{:9.3f}s {} node {} other {} for {} ms, value {}",
                       static_cast<double>(at.count()) / 1e9, sim::to_string(kind), node, other,
                       to_milliseconds(lasts), value);
}

Ambient Ambient::draw(Random& random) {
    Ambient ambient;
    ambient.latency = Duration{random.between(10'000, 5'000'000)};
    if (random.one_in(2)) {
        ambient.jitter = Duration{random.between(1'000, 20'000'000)};
    }
    if (random.one_in(2)) {
        ambient.uneven_links = static_cast<std::uint32_t>(1 + random.below(20));
    }
    ambient.torn_reads = sometimes(random, 500);
    ambient.torn_writes = sometimes(random, 500);
    ambient.connect_failures = sometimes(random, 200);
    ambient.ghost_connections = sometimes(random, 200);
    ambient.spurious_events = sometimes(random, 200);
    if (random.one_in(3)) {
        ambient.window_bytes = static_cast<std::uint32_t>(64 + random.below(64 * 1024));
    }
    ambient.post_delay = Duration{random.between(1, random.one_in(4) ? 5'000'000 : 50'000)};
    ambient.timer_lateness = random.one_in(2) ? Duration{random.between(1, 20'000'000)} : 0ns;
    ambient.disk_call = Duration{random.between(1, random.one_in(4) ? 5'000'000 : 50'000)};
    ambient.device_time = Duration{50'000LL << random.below(14)};  // To 0.4 s.
    ambient.writeback = sometimes(random, 500);
    ambient.torn_pages = random.one_in(2);
    ambient.reordered_names = random.one_in(2);
    ambient.drift_ppm = sometimes(random, 10'000);
    if (random.one_in(2)) {
        ambient.wall_offset = std::chrono::milliseconds{random.between(0, 86'400'000)};
    }
    ambient.buggify = sometimes(random, 300);
    return ambient;
}

std::vector<AmbientKnob> ambient_knobs() {
    static const Ambient calm;
#define MR_KNOB(name, ...)                                                                        \
    AmbientKnob {                                                                                 \
        name,                                                                                     \
            [](Ambient& a) {                                                                      \
                [&]<auto... m>() { ((a.*m = calm.*m), ...); }.template operator()<__VA_ARGS__>(); \
            },                                                                                    \
            [](const Ambient& a) {                                                                \
                return [&]<auto... m>() {                                                         \
                    return ((a.*m == calm.*m) && ...);                                            \
                }.template operator()<__VA_ARGS__>();                                             \
            }                                                                                     \
    }
    return {
        MR_KNOB("latency", &Ambient::latency, &Ambient::jitter, &Ambient::uneven_links),
        MR_KNOB("torn_streams", &Ambient::torn_reads, &Ambient::torn_writes,
                &Ambient::window_bytes),
        MR_KNOB("connects", &Ambient::connect_failures, &Ambient::ghost_connections),
        MR_KNOB("spurious_events", &Ambient::spurious_events),
        MR_KNOB("loop_delays", &Ambient::post_delay, &Ambient::timer_lateness),
        MR_KNOB("disk_time", &Ambient::disk_call, &Ambient::device_time),
        MR_KNOB("disk_cache", &Ambient::writeback, &Ambient::torn_pages, &Ambient::reordered_names),
        MR_KNOB("clocks", &Ambient::drift_ppm, &Ambient::wall_offset),
        MR_KNOB("buggify", &Ambient::buggify),
    };
#undef MR_KNOB
}

std::string describe(const Ambient& ambient) {
    std::string text;
    const auto us = [](Duration d) { return fmt::format("{}us", d.count() / 1000); };
    append_unless_calm<&Ambient::latency>(text, ambient, "latency", us(ambient.latency));
    append_unless_calm<&Ambient::jitter>(text, ambient, "jitter", us(ambient.jitter));
    append_unless_calm<&Ambient::uneven_links>(text, ambient, "uneven", ambient.uneven_links);
    append_unless_calm<&Ambient::torn_reads>(text, ambient, "torn_reads", ambient.torn_reads);
    append_unless_calm<&Ambient::torn_writes>(text, ambient, "torn_writes", ambient.torn_writes);
    append_unless_calm<&Ambient::connect_failures>(text, ambient, "connect_failures",
                                                   ambient.connect_failures);
    append_unless_calm<&Ambient::ghost_connections>(text, ambient, "ghosts",
                                                    ambient.ghost_connections);
    append_unless_calm<&Ambient::spurious_events>(text, ambient, "spurious",
                                                  ambient.spurious_events);
    append_unless_calm<&Ambient::window_bytes>(text, ambient, "window", ambient.window_bytes);
    append_unless_calm<&Ambient::post_delay>(text, ambient, "post", us(ambient.post_delay));
    append_unless_calm<&Ambient::timer_lateness>(text, ambient, "timers",
                                                 us(ambient.timer_lateness));
    append_unless_calm<&Ambient::disk_call>(text, ambient, "disk_call", us(ambient.disk_call));
    append_unless_calm<&Ambient::device_time>(text, ambient, "device", us(ambient.device_time));
    append_unless_calm<&Ambient::writeback>(text, ambient, "writeback", ambient.writeback);
    append_unless_calm<&Ambient::torn_pages>(text, ambient, "torn_pages", ambient.torn_pages);
    append_unless_calm<&Ambient::reordered_names>(text, ambient, "reordered_names",
                                                  ambient.reordered_names);
    append_unless_calm<&Ambient::drift_ppm>(text, ambient, "drift_ppm", ambient.drift_ppm);
    append_unless_calm<&Ambient::wall_offset>(text, ambient, "wall", us(ambient.wall_offset));
    append_unless_calm<&Ambient::buggify>(text, ambient, "buggify", ambient.buggify);
    return text.empty() ? "calm" : text;
}

FaultPlan draw_plan(Random& random, const FaultProfile& profile) {
    FaultPlan plan;
    plan.ambient = random.one_in(8) ? Ambient::calm() : Ambient::draw(random);
    // Few kinds in one seed, many in another: rare combinations need not wait for each other.
    const std::uint64_t one_in = 2ULL << random.below(3);
    std::vector<FaultKind> on;
    for (const FaultKind kind : profile.kinds) {
        const bool chosen = random.one_in(one_in);
        if (chosen && (!loses_data(kind) || profile.may_lose_data > 0)) {
            on.push_back(kind);
        }
    }
    const std::uint64_t many = random.below(profile.most + 1);
    if (on.empty() || profile.nodes.empty()) {
        return plan;
    }
    const bool clusters = random.one_in(2);
    for (std::uint64_t i = 0; i < many; ++i) {
        Fault fault = draw_fault(random, profile, on[random.below(on.size())]);
        if (clusters && i > 0 && random.one_in(2)) {
            // Troubles come together: what one fault weakened, the next one breaks.
            fault.at = plan.faults.back().at + draw_between(random, 0ns, profile.cluster);
            if (!loses_data(fault.kind)) {
                fault.node = plan.faults.back().node;
            }
        }
        plan.faults.push_back(fault);
    }
    std::sort(plan.faults.begin(), plan.faults.end(), [](const Fault& a, const Fault& b) {
        return std::tie(a.at, a.kind, a.node, a.value) < std::tie(b.at, b.kind, b.node, b.value);
    });
    return plan;
}

std::vector<FaultKind> process_faults() {
    return {FaultKind::kill,      FaultKind::kill_in_write,
            FaultKind::power_cut, FaultKind::power_cut_in_write,
            FaultKind::blackout,  FaultKind::graceful_stop,
            FaultKind::pause};
}
std::vector<FaultKind> network_faults() {
    return {FaultKind::partition, FaultKind::one_way, FaultKind::isolate,
            FaultKind::slow_link, FaultKind::reset,   FaultKind::half_open};
}
std::vector<FaultKind> disk_faults() {
    return {FaultKind::read_error,   FaultKind::write_error, FaultKind::sync_error,
            FaultKind::rename_error, FaultKind::open_error,  FaultKind::disk_full,
            FaultKind::disk_slow};
}
std::vector<FaultKind> silent_disk_faults() {
    return {FaultKind::empty_disk, FaultKind::bit_rot, FaultKind::lost_write,
            FaultKind::misdirected_write, FaultKind::stale_read};
}
std::vector<FaultKind> clock_faults() {
    return {FaultKind::wall_jump, FaultKind::drift};
}

std::uint64_t FaultCounts::total() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t count : counts_) {
        sum += count;
    }
    return sum;
}

void FaultCounts::merge(const FaultCounts& other) {
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        counts_[i] += other.counts_[i];
    }
}

std::string FaultCounts::to_string() const {
    std::string text;
    for (std::size_t i = 0; i < fault_kinds; ++i) {
        if (counts_[i] > 0) {
            text += fmt::format("{}{}={}", text.empty() ? "" : " ", names[i], counts_[i]);
        }
    }
    return text;
}

}  // namespace millrace::runtime::sim
