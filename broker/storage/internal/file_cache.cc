#include "storage/internal/file_cache.h"

#include "base/assert.h"
#include "storage/internal/log_names.h"

namespace millrace::storage {

FileCache::~FileCache() {
    MR_ASSERT(recent_.empty());  // A CachedFile that outlived us would write into freed memory.
}

std::size_t FileCache::open_count() const {
    const std::lock_guard lock(mutex_);
    return recent_.size();
}

std::string CachedFile::path() const {
    return join_path(folder_, offset_name(base_, suffix_));
}

Result<void> CachedFile::pin() {
    MR_TRY(pinned_, open());
    return {};
}

Result<runtime::FilePtr> CachedFile::open() {
    if (pinned_) {
        return pinned_;
    }
    return open(runtime::OpenMode::read_write);
}

Result<runtime::FilePtr> CachedFile::create() {
    return open(runtime::OpenMode::create);
}

Result<runtime::FilePtr> CachedFile::open(runtime::OpenMode mode) {
    const std::lock_guard lock(cache_.mutex_);
    if (file_) {
        cache_.recent_.splice(cache_.recent_.begin(), cache_.recent_, position_);
        return file_;
    }
    MR_TRY(file_, cache_.disk_.open(path(), mode));
    cache_.recent_.push_front(this);
    position_ = cache_.recent_.begin();
    if (cache_.recent_.size() > cache_.open_max_) {
        CachedFile* oldest = cache_.recent_.back();
        if (oldest != this) {
            oldest->file_.reset();
            cache_.recent_.pop_back();
        }
    }
    return file_;
}

void CachedFile::close() {
    const std::lock_guard lock(cache_.mutex_);
    if (file_) {
        cache_.recent_.erase(position_);
        file_.reset();
    }
}

}  // namespace millrace::storage
