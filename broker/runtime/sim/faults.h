// runtime/sim/faults.h
//
// What can go wrong in a simulated world, as plain data. A FaultPlan has two halves: Ambient, how
// unkind the world is all the time, and a list of Faults, each of which happens at one moment and
// ends by itself. Both are drawn from the seed before the run (swarm: every seed has its own mix),
// so a shrinker can take single entries away.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "base/time.h"

namespace millrace::runtime::sim {

enum class FaultKind : std::uint8_t {
    // Processes. The node is back after `lasts`.
    kill,           ///< kill -9: the kernel lives, so what was written is there.
    kill_in_write,  ///< The same, at the `value`th disk call from `at`, also in mid-task.
    power_cut,  ///< The machine: un-synced bytes and names are lost or torn, peers hear nothing.
    power_cut_in_write,
    blackout,       ///< Every machine of the simulation loses power at one moment.
    graceful_stop,  ///< SIGTERM, and a start.
    pause,          ///< SIGSTOP ... SIGCONT.
    empty_disk,     ///< Killed; comes back with nothing on its disk.
    // Network. Ends after `lasts`.
    partition,  ///< `node` and `other` do not hear each other.
    one_way,    ///< What `node` sends to `other` is not delivered.
    isolate,    ///< `node` and everybody else.
    slow_link,  ///< Latency between `node` and `other` grows by `value` microseconds.
    reset,      ///< Every connection of `node` with `other`: both ends hear of it.
    half_open,  ///< The same, but only `node` forgets; the other end hears when it writes.
    // Disk of `node`. Errors hit the `value` next calls of their kind, whenever those come.
    read_error,
    write_error,
    sync_error,  ///< The pages are lost, the next sync succeeds and lies.
    rename_error,
    open_error,
    disk_full,
    disk_slow,   ///< Each call takes up to `value` microseconds more.
    bit_rot,     ///< One bit of what lies on the disk flips.
    lost_write,  ///< A write is acknowledged, synced, and not there after a restart.
    misdirected_write,
    stale_read,
    // Clocks of `node`.
    wall_jump,  ///< By `value` milliseconds, forwards or (odd) back.
    drift,      ///< The monotonic clock runs off by `value` parts per million.
    // Not scheduled: counted where Ambient makes them happen.
    torn_read,
    torn_write,
    connect_failure,
    ghost_connection,
    spurious_event,
    late_timer,
    torn_page,
    lost_page,
    lost_name,
    buggify,
    count_
};

inline constexpr std::size_t fault_kinds = static_cast<std::size_t>(FaultKind::count_);
std::string_view to_string(FaultKind kind);

struct Fault {
    FaultKind kind = FaultKind::kill;
    Duration at{};  ///< Since the simulation began.
    Duration lasts{};
    std::uint32_t node = 0;  ///< Index in the order of add_node(), modulo how many there are.
    std::uint32_t other = 0;
    std::uint64_t value = 0;
    std::string to_string() const;
};

/// Chances are per mille of the calls that they touch.
struct Ambient {
    // Network.
    Duration latency{100us};         ///< One way, at least.
    Duration jitter{};               ///< Exponential mean on top.
    std::uint32_t uneven_links = 1;  ///< Each direction of each pair is up to so many times slower.
    std::uint32_t torn_reads = 0;
    std::uint32_t torn_writes = 0;
    std::uint32_t connect_failures = 0;
    std::uint32_t ghost_connections = 0;
    std::uint32_t spurious_events = 0;
    std::uint32_t window_bytes = 256 * 1024;  ///< Written and not yet read by the peer.
    // Loops.
    Duration post_delay{1us};   ///< At most.
    Duration timer_lateness{};  ///< At most.
    // Disk.
    Duration disk_call{1us};       ///< At most, on the loop: it stands still.
    Duration device_time{200us};   ///< Exponential mean of a pool's job.
    std::uint32_t writeback = 0;   ///< Chance of a write that some dirty page goes to the device.
    bool torn_pages = false;       ///< A page that was being written at a power cut is half new.
    bool reordered_names = false;  ///< Names survive a power cut in any subset, not as a prefix.
    // Clocks.
    std::uint32_t drift_ppm = 0;  ///< Each node's monotonic clock, at most.
    Duration wall_offset{};       ///< Each node's wall clock, at most.
    // Code.
    std::uint32_t buggify = 0;  ///< Chance of an enabled point to fire. 0: all off.

    /// A world without bad luck: fixed latency, whole reads, everything at once.
    static Ambient calm() { return {}; }
    static Ambient draw(Random& random);
};

/// A group of Ambient's members that calms down together: what the shrinker tries to switch off.
struct AmbientKnob {
    std::string_view name;
    void (*calm)(Ambient&);
    bool (*is_calm)(const Ambient&);
};
std::vector<AmbientKnob> ambient_knobs();
std::string describe(const Ambient& ambient);  ///< Only what is not calm.

struct FaultPlan {
    Ambient ambient;
    std::vector<Fault> faults;
};

/// What a scenario can stand without breaking its promise, and where to aim.
struct FaultProfile {
    std::vector<FaultKind> kinds;      ///< See process_faults() and its like.
    std::vector<std::uint32_t> nodes;  ///< Who is hit.
    Duration from{};
    Duration until{10s};
    Duration longest{5s};     ///< How long a fault lasts at most.
    std::uint32_t most = 12;  ///< How many.
    Duration cluster{300ms};  ///< Some follow another on the same node within this time.
    /// empty_disk, bit_rot, lost_write and their like hit only the first so many of `nodes`.
    std::uint32_t may_lose_data = 0;
};

/// Draws which of the kinds are on, how often and how long, and the ambient.
FaultPlan draw_plan(Random& random, const FaultProfile& profile);

std::vector<FaultKind> process_faults();
std::vector<FaultKind> network_faults();
std::vector<FaultKind> disk_faults();         ///< Errors that are reported.
std::vector<FaultKind> silent_disk_faults();  ///< Rot and lies: need redundancy to survive.
std::vector<FaultKind> clock_faults();

/// How often each kind really happened.
class FaultCounts {
public:
    void add(FaultKind kind, std::uint64_t n = 1) { counts_[static_cast<std::size_t>(kind)] += n; }
    std::uint64_t of(FaultKind kind) const { return counts_[static_cast<std::size_t>(kind)]; }
    std::uint64_t total() const;
    void merge(const FaultCounts& other);
    /// "kill=3 partition=1", kinds that did not happen left out.
    std::string to_string() const;

private:
    std::array<std::uint64_t, fault_kinds> counts_{};
};

}  // namespace millrace::runtime::sim
