// tests/sim/systems/bugs.h
//
// Mistakes that a careful engineer makes, switched on by name in the test systems only. Each must
// be found by the simulator within a bounded number of seeds.
#pragma once

#include <array>
#include <string_view>

namespace millrace::simtest {

enum class Bug {
    none,
    // Echo.
    message_per_read,     ///< Takes each read for a whole message.
    forgets_the_rest,     ///< Drops what a short write left over.
    stops_at_short_read,  ///< Takes a short read for "nothing more".
    touches_other_loop,   ///< Starts a timer on a loop that is not its own.
    // Register, on disk.
    acks_before_sync,
    retries_failed_sync,      ///< ... and takes the second answer for the truth.
    trusts_torn_tail,         ///< Recovers records without their checksums.
    trusts_cache_at_restart,  ///< Serves what it read back without writing it anew.
    forgets_directory_sync,   ///< A snapshot is renamed, its name not synced, the log emptied.
    empties_log_first,        ///< The log goes before the snapshot is there.
    // Register, on the wire.
    no_write_back,         ///< A read answers without storing what it saw on a majority.
    small_quorum,          ///< One fewer than a majority.
    wall_clock_order,      ///< Orders writes by the time of day.
    counts_answers_twice,  ///< Two answers of one replica are two votes.
    ignores_request_id,    ///< A late answer to an earlier question counts.
    count_
};

inline constexpr std::array<std::string_view, static_cast<std::size_t>(Bug::count_)> bug_names = {
    "none",
    "message_per_read",
    "forgets_the_rest",
    "stops_at_short_read",
    "touches_other_loop",
    "acks_before_sync",
    "retries_failed_sync",
    "trusts_torn_tail",
    "trusts_cache_at_restart",
    "forgets_directory_sync",
    "empties_log_first",
    "no_write_back",
    "small_quorum",
    "wall_clock_order",
    "counts_answers_twice",
    "ignores_request_id"};

inline Bug bug_called(std::string_view name) {
    for (std::size_t i = 0; i < bug_names.size(); ++i) {
        if (bug_names[i] == name) {
            return static_cast<Bug>(i);
        }
    }
    return Bug::none;
}

}  // namespace millrace::simtest
