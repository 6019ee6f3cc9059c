#include "storage/log_directory.h"

#include <fmt/format.h>

#include "storage/internal/file_cache.h"
#include "storage/internal/log_names.h"
#include "storage/internal/text_files.h"

namespace millrace::storage {

namespace {

std::string_view file_name(Checkpoint which) {
    switch (which) {
        case Checkpoint::recovery_point:
            return "recovery-point-offset-checkpoint";
        case Checkpoint::high_watermark:
            return "replication-offset-checkpoint";
        case Checkpoint::log_start:
            return "log-start-offset-checkpoint";
        case Checkpoint::cleaner:
            return "cleaner-offset-checkpoint";
    }
    return "";
}

constexpr std::uint64_t checkpoint_max = std::uint64_t{256} << 20;

}  // namespace

LogDirectory::LogDirectory(runtime::Disk& disk, std::string path, Uuid id, Logger log,
                           std::size_t open_files_max)
    : disk_(disk),
      path_(std::move(path)),
      id_(id),
      log_(std::move(log)),
      files_(std::make_unique<FileCache>(disk, open_files_max)) {}

LogDirectory::~LogDirectory() = default;

void LogDirectory::fail(const Error& error) {
    {
        const std::lock_guard lock(mutex_);
        if (failure_) {
            return;
        }
        failure_ = Error::make(Code::io, "directory {} failed: {}", path_, error.to_string());
        failed_.store(true, std::memory_order_release);
    }
    MR_LOG(log_, error, "storage.directory_failed", field("path", path_),
           field("reason", error.to_string()));
}

std::optional<Error> LogDirectory::failure() const {
    const std::lock_guard lock(mutex_);
    return failure_;
}

Error LogDirectory::note(Error error) {
    if (error.code() == Code::io) {
        fail(error);
    }
    return error;
}

Result<OffsetMap> LogDirectory::read_checkpoint(Checkpoint which) const {
    const std::string path = join_path(path_, file_name(which));
    auto text = disk_.read_whole(path, checkpoint_max);
    if (!text) {
        return text.error().code() == Code::not_found ? Result<OffsetMap>(OffsetMap{})
                                                      : Result<OffsetMap>(text.error());
    }
    auto offsets = parse_offset_checkpoint(*text);
    return offsets ? std::move(offsets) : Result<OffsetMap>(offsets.error().with_context(path));
}

Result<void> LogDirectory::write_checkpoint(Checkpoint which, const OffsetMap& offsets) {
    if (failed()) {
        return *failure();
    }
    const auto written =
        disk_.replace_whole(join_path(path_, file_name(which)), print_offset_checkpoint(offsets));
    return written ? written : Result<void>(note(written.error()));
}

}  // namespace millrace::storage
