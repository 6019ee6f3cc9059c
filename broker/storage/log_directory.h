// storage/log_directory.h
//
// One of a broker's log directories (JBOD): its identity, its health, its checkpoints, and what the
// logs in it share. Thread-safe. A directory that failed once answers its error for everything from
// then on; other directories go on.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/result.h"
#include "base/uuid.h"
#include "model/ids.h"
#include "runtime/disk.h"

namespace millrace::storage {

class FileCache;

/// The offset checkpoints that a directory keeps, in Kafka's files of the same names.
enum class Checkpoint {
    recovery_point,  ///< recovery-point-offset-checkpoint: synced ends
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
    /// `error`, after failing the directory if it is one that a disk causes (not a full disk).
    Error note(Error error);

    /// Empty if the file is absent; Code::corrupt if it can't be read as one.
    Result<OffsetMap> read_checkpoint(Checkpoint which) const;
    Result<void> write_checkpoint(Checkpoint which, const OffsetMap& offsets);

private:
    runtime::Disk& disk_;
    const std::string path_;
    const Uuid id_;
    const Logger log_;
    std::unique_ptr<FileCache> files_;
    std::atomic<bool> failed_{false};
    mutable std::mutex mutex_;
    std::optional<Error> failure_;
};

}  // namespace millrace::storage
