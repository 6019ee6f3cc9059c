// storage/internal/log_state.h
//
// What a PartitionLog is made of, and the steps that its operations share. The operations
// themselves lie in partition_log*.cc and recovery.cc.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "record/batch_view.h"
#include "runtime/shortage.h"
#include "storage/internal/segment.h"
#include "storage/log_directory.h"
#include "storage/log_facts.h"
#include "storage/partition_log.h"

namespace millrace::storage {

class LogState {
public:
    LogState(std::shared_ptr<LogDirectory> in, TopicPartition of, Uuid id, const LogLimits& keep,
             std::string folder_name);

    const std::shared_ptr<const void> identity = std::make_shared<char>();
    std::shared_ptr<LogDirectory> directory;
    TopicPartition partition;
    Uuid topic_id;
    LogLimits limits;
    std::string folder;
    bool folder_exists = false;
    bool identity_unwritten = false;  // The folder was made, and there was no room for its id.

    std::vector<std::unique_ptr<Segment>> segments;  // By base; the last one is active.
    Offset start{0};
    Offset end{0};
    Offset synced_end{0};
    Offset recovery_point{0};
    LeaderEpochCache epochs;
    bool epochs_dirty = false;
    ProducerState producers;
    std::set<Offset> snapshots;  // Whose files exist.
    std::optional<Error> failure;

    bool cut_unsynced = false;   // The active segment was cut; a crash may bring the rest back ...
    bool cut_syncing = false;    // ... until the sync under way is done.
    bool point_lowered = false;  // In the directory's checkpoint, until the next sync.

    // What the next sync has to cover, and the one under way.
    std::vector<runtime::FilePtr> unsynced_files;
    std::set<std::string> unsynced_directories;
    std::uint64_t names_changed = 0;  // Counts creations, renames and removals in the folder ...
    std::uint64_t names_synced = 0;   // ... and how many of them are on the disk.
    std::uint64_t names_syncing = 0;
    bool active_unsynced = false;
    runtime::FilePtr active_file;  // Held while it has unsynced data, so that no error gets lost.
    std::optional<Offset> syncing_to;

    // The filing under way: its file is being synced while journals go on taking what is new.
    std::optional<Offset> filing_to;
    bool journaled_since = false;  // A journal has taken more since it began.

    // What a journal has, and the files may not.
    bool active_unfiled = false;
    bool epochs_unfiled = false;
    std::uint64_t durable_size = 0;  // Of the active segment, in its file or in a journal.
    /// Of the part that the sync under way may take to a journal: set once it must not any more.
    /// Null if that sync is one of files.
    std::shared_ptr<std::atomic<bool>> part_is_void;

    /// The files are as a clean start needs them while this is end().
    std::optional<Offset> sealed_at;

    // For the manifest: up to where a recovery need not scan the active segment. A mark counts once
    // a sync has covered it.
    std::optional<TailMark> tail_written;
    std::optional<TailMark> tail_syncing;
    std::optional<TailMark> tail;
    std::uint64_t facts_changed = 1;  // Counts what the manifest has to know ...
    std::uint64_t facts_taken = 0;    // ... and how much of it was asked for.

    bool renaming = false;             // Compaction is: no segment may be cut or retired.
    std::vector<std::string> retired;  // Files.
    std::vector<std::string> retired_folders;
    std::uint64_t written_back = 0;  // Of the active segment, handed out by take_writeback().

    runtime::Disk& disk() const { return directory->disk(); }
    Segment& active() { return *segments.back(); }

    /// The error that every call answers once the log or its directory has failed.
    Result<void> usable() const;
    /// The same, and that no files are being renamed.
    Result<void> free_to_cut() const;
    /// Fails the log for good, and its directory if the disk is at fault. Returns the error.
    Error fail(Error error);
    /// `result`, after failing the log if it is an error.
    template <typename T>
    Result<T> or_fail(Result<T> result) {
        if (!result) {
            return fail(result.error());
        }
        return result;
    }

    /// The same for a step that can be made again once a shortage is over.
    template <typename T>
    Result<T> or_fail_unless_short(Result<T> result) {
        return result || runtime::is_shortage(result.error()) ? result : or_fail(std::move(result));
    }

    /// The same for a reader: rot and bad arguments concern that read alone.
    template <typename T>
    Result<T> or_fail_if_io(Result<T> result) {
        return !result && result.error().code() == Code::io ? or_fail(std::move(result)) : result;
    }

    std::unique_ptr<Segment> make_segment(Offset base) const;
    std::string file_path(std::string_view name) const { return join_path(folder, name); }
    /// The segment that would hold `offset`; the first one for what lies before all.
    std::size_t segment_index(Offset offset) const;

    Result<void> ensure_folder();
    /// A name in the folder has changed: the next sync covers it.
    void note_names();
    bool names_are_durable() const { return names_changed == names_synced; }
    /// Names may reach the disk in any order. Where one must not overtake another, this waits.
    Result<void> sync_names();
    /// What the active segment holds is about to change, or another one is.
    void forget_tail();
    /// Seals the active segment and starts one at end(), with a producer snapshot. Segments always
    /// touch: after a crash a gap between two means lost data.
    Result<void> start_segment(Timestamp now);
    Result<void> write_snapshot(Offset at);
    Result<void> write_topic_id();
    /// Drops the snapshots at or above `end`; the rest belongs to segments.
    Result<void> drop_snapshots_from(Offset end);
    /// Those of tail marks, once the active segment is sealed or another mark has come.
    Result<void> drop_snapshots_between(Offset above, Offset below);

    /// What the log now holds: producers and aborted transactions follow from it.
    Result<void> note_producer(const record::BatchView& batch, Segment& segment);
    /// Producers as of end(), from the last snapshot and the batches behind it.
    Result<void> rebuild_producers(Timestamp now);

    Result<void> replay_producers(Segment& segment, Offset from);

    /// Before anything from `position` of that segment on is cut: no replay may bring it back.
    Result<void> cut_journaled(Offset segment_base, std::uint64_t position);
    /// Before the log goes on without anything of what it held.
    Result<void> forget_journaled();
    /// After a recovery, with all of it in the files and synced. `was_cut`: some of what was
    /// journaled may have found no place, and must find none later.
    Result<void> settle_journaled(bool was_cut);
    /// A sync has more to do than to get bytes of the active segment onto the disk.
    bool needs_files() const;
    /// What a job for a journal needs; nothing where files have to be synced.
    std::optional<JournalPart> journal_part();
    /// Whatever is being synced ends there: a cut has come.
    void lower_syncs(Offset end);

    /// Before anything at or above `end` is cut: no recovery may trust what is written there next.
    /// `segment_base`: of the segment that is cut.
    Result<void> lower_recovery_point(Offset end, Offset segment_base);

    /// Takes segments out of the log; their files become garbage. From the end, one after another
    /// on the disk too: a crash leaves no gap.
    Result<void> retire_first();
    /// Retires the first segment if it lies below start(), is not the last, and if the removal
    /// before it is on the disk: a crash must not bring back one and not the next. Nothing while
    /// compaction renames files.
    Result<void> retire_below_start();
    Result<void> retire_from(std::size_t keep);
    Result<void> retire_files_of(const Segment& segment);
    /// Takes all of the folder away in one step.
    /// Others keep files in the log's folder, too.
    Result<bool> folder_is_shared() const;
    Result<void> retire_everything();
    /// Renames one file so that no start takes it for part of the log.
    Result<void> retire_file(const std::string& path);
};

/// The producer facts of a batch; nothing for one without a producer or with a control record that
/// ends no transaction.
struct ProducerFacts {
    std::optional<ProducerBatch> batch;
    std::optional<TransactionMarker> marker;
};
Result<ProducerFacts> producer_facts(const record::BatchView& batch);

}  // namespace millrace::storage
