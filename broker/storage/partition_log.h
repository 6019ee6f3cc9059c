// storage/partition_log.h
//
// One partition's log in one directory, in Kafka's own files: append batches, read a range, find an
// offset by time or epoch, truncate, sync, recover. Batches arrive validated and with their offsets
// assigned: storage never looks inside a data record on this path.
//
// Owned by one shard, which makes every call. What may wait for the device is handed out as a job
// that runs in the disk pool and touches nothing of the log: sync, retirement of files, timestamp
// searches. recover() runs in the pool as a whole, before the shard gets the log.
//
// After a failed write or sync the log is failed for good (as is its directory): every later call
// answers that error, and nothing is ever synced again. A shortage is no failure: the call answers
// Code::no_space (the disk is full) or Code::exhausted (no file or memory is left), has changed
// nothing that it promises, and can be made again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"
#include "runtime/disk.h"
#include "storage/compaction.h"
#include "storage/journal_replay.h"
#include "storage/leader_epoch_cache.h"
#include "storage/limits.h"
#include "storage/log_facts.h"
#include "storage/producer_state.h"
#include "storage/read_slice.h"

namespace millrace::record {
class BatchView;
}

namespace millrace::storage {

class LogDirectory;
class LogState;

struct ReadRange {
    Offset from;
    Offset upper;  ///< Only batches that end at or below it.
    std::size_t max_bytes = 0;
    /// The first batch is returned whole even if larger than max_bytes.
    bool min_one_batch = true;
    /// Verify checksums before returning, if that was not done before. Else the caller runs
    /// check_slice() in the disk pool, which also brings the bytes into memory, and calls
    /// note_checked(): so the loop never waits for a cold disk.
    bool check_in_place = true;
};

/// Verifies every checksum in the slice: Code::corrupt with the facts. On any thread.
Result<void> check_slice(const ReadSlice& slice);

struct TimestampOffset {
    Timestamp timestamp{-1};
    Offset offset = no_offset;
    LeaderEpoch epoch = no_leader_epoch;
    friend auto operator<=>(const TimestampOffset&, const TimestampOffset&) = default;
};

/// A search by timestamp that may read from the device: run it in the disk pool, or in place where
/// waiting is fine. Holds what it reads; independent of the log's later changes.
class TimestampSearch {
public:
    struct Piece;  ///< A part of the log with a hint where to start.
    explicit TimestampSearch(std::vector<Piece> pieces);
    TimestampSearch(TimestampSearch&&) noexcept;
    TimestampSearch& operator=(TimestampSearch&&) noexcept;
    ~TimestampSearch();
    Result<std::optional<TimestampOffset>> run() const;

private:
    std::vector<Piece> pieces_;
};

/// What a sync may write to a journal, in place of syncing files. The epoch checkpoint waits for
/// the next that does: what it lacks lies above the recovery point, where the records say it.
struct JournalPart {
    TopicPartition partition;
    Uuid topic_id;
    Offset base;                 ///< Of the active segment.
    std::uint64_t position = 0;  ///< In its file ...
    std::uint64_t length = 0;    ///< ... is what no earlier sync has covered.
    runtime::FilePtr file;
    /// The log was cut or has gone meanwhile.
    std::shared_ptr<const std::atomic<bool>> is_void;

    std::size_t size_in_journal() const {
        constexpr std::size_t head = 64;
        return head + partition.topic.size() + length;
    }
};

/// One group sync: everything appended before begin_sync(). run() may be called on any thread.
class SyncJob {
public:
    /// Syncs files, then what names them. Once; a failure is final, except for a shortage: then the
    /// log needs another job when that is over. The directory knows of a failure when this returns.
    Result<void> run() const;
    Offset target() const { return target_; }
    /// Null where files have to be synced. Once a journal has taken it, run() needn't run.
    const JournalPart* journal_part() const { return part_ ? &*part_ : nullptr; }

private:
    friend class PartitionLog;
    Result<void> sync_all() const;
    std::shared_ptr<LogDirectory> directory_;
    std::optional<JournalPart> part_;
    std::optional<Offset> active_base_;
    std::uint64_t active_size_ = 0;
    std::vector<std::string> directories_;
    std::vector<std::pair<std::string, std::string>> replaced_;  // Small files: path, contents.
    std::vector<runtime::FilePtr> files_;
    Offset target_;
    std::uint64_t journaled_before_ = 0;  // Of a filing: the file has these entries' bytes.
};

/// Starts writing what was appended, so that a later sync finds little left to do. run() may wait:
/// in the disk pool.
struct WritebackJob {
    runtime::FilePtr file;
    std::uint64_t position = 0;
    std::uint64_t length = 0;

    void run() const { file->start_writeback(position, length); }
};

/// Files that no one needs any more. run() removes them, on any thread, once the delay has passed.
class RetiredFiles {
public:
    bool empty() const { return paths_.empty() && folders_.empty(); }
    Result<void> run() const;

private:
    friend class PartitionLog;
    runtime::Disk* disk_ = nullptr;
    std::vector<std::string> paths_;
    std::vector<std::string> folders_;
};

struct RecoveryInput {
    Offset recovery_point{0};  ///< Below it everything was synced before the crash.
    Offset log_start{0};       ///< From the log-start checkpoint.
    bool clean = false;        ///< The directory was closed in order: trust files as they are.
    /// Where Kafka compacted: two segments need not touch, whether recorded as synced or not.
    Offset gaps_below{0};
    std::shared_ptr<const LogFacts> known{};          ///< From the manifest, if it counts.
    std::shared_ptr<const JournaledLog> journaled{};  ///< What the last process had journaled.
    Timestamp now;                                    ///< To expire producers.
};

/// What recovery found, for the log and for whoever decides whether this replica may lead.
struct RecoveryReport {
    Offset end;
    std::uint64_t truncated_bytes = 0;
    std::uint64_t scanned_bytes = 0;
    std::uint64_t replayed_bytes = 0;  ///< Taken from a journal.
    std::optional<Offset> resumed_at;  ///< Nothing below was scanned in its segment.
    bool quarantined = false;       ///< Whole batches followed the damage; set aside, not served.
    bool lost_synced_data = false;  ///< The damage lies below the recovery point.
    std::string reason;             ///< Why the tail was cut; empty if it was not.
};

class PartitionLog {
public:
    /// A log that holds nothing: no file exists until the first append.
    static std::unique_ptr<PartitionLog> create(std::shared_ptr<LogDirectory> directory,
                                                TopicPartition partition, Uuid topic_id,
                                                const LogLimits& limits, Offset start = Offset{0});

    /// Opens what the directory holds. Unless it was closed cleanly, scans from the recovery point,
    /// cuts a torn tail, rebuilds indexes, epochs and producers. Blocking.
    static Result<std::unique_ptr<PartitionLog>> recover(std::shared_ptr<LogDirectory> directory,
                                                         TopicPartition partition,
                                                         const LogLimits& limits,
                                                         const RecoveryInput& input,
                                                         RecoveryReport* report = nullptr);
    /// The same for a folder of another name: a future log, the quorum's.
    static Result<std::unique_ptr<PartitionLog>> recover_folder(
        std::shared_ptr<LogDirectory> directory, TopicPartition partition, std::string folder,
        const LogLimits& limits, const RecoveryInput& input, RecoveryReport* report = nullptr);
    ~PartitionLog();
    PartitionLog(const PartitionLog&) = delete;
    PartitionLog& operator=(const PartitionLog&) = delete;

    // --- Append ---------------------------------------------------------------------------------

    /// All of them or none, in one vectored write per segment. Base offsets are assigned, ascend
    /// and begin at end() or above (a follower may see the holes that compaction left).
    /// A shortage: nothing was appended and the log goes on.
    Result<void> append(std::span<const record::BatchView> batches, Timestamp now);
    /// Starts a new segment at end(), if the active one holds anything.
    Result<void> roll(Timestamp now);
    /// The same once the active one has outlived its age, for a log that nobody appends to.
    Result<void> roll_if_aged(Timestamp now);

    // --- Read -----------------------------------------------------------------------------------

    /// Whole batches from the one that holds `from` (or the first after it). Code::not_found if
    /// `from` is below start() or above end(). Empty when there is nothing below `upper`.
    Result<ReadSlice> read(const ReadRange& range);
    void note_checked(const ReadSlice& slice);
    /// First record at or after `at` (also inside a batch); nothing if there is none.
    Result<TimestampSearch> search_timestamp(Timestamp at);
    /// The record with the largest timestamp.
    Result<TimestampSearch> search_max_timestamp();
    /// Aborted transactions that touch [from, upper).
    Result<std::vector<AbortedTransaction>> aborted_transactions(Offset from, Offset upper);

    // --- Cut ------------------------------------------------------------------------------------

    /// Drops everything at and above `end`. Code::busy for a moment while compaction renames files,
    /// as for the two below: try again. A batch that spans it goes as a whole.
    Result<void> truncate_to(Offset end);
    /// Drops everything; the log is empty and goes on at `start`.
    Result<void> truncate_fully_and_start_at(Offset start);
    /// Nothing below `start` is served any more. Returns whether start() moved.
    Result<bool> advance_start(Offset start);
    /// Moves start() past the whole segments that time or size no longer keeps, never past `upper`.
    /// Returns how many. Files below start() go one segment per completed sync: while
    /// has_unsynced() says so, go on syncing.
    Result<std::size_t> apply_retention(Timestamp now, Offset upper);
    /// Files of deleted segments, once: remove them after limits().file_delete_delay.
    RetiredFiles take_retired();
    bool has_retired() const;
    /// Segments below start() whose files wait for a sync before they may go.
    bool has_files_to_retire() const;

    /// Renames the log's folder so that no start finds it; the log answers Code::closed from then
    /// on. Returns the folder's path, empty if there never was one.
    Result<std::string> retire_folder(const std::string& name);
    /// Renames the folder of a future log to its final name, or any log's to another.
    Result<void> rename_folder(const std::string& name);

    // --- Compaction -----------------------------------------------------------------------------

    /// `first_dirty`: the last round's cleaned_end(); `upper`: nothing above it is decided yet;
    /// `recorded_end`: the recovery point as last written to its checkpoint (only what a recovery
    /// will not scan may have gaps).
    Result<CompactionNeed> compaction_need(Timestamp now, Offset first_dirty, Offset upper,
                                           Offset recorded_end);
    Result<std::unique_ptr<CompactionRound>> begin_compaction(const CompactionNeed& need,
                                                              const CompactionBudget& budget,
                                                              Timestamp now);
    /// Takes over what the last piece did. False once the round is over, for good or ill.
    Result<bool> continue_compaction(CompactionRound& round);
    /// Files are being exchanged: the round must be continued, not dropped.
    bool is_renaming() const;

    // --- Sync -----------------------------------------------------------------------------------

    /// Nothing if all is synced or a sync is under way (what is appended meanwhile shares the
    /// next), or a filing and this is nothing for a journal. `into_files`: what only a journal has
    /// counts as not synced, too.
    std::optional<SyncJob> begin_sync(bool into_files = false);
    enum class SyncedIn { files, journal };
    /// On success synced_end() reaches the job's target; on failure the log is failed for good. In
    /// a shortage neither: the records are on the disk, the checkpoint that recovery needs beside
    /// them is not. Nothing counts, has_unsynced() stays, and begin_sync() tries again.
    void complete_sync(const SyncJob& job, const Result<void>& outcome,
                       SyncedIn in = SyncedIn::files);
    /// Gets what only a journal has into the active segment's file, for recovery_point(): others go
    /// on meanwhile, as long as they go to a journal. Nothing if there is nothing to do, or if it
    /// takes more than that one file: begin_sync(true) does it then. Once at a time, and never
    /// beside a job that runs: the kernel tells the failure of a file to one of two.
    std::optional<SyncJob> begin_filing();
    /// A failure is final; in a shortage the journal still has it.
    void complete_filing(const SyncJob& job, const Result<void>& outcome);
    bool is_filing() const;
    bool sync_under_way() const;
    bool has_unsynced() const;
    /// A journal has it, the files may not.
    bool has_unfiled() const;
    /// Segments were made, sealed or retired since the last sync began.
    bool has_unsynced_names() const;
    /// Something to write back in the background, every few megabytes.
    std::optional<WritebackJob> take_writeback();
    /// Once the active segment has grown by some megabytes: makes the next sync one that a recovery
    /// can go on from, without scanning what was there. Every minute or so; cheap.
    Result<void> mark_tail();
    /// For the directory's manifest: nothing if it has not changed since they were last taken.
    std::optional<LogFacts> take_facts();
    /// Everything appended so far, in place. For shutdown and tools.
    Result<void> sync_now();
    /// Writes what a clean start needs (indexes, snapshot, epochs), unless it is there already; the
    /// job syncs it all. Nothing if there is nothing to sync. The log may be appended to
    /// afterwards, and closed again.
    Result<std::optional<SyncJob>> begin_close();
    /// The same in place. Blocking.
    Result<void> close_cleanly();

    // --- What it knows --------------------------------------------------------------------------

    Offset start() const;       ///< First offset still served.
    Offset first_base() const;  ///< Of the first segment; at most start().
    Offset end() const;         ///< One past the last appended.
    Offset synced_end() const;  ///< Everything below survives a power cut.
    /// Everything below is synced in the log's own files; at most synced_end().
    Offset recovery_point() const;
    std::uint64_t size_bytes() const;
    std::size_t segment_count() const;
    bool has_files() const;
    const TopicPartition& partition() const;
    Uuid topic_id() const;
    Result<void> set_topic_id(Uuid topic_id);
    const LeaderEpochCache& epochs() const;
    /// `epoch` begins at end(): a new leader says so before its first append.
    Result<void> assign_epoch(LeaderEpoch epoch);
    const ProducerState& producers() const;
    /// Housekeeping on producers: expiry, and forgetting what `decided_end` has settled.
    void tidy_producers(Timestamp now, Offset decided_end);
    void forget_decided_below(Offset decided_end);
    const LogLimits& limits() const;
    void set_limits(const LogLimits& limits);
    /// Why the log takes no more calls; nothing while it works.
    std::optional<Error> failure() const;
    const std::shared_ptr<LogDirectory>& directory() const;
    std::string path() const;
    /// To know this very log again when a job comes back: another may have its name by then, and
    /// its address. Nobody else has this as long as somebody holds it.
    const std::shared_ptr<const void>& identity() const;

private:
    explicit PartitionLog(std::unique_ptr<LogState> state);
    void note_synced(const SyncJob& job, SyncedIn in, Offset reached);
    std::unique_ptr<LogState> state_;
};

}  // namespace millrace::storage
