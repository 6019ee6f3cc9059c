#include "storage/log_directory.h"

#include <algorithm>
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

Result<std::string> LogDirectory::free_name_for_deleted(const TopicPartition& partition) {
    while (true) {
        const Uuid unique{id_.high, id_.low + names_given_.fetch_add(1)};
        std::string path =
            join_path(path_, log_folder_name(partition, LogFolderKind::deleted, unique));
        MR_TRY(const bool taken, disk_.exists(path));  // By a process before this one.
        if (!taken) {
            return path;
        }
    }
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

Result<runtime::DiskUsage> LogDirectory::check_space(std::uint64_t reserve) {
    auto usage = disk_.usage(path_);
    if (!usage) {
        return note(usage.error());
    }
    // A little more has to be free again than was missing, or appends would go on and off.
    const std::uint64_t enough = is_short_of_space() ? reserve + reserve / 8 : reserve;
    const bool too_little = usage->free_bytes < enough;
    if (too_little != short_of_space_.exchange(too_little, std::memory_order_acq_rel)) {
        MR_LOG(log_, warn, too_little ? "storage.space_short" : "storage.space_back",
               field("path", path_), field("free", usage->free_bytes), field("reserve", reserve));
    }
    return usage;
}

std::uint64_t LogDirectory::begin_recovery_points() {
    const std::lock_guard lock(points_mutex_);
    return ++points_begun_;
}

Result<void> LogDirectory::write_recovery_points(std::uint64_t begun, OffsetMap offsets) {
    const std::lock_guard lock(points_mutex_);
    for (auto at = ceilings_.begin(); at != ceilings_.end();) {
        if (at->second.lifted <= begun) {
            at = ceilings_.erase(at);
            continue;
        }
        if (const auto found = offsets.find(at->first); found != offsets.end()) {
            found->second = std::min(found->second, at->second.point);
        }
        ++at;
    }
    return write_checkpoint(Checkpoint::recovery_point, offsets);
}

Result<void> LogDirectory::lower_recovery_point(const TopicPartition& partition, Offset point) {
    const std::lock_guard lock(points_mutex_);
    Ceiling& ceiling = ceilings_.try_emplace(partition, Ceiling{point}).first->second;
    ceiling = {std::min(ceiling.point, point)};
    auto offsets = read_checkpoint(Checkpoint::recovery_point);
    if (!offsets) {
        // One that can't be read says nothing about any log.
        return offsets.error().code() == Code::corrupt ? Result<void>{}
                                                       : Result<void>(note(offsets.error()));
    }
    const auto found = offsets->find(partition);
    if (found == offsets->end() || found->second <= point) {
        return {};
    }
    found->second = point;
    return write_checkpoint(Checkpoint::recovery_point, *offsets);
}

void LogDirectory::lift_recovery_point(const TopicPartition& partition) {
    const std::lock_guard lock(points_mutex_);
    if (const auto found = ceilings_.find(partition); found != ceilings_.end()) {
        found->second.lifted = points_begun_ + 1;
    }
}

}  // namespace millrace::storage
