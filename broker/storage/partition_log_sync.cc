// Group sync and the clean close of a PartitionLog.

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "storage/internal/log_state.h"
#include "storage/internal/text_files.h"
#include "storage/journal.h"
#include "storage/partition_log.h"

namespace millrace::storage {

namespace {

/// Whatever the reason, nobody knows what of the pages is on the disk: even a shortage is the
/// disk's failure then, and no later sync can be believed.
Result<void> synced_or_lost(const Result<void>& synced) {
    if (synced || !runtime::is_shortage(synced.error())) {
        return synced;
    }
    return Error(Code::io, synced.error().message());
}

/// A shortage in front of the checkpoint: the job's files are synced, its names are not, and
/// nothing of it counts. The next job does the rest.
void put_off(LogState& s, const std::vector<std::string>& directories) {
    s.epochs_dirty = true;
    s.unsynced_directories.insert(directories.begin(), directories.end());
}

}  // namespace

Result<void> SyncJob::run() const {
    Result<void> outcome = sync_all();
    if (!outcome) {
        // Here, for the process may be ended before its loop hears of it; the kernel has told it
        // once, and the next start would hear of nothing.
        (void)directory_->note(outcome.error());
    }
    return outcome;
}

Result<void> SyncJob::sync_all() const {
    runtime::Disk& disk = directory_->disk();
    for (const runtime::FilePtr& file : files_) {
        MR_TRY_VOID(synced_or_lost(file->sync()));
    }
    // The folder may have gone meanwhile (the log started over): target() was lowered then.
    const auto unless_gone = [](Result<void> result) {
        return !result && result.error().code() == Code::not_found ? Result<void>{} : result;
    };
    for (const auto& [path, contents] : replaced_) {
        MR_TRY_VOID(unless_gone(disk.replace_whole(path, contents)));
    }
    for (const std::string& directory : directories_) {
        MR_TRY_VOID(synced_or_lost(unless_gone(disk.sync_directory(directory))));
    }
    return {};
}

std::optional<SyncJob> PartitionLog::begin_sync(bool into_files) {
    LogState& s = *state_;
    if (!s.usable() || s.syncing_to || (!has_unsynced() && !(into_files && has_unfiled()))) {
        return std::nullopt;
    }
    SyncJob job;
    job.directory_ = s.directory;
    s.part_is_void.reset();
    if (!into_files) {
        job.part_ = s.journal_part();
    }
    if (s.filing_to && !job.part_) {
        return std::nullopt;  // Two syncs of one file: the kernel would tell its failure to one.
    }
    if (!s.segments.empty()) {
        job.active_base_ = s.active().base();
        job.active_size_ = s.active().size();
    }
    // Older segments first: what is synced is then always a prefix.
    job.files_ = std::move(s.unsynced_files);
    s.unsynced_files.clear();
    if (s.active_unsynced || s.active_unfiled) {
        job.files_.push_back(s.active_file);
        s.active_unsynced = false;
    }
    if ((s.epochs_dirty || s.epochs_unfiled) && s.folder_exists) {
        job.replaced_.emplace_back(s.file_path(epoch_checkpoint_name),
                                   print_epoch_checkpoint(s.epochs.entries()));
        s.epochs_dirty = false;
    }
    if (s.folder_exists && !s.names_are_durable()) {
        s.unsynced_directories.insert(s.folder);  // also those that a recovery found
    }
    job.directories_.assign(s.unsynced_directories.begin(), s.unsynced_directories.end());
    s.unsynced_directories.clear();
    job.target_ = s.end;
    s.cut_syncing = std::exchange(s.cut_unsynced, false);
    s.names_syncing = s.names_changed;
    s.tail_syncing = std::exchange(s.tail_written, std::nullopt);
    s.syncing_to = s.end;
    return job;
}

void PartitionLog::complete_sync(const SyncJob& job, const Result<void>& outcome, SyncedIn in) {
    LogState& s = *state_;
    MR_ASSERT(s.syncing_to.has_value() && *s.syncing_to <= job.target());
    // A truncation meanwhile has lowered it: what was appended since then is not covered.
    const Offset reached = *s.syncing_to;
    const bool truncated_meanwhile = reached < job.target();
    s.syncing_to.reset();
    const std::optional<TailMark> marked = std::exchange(s.tail_syncing, std::nullopt);
    if (!outcome && !MR_PLANTED(failed_syncs_count)) {
        if (runtime::is_shortage(outcome.error())) {
            put_off(s, job.directories_);
        } else {
            s.fail(outcome.error());
        }
        return;
    }
    if (s.failure) {
        return;
    }
    s.synced_end = std::max(s.synced_end, reached);
    note_synced(job, in, reached);
    s.names_synced = std::max(s.names_synced, s.names_syncing);
    if (marked) {
        s.tail = marked;
        ++s.facts_changed;
    }
    if (s.point_lowered && !truncated_meanwhile && in == SyncedIn::files) {
        s.point_lowered = false;
        s.directory->lift_recovery_point(s.partition);
    }
    if (!s.active_unsynced && !s.active_unfiled) {
        s.active_file.reset();
    }
    if (const auto retired = s.retire_below_start(); !retired) {
        s.fail(retired.error());
    }
}

std::optional<SyncJob> PartitionLog::begin_filing() {
    LogState& s = *state_;
    if (!s.usable() || s.filing_to || !has_unfiled() || !s.active_file || s.needs_files() ||
        (s.syncing_to && !s.part_is_void)) {
        return std::nullopt;
    }
    SyncJob job;
    job.directory_ = s.directory;
    job.active_base_ = s.active().base();
    job.files_.push_back(s.active_file);
    if (s.epochs_unfiled) {
        job.replaced_.emplace_back(s.file_path(epoch_checkpoint_name),
                                   print_epoch_checkpoint(s.epochs.entries()));
    }
    job.target_ = s.synced_end;
    job.journaled_before_ = s.directory->journals().next_sequence();
    s.filing_to = s.synced_end;
    s.journaled_since = false;
    return job;
}

void PartitionLog::complete_filing(const SyncJob& job, const Result<void>& outcome) {
    LogState& s = *state_;
    MR_ASSERT(s.filing_to.has_value() && *s.filing_to <= job.target());
    const Offset reached = *std::exchange(s.filing_to, std::nullopt);
    if (!outcome) {
        if (!runtime::is_shortage(outcome.error())) {
            s.fail(outcome.error());
        }
        return;  // Journals have it still.
    }
    if (s.failure) {
        return;
    }
    // The file has more, but what counts as synced is the other sync's to say.
    s.recovery_point = std::max(s.recovery_point, reached);
    const bool same_active = !s.segments.empty() && job.active_base_ == s.active().base();
    if (same_active && !s.journaled_since) {
        s.active_unfiled = false;
        s.epochs_unfiled = false;
        if (!s.active_unsynced && !s.syncing_to) {
            s.active_file.reset();
        }
    }
    s.directory->journals().note_filed(s.partition, MR_PLANTED(filing_counts_what_came_since)
                                                        ? Journals::all_sequences
                                                        : job.journaled_before_);
}

/// What the files have now, and what a journal.
void PartitionLog::note_synced(const SyncJob& job, SyncedIn in, Offset reached) {
    LogState& s = *state_;
    const bool same_active = !s.segments.empty() && job.active_base_ == s.active().base();
    if (same_active && reached == job.target()) {
        s.durable_size = job.active_size_;
    }
    if (in == SyncedIn::journal) {
        s.journaled_since = true;
        // Without its file it is another segment, of a log that has started over there meanwhile.
        s.active_unfiled =
            s.active_unfiled || (same_active && s.active_file && job.part_->length > 0);
        s.epochs_unfiled = s.epochs_unfiled || !job.replaced_.empty();
        return;
    }
    s.recovery_point = std::max(s.recovery_point, reached);
    if (same_active) {
        s.active_unfiled = false;
    }
    s.epochs_unfiled = false;
    s.directory->journals().note_filed(s.partition);
}

bool PartitionLog::has_unfiled() const {
    return state_->active_unfiled || (state_->epochs_unfiled && state_->folder_exists);
}

bool PartitionLog::is_filing() const {
    return state_->filing_to.has_value();
}

bool PartitionLog::sync_under_way() const {
    return state_->syncing_to.has_value() || is_filing();
}

bool PartitionLog::has_unsynced() const {
    const LogState& s = *state_;
    return s.active_unsynced || !s.unsynced_files.empty() || !s.unsynced_directories.empty() ||
           (s.epochs_dirty && s.folder_exists);
}

bool PartitionLog::has_unsynced_names() const {
    return !state_->unsynced_directories.empty();
}

Result<void> PartitionLog::sync_now() {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    MR_ASSERT(!sync_under_way());
    if (const auto job = begin_sync(true)) {
        const auto outcome = job->run();
        complete_sync(*job, outcome);
        MR_TRY_VOID(outcome);
    }
    return s.usable();
}

Result<std::optional<SyncJob>> PartitionLog::begin_close() {
    LogState& s = *state_;
    MR_TRY_VOID(s.free_to_cut());
    if (sync_under_way()) {
        // Its failure would have been told once, to a job that nobody asks any more.
        return Error::make(Code::busy, "{}: closed while a sync was under way", s.partition);
    }
    if (!s.segments.empty() && s.sealed_at != s.end) {
        MR_TRY(auto files, s.or_fail(s.active().seal()));
        std::move(files.begin(), files.end(), std::back_inserter(s.unsynced_files));
        s.note_names();
        MR_TRY_VOID(s.or_fail(s.write_snapshot(s.end)));
        s.sealed_at = s.end;
        if (!s.active().empty()) {
            MR_TRY(s.tail_written, s.or_fail(s.active().tail_mark()));
        }
    }
    return begin_sync(true);
}

Result<void> PartitionLog::close_cleanly() {
    MR_TRY(const auto job, begin_close());
    if (job) {
        const auto outcome = job->run();
        complete_sync(*job, outcome);
        MR_TRY_VOID(outcome);
    }
    return state_->usable();
}

Result<void> PartitionLog::mark_tail() {
    LogState& s = *state_;
    MR_TRY_VOID(s.usable());
    const auto step = static_cast<std::uint64_t>(s.limits.tail_mark_step.count);
    const std::uint64_t marked = s.tail ? s.tail->front.size : 0;
    if (s.segments.empty() || s.active().size() < marked + step || s.cut_unsynced ||
        s.tail_written || s.tail_syncing) {
        return {};
    }
    return s.or_fail_unless_short([&s]() -> Result<void> {
        MR_TRY(auto files, s.active().flush_indexes());
        std::move(files.begin(), files.end(), std::back_inserter(s.unsynced_files));
        s.producers.set_end(s.end);
        MR_TRY_VOID(s.write_snapshot(s.end));
        // The last mark's was for a recovery that came before this; without it, one takes longer.
        MR_TRY_VOID(s.drop_snapshots_between(s.active().base(), s.end));
        MR_TRY(s.tail_written, s.active().tail_mark());
        return {};
    }());
}

std::optional<LogFacts> PartitionLog::take_facts() {
    LogState& s = *state_;
    if (s.failure || s.renaming || !s.folder_exists || s.facts_taken == s.facts_changed ||
        s.folder != join_path(s.directory->path(), log_folder_name(s.partition))) {
        return std::nullopt;
    }
    LogFacts facts{.partition = s.partition, .topic_id = s.topic_id};
    for (std::size_t i = 0; i + 1 < s.segments.size(); ++i) {
        if (const auto segment = s.segments[i]->facts()) {
            facts.sealed.push_back(*segment);
        }
    }
    facts.tail = s.tail;
    s.facts_taken = s.facts_changed;
    return facts;
}

std::optional<WritebackJob> PartitionLog::take_writeback() {
    LogState& s = *state_;
    // Others wait for the device meanwhile: little at a time, and little left for the sync; least
    // where each wait is somebody's acknowledgement.
    const std::uint64_t step = std::uint64_t{s.active_unfiled ? 256U : 512U} << 10;
    if ((!s.active_unsynced && !s.active_unfiled) || s.active().size() < s.written_back + step) {
        return std::nullopt;
    }
    WritebackJob job{s.active_file, s.written_back, s.active().size() - s.written_back};
    s.written_back = s.active().size();
    return job;
}

}  // namespace millrace::storage
