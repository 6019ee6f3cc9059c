// What makes a PartitionLog shorter: truncation, a new start, retention.

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/mutants.h"
#include "storage/internal/log_state.h"
#include "storage/partition_log.h"

namespace millrace::storage {

namespace {

/// After a cut: what was synced, epochs, producers and snapshots end where the log ends.
Result<void> settle_at(LogState& s, Offset end, Timestamp now) {
    s.end = end;
    s.sealed_at.reset();
    s.forget_tail();
    s.start = std::min(s.start, end);
    s.synced_end = std::min(s.synced_end, end);
    s.recovery_point = std::min(s.recovery_point, end);
    s.lower_syncs(end);
    if (s.epochs.truncate_from_end(end)) {
        s.epochs_dirty = true;
    }
    MR_TRY_VOID(s.drop_snapshots_from(end + 1));
    s.producers = {};
    return s.rebuild_producers(now);
}

struct Cut {
    std::uint64_t position = 0;
    Offset end;
};

/// A batch goes as a whole, so that it can be fetched again as a whole.
Result<Cut> find_cut(Segment& segment, Offset target) {
    MR_TRY(const auto first_gone, segment.find(target));
    return first_gone ? Cut{first_gone->position, std::min(target, first_gone->first)}
                      : Cut{segment.size(), target};
}

/// What journals say of a segment that was synced as a whole may be older than its compaction.
Result<void> cut_journaled(LogState& s, std::size_t index, const Cut& cut) {
    const bool is_filed =
        index + 1 < s.segments.size() && s.segments[index + 1]->base() <= s.recovery_point;
    return s.cut_journaled(s.segments[index]->base(), is_filed ? 0 : cut.position);
}

Result<void> truncate(LogState& s, std::size_t keep, const Cut& cut, Timestamp now) {
    MR_TRY_VOID(s.retire_from(keep + 1));
    Segment& segment = s.active();
    MR_TRY_VOID(segment.cut(cut.position, cut.end));
    MR_TRY(s.active_file, segment.file());
    s.active_unsynced = true;
    s.cut_unsynced = true;
    s.durable_size = std::min(s.durable_size, cut.position);
    s.written_back = std::min(s.written_back, cut.position);
    return settle_at(s, cut.end, now);
}

Result<void> start_over(LogState& s, Offset start, Timestamp now) {
    const bool had_folder = s.folder_exists;
    MR_TRY_VOID(s.retire_everything());
    s.start = s.end = start;
    s.sealed_at.reset();
    s.forget_tail();
    s.synced_end = s.recovery_point = start;
    s.lower_syncs(start);
    s.epochs.clear();
    s.epochs_dirty = true;
    s.producers.clear();
    s.producers.set_end(start);
    if (!had_folder && start == Offset{0}) {
        return {};  // What has no files begins there.
    }
    // The file's name is what remembers where an empty log goes on. Without room for it, the next
    // append makes it; a start before that finds no log and has lost nothing.
    const auto begun = s.start_segment(now);
    return !begun && runtime::is_shortage(begun.error()) ? Result<void>{} : begun;
}

Timestamp last_touched(LogState& s) {
    return s.segments.empty() ? Timestamp{} : s.active().touched();
}

/// Whole sealed segments at the front for which `gone` says so, one after another.
template <typename Gone>
std::size_t count_front(LogState& s, Offset upper, Gone gone) {
    std::size_t count = 0;
    while (count < s.segments.size()) {
        Segment& segment = *s.segments[count];
        const bool last = count + 1 == s.segments.size();
        const Offset next = last ? s.end : s.segments[count + 1]->base();
        if (next > upper || (last && segment.empty()) || !gone(segment, next)) {
            break;
        }
        ++count;
    }
    return count;
}

}  // namespace

Result<void> PartitionLog::truncate_to(Offset end) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    if (end >= s.end) {
        // An epoch that began at our end and brought no record may be one that the leader never
        // knew; as long as we name it, the leader will tell us to cut (case 8).
        if (!MR_PLANTED(keeps_epochs_without_records) && s.epochs.truncate_from_end(end)) {
            s.epochs_dirty = true;
        }
        return {};
    }
    MR_TRY_VOID(s.free_to_cut());
    if (s.segments.empty() || end <= s.segments.front()->base()) {
        MR_TRY_VOID(s.or_fail_unless_short(s.lower_recovery_point(Offset{0}, Offset{0})));
        MR_TRY_VOID(s.or_fail_unless_short(s.forget_journaled()));
        return s.or_fail(start_over(s, end, last_touched(s)));
    }
    const std::size_t keep = s.segment_index(end);
    MR_TRY(const Cut cut, s.or_fail(find_cut(*s.segments[keep], end)));
    MR_TRY_VOID(s.or_fail_unless_short(s.lower_recovery_point(end, s.segments[keep]->base())));
    MR_TRY_VOID(s.or_fail_unless_short(cut_journaled(s, keep, cut)));
    return s.or_fail(truncate(s, keep, cut, last_touched(s)));
}

Result<void> PartitionLog::truncate_fully_and_start_at(Offset start) {
    LogState& s = *state_;
    MR_TRY_VOID(s.free_to_cut());
    MR_TRY_VOID(s.or_fail_unless_short(s.lower_recovery_point(Offset{0}, Offset{0})));
    MR_TRY_VOID(s.or_fail_unless_short(s.forget_journaled()));
    return s.or_fail(start_over(s, start, last_touched(s)));
}

Result<bool> PartitionLog::advance_start(Offset start) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    MR_ASSERT(start <= s.end);
    if (start <= s.start) {
        return false;
    }
    s.start = start;
    if (s.epochs.truncate_from_start(start)) {
        s.epochs_dirty = true;
    }
    MR_TRY_VOID(s.or_fail(s.retire_below_start()));
    return true;
}

Result<std::size_t> PartitionLog::apply_retention(Timestamp now, Offset upper) {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    const std::size_t below_start =
        count_front(s, upper, [&s](const Segment&, Offset next) { return next <= s.start; });
    std::size_t gone = below_start;
    if (s.limits.cleanup.remove) {
        if (s.limits.retention >= Duration{0}) {
            gone = std::max(gone, count_front(s, upper, [&](const Segment& segment, Offset) {
                                // A timestamp from the future must not keep a segment for ever.
                                const std::int64_t largest = segment.max_timestamp().first;
                                const Timestamp written = segment.touched();
                                const Timestamp counts_from =
                                    largest < 0 ? written : std::min(Timestamp{largest}, written);
                                return now - counts_from > s.limits.retention;
                            }));
        }
        if (s.limits.retention_bytes.count >= 0) {
            auto excess = static_cast<std::int64_t>(size_bytes()) - s.limits.retention_bytes.count;
            gone = std::max(gone, count_front(s, upper, [&excess](const Segment& segment, Offset) {
                                excess -= static_cast<std::int64_t>(segment.size());
                                return excess >= 0;
                            }));
        }
    }
    if (gone > 0 && gone == s.segments.size()) {
        MR_TRY_VOID(s.or_fail_unless_short(s.start_segment(now)));  // The last too: after a fresh.
    }
    if (gone == below_start) {
        MR_TRY_VOID(s.or_fail(s.retire_below_start()));
        return std::size_t{0};
    }
    s.start = std::max(s.start, s.segments[gone]->base());
    if (s.epochs.truncate_from_start(s.start)) {
        s.epochs_dirty = true;
    }
    MR_TRY_VOID(s.or_fail(s.retire_below_start()));
    return gone - below_start;
}

RetiredFiles PartitionLog::take_retired() {
    LogState& s = *state_;
    RetiredFiles files;
    files.disk_ = &s.disk();
    files.paths_ = std::exchange(s.retired, {});
    files.folders_ = std::exchange(s.retired_folders, {});
    return files;
}

bool PartitionLog::has_retired() const {
    return !state_->retired.empty() || !state_->retired_folders.empty();
}

bool PartitionLog::has_files_to_retire() const {
    const LogState& s = *state_;
    return s.segments.size() > 1 && s.segments[1]->base() <= s.start;
}

Result<void> PartitionLog::rename_folder(const std::string& name) {
    LogState& s = *state_;
    MR_TRY_VOID(s.free_to_cut());
    if (sync_under_way()) {
        return Error::make(Code::busy, "{}: a sync is under way", s.partition);
    }
    std::string path = join_path(s.directory->path(), name);
    if (s.folder_exists) {
        // An earlier log of that name may be in this directory's journals.
        MR_TRY_VOID(s.or_fail_unless_short(s.forget_journaled()));
        MR_TRY_VOID(s.or_fail(s.disk().rename(s.folder, path)));
        s.unsynced_directories.erase(s.folder);
        s.unsynced_directories.insert(s.directory->path());
    }
    s.folder = std::move(path);
    if (s.folder_exists) {
        s.note_names();
    }
    return {};
}

Result<std::string> PartitionLog::retire_folder(const std::string& name) {
    LogState& s = *state_;
    // A failed log goes the same way, as long as its directory takes the rename. What journals say
    // of it is forgotten before its name has files again.
    if (s.part_is_void) {
        s.part_is_void->store(true);
    }
    std::string path;
    if (s.folder_exists) {
        path = join_path(s.directory->path(), name);
        MR_TRY_VOID(s.disk().rename(s.folder, path));
        s.folder = path;
    }
    s.segments.clear();
    s.active_file.reset();
    s.unsynced_files.clear();
    s.failure = Error::make(Code::closed, "{} was deleted", s.partition);
    return path;
}

Result<void> RetiredFiles::run() const {
    for (const std::string& path : paths_) {
        const auto removed = disk_->remove(path);
        if (!removed && removed.error().code() != Code::not_found) {
            return removed;
        }
    }
    for (const std::string& folder : folders_) {
        const auto removed = disk_->remove_tree(folder);
        if (!removed && removed.error().code() != Code::not_found) {
            return removed;
        }
    }
    return {};
}

}  // namespace millrace::storage
