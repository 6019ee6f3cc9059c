// storage/internal/file_cache.h
//
// Open files within a budget of descriptors: what was used longest ago is closed and opened again
// when needed. Whoever holds a FilePtr keeps that file open beyond the budget. Thread-safe; one
// CachedFile belongs to one owner, which must not outlive the cache.
#pragma once

#include <cstddef>
#include <list>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/ids.h"
#include "runtime/disk.h"

namespace millrace::storage {

class CachedFile;

class FileCache {
public:
    FileCache(runtime::Disk& disk, std::size_t open_max) : disk_(disk), open_max_(open_max) {}
    ~FileCache();
    FileCache(const FileCache&) = delete;
    FileCache& operator=(const FileCache&) = delete;

    runtime::Disk& disk() const { return disk_; }
    std::size_t open_count() const;

private:
    friend class CachedFile;
    runtime::Disk& disk_;
    const std::size_t open_max_;
    mutable std::mutex mutex_;
    std::list<CachedFile*> recent_;  // Most recently used first; all of them open.
};

class CachedFile {
public:
    /// A file of the segment at `base` in `folder`, which is the log's and outlives this.
    CachedFile(FileCache& cache, const std::string& folder, Offset base, std::string_view suffix)
        : cache_(cache), folder_(folder), base_(base), suffix_(suffix) {}
    ~CachedFile() { close(); }
    CachedFile(const CachedFile&) = delete;
    CachedFile& operator=(const CachedFile&) = delete;

    /// The open file, to read and write. It must exist.
    Result<runtime::FilePtr> open();
    /// The same, created empty if absent.
    Result<runtime::FilePtr> create();
    void close();
    /// Opens it and keeps it open until this object goes: its name is about to change.
    Result<void> pin();

    std::string path() const;
    Offset base() const { return base_; }
    runtime::Disk& disk() const { return cache_.disk_; }

private:
    Result<runtime::FilePtr> open(runtime::OpenMode mode);

    FileCache& cache_;
    const std::string& folder_;
    const Offset base_;
    const std::string_view suffix_;  // One of storage::suffix, so it lives for ever.
    runtime::FilePtr pinned_;
    runtime::FilePtr file_;                      // Guarded by the cache's mutex, as is ...
    std::list<CachedFile*>::iterator position_;  // ... this; valid while file_ is set.
};

}  // namespace millrace::storage
