// storage/log_directory.h
//
// One of a broker's log directories (JBOD): its identity, its health, its checkpoints, and what the
// logs in it share. Thread-safe. A directory that failed once answers its error for everything from
// then on; other directories go on.
#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "runtime/disk.h"
#include "storage/log_facts.h"

namespace millrace::storage {

class FileCache;
class Journals;
class Manifest;

/// The offset checkpoints that a directory keeps, in Kafka's files of the same names.
enum class Checkpoint {
    recovery_point,  ///< recovery-point-offset-checkpoint
    high_watermark,  ///< replication-offset-checkpoint
    log_start,       ///< log-start-offset-checkpoint
    cleaner,         ///< cleaner-offset-checkpoint: how far compaction has come
};

using OffsetMap = std::map<TopicPartition, Offset>;

class LogDirectory {
public:
    LogDirectory(runtime::Disk& disk, std::string path, Uuid id, Logger log,
                 std::size_t open_files_max);
    ~LogDirectory();
    LogDirectory(const LogDirectory&) = delete;
    LogDirectory& operator=(const LogDirectory&) = delete;

    runtime::Disk& disk() const { return disk_; }
    const std::string& path() const { return path_; }
    Uuid id() const { return id_; }
    const Logger& log() const { return log_; }
    FileCache& files() { return *files_; }

    /// The first failure wins and stays.
    void fail(const Error& error);
    std::optional<Error> failure() const;
    bool failed() const { return failed_.load(std::memory_order_acquire); }
    /// Cordoned: it gets no new replica (KIP-1066).
    void cordon(bool cordoned) { cordoned_.store(cordoned, std::memory_order_relaxed); }
    bool cordoned() const { return cordoned_.load(std::memory_order_relaxed); }
    /// `error`, after failing the directory if it is one that a disk causes (not a full disk).
    Error note(Error error);

    /// A process before this one failed here since the last clean stop. After a failed sync the
    /// kernel calls the pages clean: they can be read, the next sync succeeds, and a power cut
    /// takes them. What is to be trusted has to be written once more.
    Result<bool> page_cache_may_lie() const;
    /// A clean stop was found: everything has been written and synced since.
    Result<void> trust_page_cache();

    /// A path in this directory under which a log's folder counts as deleted.
    Result<std::string> free_name_for_deleted(const TopicPartition& partition);

    /// Empty if the file is absent; Code::corrupt if it can't be read as one.
    Result<OffsetMap> read_checkpoint(Checkpoint which) const;
    /// Call before gathering what the checkpoints will say, and give its answer to the writes.
    std::uint64_t begin_checkpoint();
    /// Blocking, one writer at a time for each file. Of recovery points: a log that was truncated
    /// since `begun` keeps the lower point: a recovery must not trust what was written over the
    /// truncated part.
    Result<void> write_checkpoint(Checkpoint which, std::uint64_t begun, OffsetMap offsets);

    /// What the last process knew of the logs' files, if nobody else wrote here since; empty
    /// otherwise. To be held against the files.
    std::map<TopicPartition, LogFacts> read_manifest() const;
    /// Whether the recovery points are ours: else Kafka wrote here last. Blocking.
    bool has_own_points() const;
    /// The same for the next start: what has changed, before the recovery points that were gathered
    /// with it. `begun` as above. Blocking. An error is worth a word in the log and no more.
    Result<void> write_manifest(std::uint64_t begun, std::vector<LogFacts> logs);

    /// A log of this name has gone: what the checkpoints say of it is not true of the next one.
    void note_gone(const TopicPartition& partition);
    /// Before a log of this name makes its first file: takes stale lines out of the checkpoints, if
    /// there may be any. Blocking then, which is only if a name is used again at once.
    Result<void> forget_gone(const TopicPartition& partition);

    /// Blocking; every few seconds. While less than `reserve` is free, appends of records answer
    /// Code::no_space, so that deletion, metadata and checkpoints still find room.
    Result<runtime::DiskUsage> check_space(std::uint64_t reserve);
    /// As check_space() saw it last.
    std::uint64_t free_bytes() const { return free_bytes_.load(std::memory_order_relaxed); }
    bool is_short_of_space() const { return short_of_space_.load(std::memory_order_acquire); }

    Journals& journals() { return *journals_; }

    /// By a log, before it cuts itself below what may be recorded: the file says no more than
    /// `point` when this returns, and until lift_recovery_point(). Blocking.
    Result<void> lower_recovery_point(const TopicPartition& partition, Offset point);
    /// By the same log: what its synced end says is true again.
    void lift_recovery_point(const TopicPartition& partition);

private:
    Result<void> replace_checkpoint(Checkpoint which, const OffsetMap& offsets);
    Result<void> drop_line(Checkpoint which, const TopicPartition& partition);
    void note_in_manifest(const Result<void>& written) const;
    void forget_all_gone();

    runtime::Disk& disk_;
    const std::string path_;
    const Uuid id_;
    const Logger log_;
    const std::string failure_mark_;
    std::unique_ptr<FileCache> files_;
    std::unique_ptr<Manifest> manifest_;  // Guarded by points_mutex_ where it is written.
    std::atomic<bool> failed_{false};
    std::atomic<bool> cordoned_{false};
    std::atomic<bool> short_of_space_{false};
    std::atomic<std::uint64_t> free_bytes_{0};
    std::atomic<std::uint64_t> names_given_{0};
    mutable std::mutex mutex_;
    std::optional<Error> failure_;

    struct Ceiling {
        Offset point;
        std::uint64_t lifted = UINT64_MAX;  // Writes begun from then on may say more.
    };
    struct Gone {
        /// By checkpoint: what was gathered before this number may still name the log; 0: its line
        /// is gone from the file for good.
        std::array<std::uint64_t, 4> since{};
        bool in_files = true;
    };
    std::mutex points_mutex_;  // Also held while a file is written.
    std::uint64_t points_begun_ = 0;
    std::map<TopicPartition, Ceiling> ceilings_;
    std::map<TopicPartition, Gone> gone_;
    std::unique_ptr<Journals> journals_;
};

}  // namespace millrace::storage
