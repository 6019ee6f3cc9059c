// storage/internal/recovery.h
//
// Opens a log's directory: finishes what a crash interrupted, scans what may not have reached the
// disk, cuts at the first damage. Every step may itself be interrupted and done again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "storage/internal/log_state.h"

namespace millrace::storage {

class Recovery {
public:
    Recovery(LogState& state, const RecoveryInput& input, RecoveryReport& report)
        : s_(state), input_(input), report_(report) {}

    Result<void> run();
    /// Nothing was scanned or rebuilt: the files are as a clean stop left them.
    bool kept_all_files() const;
    bool has_cut() const { return !report_.reason.empty(); }

private:
    // What lies in the folder.
    Result<void> list_files();
    Result<void> remove_leftovers();
    Result<void> finish_swap();
    Result<Offset> end_of_swap(Offset base);
    Result<void> remove_orphans();
    Result<void> remove(const std::string& name);
    bool has(Offset base, std::string_view suffix) const;

    Result<void> read_small_files();
    Result<void> read_topic_id();
    Result<void> open_segments();
    /// Takes the segment as it is; false if it has to be scanned.
    Result<bool> adopt(Segment& segment, bool active);
    Result<bool> adopt_known(Segment& segment, Offset next);
    /// Goes on where the manifest's tail mark says, if that can be trusted; true if nothing lies
    /// behind it.
    Result<bool> resume(Segment& segment, std::size_t index);
    Result<void> scan_from(std::size_t first);
    Result<void> scan_all(std::vector<std::unique_ptr<Segment>> rest, bool resumed);
    /// False if damage was found and cut away.
    Result<bool> scan(Segment& segment, bool resumed);
    bool follows(Offset base) const;
    Result<void> check_entry(const WholeEntry& entry, const Segment& segment) const;
    void note_epoch(const EntryHeader& header);
    /// Where a segment ends or is torn: what was journaled of it from there on. False: nothing.
    Result<bool> extend(Segment& segment, std::uint64_t position);
    bool misses_journaled() const;
    /// The same bytes once more, so that a sync has something to write.
    Result<void> write_again(Segment& segment, std::uint64_t from);
    Result<void> cut_damage(Segment& segment, std::uint64_t position, const Error& reason);
    Result<void> set_aside_from(std::size_t first, std::string_view why);
    Result<bool> holds_batches(Segment& segment, std::uint64_t from);
    Result<void> copy_aside(Segment& segment, std::uint64_t from);
    Result<void> settle();
    Result<void> seal_scanned();

    LogState& s_;
    const RecoveryInput& input_;
    RecoveryReport& report_;
    std::set<std::string> names_;
    std::vector<Offset> bases_;
    LeaderEpoch last_epoch_ = no_leader_epoch;
    bool scanned_ = false;
    std::size_t first_scanned_ = SIZE_MAX;
    std::optional<std::size_t> resumed_;  // The segment of which only a part need be scanned.
    bool cache_may_lie_ = false;
    bool epochs_lost_ = false;
    std::optional<std::pair<Offset, std::uint64_t>> extended_at_;
};

}  // namespace millrace::storage
