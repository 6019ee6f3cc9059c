#include "storage/log_directory.h"

#include <algorithm>
#include <fmt/format.h>

#include "storage/internal/file_cache.h"
#include "storage/internal/log_names.h"
#include "storage/internal/manifest.h"
#include "storage/internal/text_files.h"
#include "storage/journal.h"

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

/// Never synced, as it only has to live as long as the page cache that it warns of.
constexpr std::string_view failure_mark_name = "millrace-directory-failed";

constexpr std::uint64_t checkpoint_max = std::uint64_t{256} << 20;

}  // namespace

LogDirectory::LogDirectory(runtime::Disk& disk, std::string path, Uuid id, Logger log,
                           std::size_t open_files_max)
    : disk_(disk),
      path_(std::move(path)),
      id_(id),
      log_(std::move(log)),
      failure_mark_(join_path(path_, failure_mark_name)),
      files_(std::make_unique<FileCache>(disk, open_files_max)),
      manifest_(std::make_unique<Manifest>(disk, path_)),
      journals_(std::make_unique<Journals>(disk, path_, id, log_)) {}

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
    if (const auto mark = disk_.open(failure_mark_, runtime::OpenMode::create); !mark) {
        MR_LOG(log_, warn, "storage.failure_not_marked", field("path", failure_mark_),
               field("reason", mark.error().to_string()));
    }
}

Result<bool> LogDirectory::page_cache_may_lie() const {
    return disk_.exists(failure_mark_);
}

Result<void> LogDirectory::trust_page_cache() {
    const auto removed = disk_.remove(failure_mark_);
    return removed || removed.error().code() == Code::not_found ? Result<void>{} : removed;
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

Result<void> LogDirectory::replace_checkpoint(Checkpoint which, const OffsetMap& offsets) {
    if (failed()) {
        return *failure();
    }
    const std::string text = print_offset_checkpoint(offsets);
    if (which == Checkpoint::recovery_point) {
        note_in_manifest(manifest_->note_points(text));
    }
    const auto written = disk_.replace_whole(join_path(path_, file_name(which)), text);
    return written ? written : Result<void>(note(written.error()));
}

void LogDirectory::note_in_manifest(const Result<void>& written) const {
    if (!written) {
        // Nothing depends on it: the next start has to look for itself.
        MR_LOG(log_, warn, "storage.manifest_not_written", field("path", path_),
               field("reason", written.error().message()));
    }
}

std::map<TopicPartition, LogFacts> LogDirectory::read_manifest() const {
    const auto checkpoint =
        disk_.read_whole(join_path(path_, file_name(Checkpoint::recovery_point)), checkpoint_max);
    const auto may_lie = page_cache_may_lie();
    if (!checkpoint || !may_lie || *may_lie) {
        return {};
    }
    auto manifest = manifest_->read();
    if (!manifest) {
        MR_LOG(log_, warn, "storage.manifest_unreadable", field("path", path_),
               field("reason", manifest.error().message()));
        return {};
    }
    return manifest->belongs_to(*checkpoint) ? std::move(manifest->logs)
                                             : std::map<TopicPartition, LogFacts>{};
}

bool LogDirectory::has_own_points() const {
    const auto checkpoint =
        disk_.read_whole(join_path(path_, file_name(Checkpoint::recovery_point)), checkpoint_max);
    const auto manifest = manifest_->read();
    return checkpoint && manifest && manifest->belongs_to(*checkpoint);
}

Result<void> LogDirectory::write_manifest(std::uint64_t begun, std::vector<LogFacts> logs) {
    const std::lock_guard lock(points_mutex_);
    if (failed()) {
        return *failure();
    }
    constexpr auto points = static_cast<std::size_t>(Checkpoint::recovery_point);
    std::erase_if(logs, [&](const LogFacts& log) {
        const auto gone = gone_.find(log.partition);
        return gone != gone_.end() && gone->second.since[points] > begun;
    });
    return manifest_->note(logs);
}

/// Before the last trace of them goes here: another log may take the name from then on.
void LogDirectory::forget_all_gone() {
    std::vector<TopicPartition> names;
    for (const auto& [partition, gone] : gone_) {
        if (gone.in_files) {
            names.push_back(partition);
        }
    }
    note_in_manifest(manifest_->forget(names));
}

std::uint64_t LogDirectory::begin_checkpoint() {
    const std::lock_guard lock(points_mutex_);
    return ++points_begun_;
}

Result<void> LogDirectory::write_checkpoint(Checkpoint which, std::uint64_t begun,
                                            OffsetMap offsets) {
    const std::lock_guard lock(points_mutex_);
    if (which == Checkpoint::recovery_point) {
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
    }
    if (which == Checkpoint::recovery_point) {
        forget_all_gone();
    }
    const auto file = static_cast<std::size_t>(which);
    for (const auto& [partition, gone] : gone_) {
        if (gone.since[file] > begun) {
            offsets.erase(partition);  // It may have been gathered before it went.
        }
    }
    MR_TRY_VOID(replace_checkpoint(which, offsets));
    // One writer at a time: no older answer is on its way any more.
    for (auto at = gone_.begin(); at != gone_.end();) {
        auto& since = at->second.since;
        since[file] = 0;
        const bool over = std::all_of(since.begin(), since.end(), [](auto at) { return at == 0; });
        at = over ? gone_.erase(at) : std::next(at);
    }
    return {};
}

Result<runtime::DiskUsage> LogDirectory::check_space(std::uint64_t reserve) {
    auto usage = disk_.usage(path_);
    if (!usage) {
        return note(usage.error());
    }
    free_bytes_.store(usage->free_bytes, std::memory_order_relaxed);
    // A little more has to be free again than was missing, or appends would go on and off.
    const std::uint64_t enough = is_short_of_space() ? reserve + reserve / 8 : reserve;
    const bool too_little = usage->free_bytes < enough;
    if (too_little != short_of_space_.exchange(too_little, std::memory_order_acq_rel)) {
        MR_LOG(log_, warn, too_little ? "storage.space_short" : "storage.space_back",
               field("path", path_), field("free", usage->free_bytes), field("reserve", reserve));
    }
    return usage;
}

void LogDirectory::note_gone(const TopicPartition& partition) {
    journals_->note_filed(partition);
    const std::lock_guard lock(points_mutex_);
    Gone& gone = gone_[partition];
    gone.since.fill(points_begun_ + 1);
    gone.in_files = true;
}

Result<void> LogDirectory::drop_line(Checkpoint which, const TopicPartition& partition) {
    auto offsets = read_checkpoint(which);
    if (!offsets) {
        // One that can't be read says nothing about any log.
        return offsets.error().code() == Code::corrupt ? Result<void>{}
                                                       : Result<void>(note(offsets.error()));
    }
    return offsets->erase(partition) > 0 ? replace_checkpoint(which, *offsets) : Result<void>{};
}

Result<void> LogDirectory::forget_gone(const TopicPartition& partition) {
    const std::lock_guard lock(points_mutex_);
    const auto found = gone_.find(partition);
    if (found == gone_.end() || !found->second.in_files) {
        return {};
    }
    for (const Checkpoint which : {Checkpoint::recovery_point, Checkpoint::high_watermark,
                                   Checkpoint::log_start, Checkpoint::cleaner}) {
        MR_TRY_VOID(drop_line(which, partition));
    }
    note_in_manifest(manifest_->forget({&partition, 1}));
    found->second.in_files = false;
    ceilings_.erase(partition);
    return {};
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
    return replace_checkpoint(Checkpoint::recovery_point, *offsets);
}

void LogDirectory::lift_recovery_point(const TopicPartition& partition) {
    const std::lock_guard lock(points_mutex_);
    if (const auto found = ceilings_.find(partition); found != ceilings_.end()) {
        found->second.lifted = points_begun_ + 1;
    }
}

}  // namespace millrace::storage
