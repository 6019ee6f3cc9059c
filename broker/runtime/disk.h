// runtime/disk.h
//
// Files of one machine. Calls on File and Disk are synchronous and short (the page cache); whatever
// may wait for the device (sync, cold reads, deletion, recovery) is wrapped in DiskPool::run, so a
// loop never stands still. Simulated: in-memory files with a volatile cache, where what was not
// synced is lost or torn at a crash, with EIO, ENOSPC, latency and bit rot.
//
// Names are paths. A new, renamed or removed name survives a crash only after sync_directory().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "runtime/executor.h"

namespace millrace::runtime {

class File {
public:
    virtual ~File() = default;  ///< Closes; does not sync.

    /// Bytes read, fewer only at the end of the file.
    virtual Result<std::size_t> read_at(std::uint64_t offset, MutableBytes into) const = 0;
    /// Writes all of it or fails (a short write is an error, the rest of the range is unknown).
    virtual Result<void> write_at(std::uint64_t offset, std::span<const iovec> parts) = 0;
    virtual Result<void> truncate(std::uint64_t size) = 0;
    virtual Result<std::uint64_t> size() const = 0;
    /// fdatasync. After a failure the file must not be trusted: never retry and acknowledge.
    virtual Result<void> sync() = 0;
    /// Reserves space beyond the end without changing size(). Best effort: a hint.
    virtual void preallocate(std::uint64_t offset, std::uint64_t length) = 0;
    /// Starts writing dirty pages of the range. A hint.
    virtual void start_writeback(std::uint64_t offset, std::uint64_t length) = 0;
    /// The descriptor behind it, for send_file; -1 in the simulator.
    virtual int descriptor() const = 0;

    Result<void> write_at(std::uint64_t offset, ByteView bytes) {
        const iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
        return write_at(offset, std::span<const iovec>(&part, 1));
    }
};

using FilePtr = std::shared_ptr<File>;

enum class OpenMode {
    read,          ///< Must exist.
    read_write,    ///< Must exist.
    create,        ///< Created if absent, contents kept.
    create_empty,  ///< Created or truncated to nothing.
};

struct DirectoryEntry {
    std::string name;
    bool is_directory = false;
    friend auto operator<=>(const DirectoryEntry&, const DirectoryEntry&) = default;
};

struct DiskUsage {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;
};

/// Held for a process's life so that no second one uses the directory.
class DirectoryLock {
public:
    virtual ~DirectoryLock() = default;
};

class Disk {
public:
    virtual ~Disk() = default;

    virtual Result<FilePtr> open(const std::string& path, OpenMode mode) = 0;
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<void> remove(const std::string& path) = 0;  ///< A file or an empty directory.
    virtual Result<void> create_directories(const std::string& path) = 0;
    virtual Result<std::vector<DirectoryEntry>> list(const std::string& path) = 0;  ///< Sorted.
    virtual Result<bool> exists(const std::string& path) = 0;
    virtual Result<std::uint64_t> file_size(const std::string& path);
    virtual Result<void> sync_directory(const std::string& path) = 0;
    virtual Result<DiskUsage> usage(const std::string& path) = 0;
    virtual Result<std::unique_ptr<DirectoryLock>> lock(const std::string& path) = 0;

    // Conveniences on top of the above (runtime/disk.cc), the same for both implementations.
    Result<std::string> read_whole(const std::string& path, std::uint64_t max_bytes);
    /// Write beside, sync, rename over, sync the directory: a reader sees the old or the new.
    Result<void> replace_whole(const std::string& path, std::string_view contents);
    Result<void> remove_tree(const std::string& path);
    /// create_directories(), and no name on the way is lost at a power cut.
    Result<void> create_directories_durably(const std::string& path);
};

/// Threads for what may wait. `job` runs off the loop, `done` back on it; in the simulator both run
/// later on the one thread, with a drawn latency. Jobs of one `lane` run one at a time, in order;
/// lane 0 has no order. An empty `done`: nobody needs to know.
class DiskPool {
public:
    virtual ~DiskPool() = default;
    virtual void run(std::uint64_t lane, Executor& home, UniqueFunction<void()> job,
                     UniqueFunction<void()> done) = 0;
};

}  // namespace millrace::runtime
