#include "storage/journal.h"

#include <algorithm>
#include <fmt/format.h>
#include <utility>

#include "base/mutants.h"
#include "runtime/shortage.h"
#include "storage/internal/journal_format.h"
#include "storage/internal/log_names.h"
#include "storage/log_directory.h"
#include "storage/partition_log.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t make_piece = std::uint64_t{1} << 20;

std::uint64_t half_of(std::uint64_t bytes) {
    // A half takes one record at least.
    return std::max<std::uint64_t>(bytes / 2 / journal_block, 4) * journal_block;
}

bool add_to(JournalRecord& record, const JournalPart& part) {
    const JournalEntry entry{.partition = part.partition,
                             .topic_id = part.topic_id,
                             .base = part.base,
                             .position = part.position,
                             .length = static_cast<std::uint32_t>(part.length)};
    return record.add(entry, [&part](MutableBytes into) {
        const auto got = part.file->read_at(part.position, into);
        return got && *got == into.size();
    });
}

/// The cuts last.
Result<std::vector<std::string>> journal_files(runtime::Disk& disk, const std::string& folder) {
    MR_TRY(const auto entries, disk.list(folder));
    std::vector<std::string> files;
    for (const runtime::DirectoryEntry& entry : entries) {
        if (!entry.is_directory && entry.name.starts_with(journal_prefix)) {
            files.push_back(join_path(folder, entry.name));
        }
    }
    std::sort(files.begin(), files.end(), [](const std::string& a, const std::string& b) {
        return std::pair(a.ends_with(journal_cuts_name), a) <
               std::pair(b.ends_with(journal_cuts_name), b);
    });
    return files;
}

}  // namespace

Journal::Journal(LogDirectory& directory, std::size_t shard, std::uint64_t bytes)
    : directory_(directory),
      journals_(directory.journals()),
      path_(join_path(directory.path(), fmt::format("{}{}", journal_prefix, shard))),
      half_bytes_(half_of(bytes)) {}

Journal::~Journal() = default;

Result<bool> Journal::make_more() {
    runtime::Disk& disk = directory_.disk();
    const auto made = [&]() -> Result<bool> {
        const std::uint64_t size = 2 * half_bytes_;
        if (!file_) {
            MR_TRY(const auto usage, disk.usage(directory_.path()));
            if (directory_.is_short_of_space() || usage.free_bytes / 8 < size) {
                return Error::make(Code::no_space, "{} has no room for a journal",
                                   directory_.path());
            }
            MR_TRY(file_, disk.open(path_, runtime::OpenMode::create_empty));
        }
        if (made_ < size) {
            // Zeros once, so that no later write changes more than the blocks it writes.
            const Buffer zeros(static_cast<std::size_t>(std::min(make_piece, size - made_)));
            MR_TRY_VOID(file_->write_at(made_, ByteView(zeros)));
            MR_TRY_VOID(file_->sync());
            made_ += zeros.size();
            return false;
        }
        for (std::size_t half = 0; half < halves_.size(); ++half) {
            MR_TRY_VOID(write_half_header(half));
        }
        MR_TRY_VOID(disk.sync_directory(directory_.path()));
        return true;
    }();
    if (!made) {
        file_.reset();
        made_ = 0;
        (void)disk.remove(path_).has_value();  // What is left is no journal, and is written over.
    }
    return made;
}

Result<void> Journal::write_half_header(std::size_t half) {
    const std::uint64_t life = journals_.next_sequence();
    const Buffer block = print_journal_half({.life = life, .directory = directory_.id()});
    MR_TRY_VOID(file_->write_at(half * half_bytes_, ByteView(block)));
    MR_TRY_VOID(file_->sync());
    const std::lock_guard lock(mutex_);
    halves_[half] = Half{.used = journal_block, .first = life, .life = life};
    return {};
}

std::optional<std::size_t> Journal::half_for(std::uint64_t bytes) const {
    for (const std::size_t half : {active_, 1 - active_}) {
        if (!halves_[half].is_full && halves_[half].used + bytes <= half_bytes_) {
            return half;
        }
    }
    return std::nullopt;
}

std::uint64_t Journal::write_max() const {
    return std::min(std::uint64_t{1} << 20, half_bytes_ / 4);
}

bool Journal::takes(std::uint64_t bytes) const {
    const std::lock_guard lock(mutex_);
    return !given_up_ && half_for(bytes + journal_block).has_value();
}

/// Names the jobs' logs before anyone looks whether a job still holds: a cut that comes from now on
/// waits for the write.
bool Journal::begin_write(std::span<const SyncJob* const> jobs, std::size_t& half,
                          std::vector<std::optional<Named>>& before) {
    std::uint64_t size = journal_block;
    for (const SyncJob* job : jobs) {
        size += job->journal_part()->size_in_journal();
    }
    const std::lock_guard lock(mutex_);
    const auto found = given_up_ ? std::nullopt : half_for(size);
    if (!found) {
        return false;
    }
    half = *found;
    if (half != active_) {
        halves_[active_].is_full = true;
        halves_[active_].at_most = halves_[active_].unfiled;
        active_ = half;
    }
    for (const SyncJob* job : jobs) {
        const JournalPart& part = *job->journal_part();
        Half& in = halves_[half];
        const auto known = in.logs.find(part.partition);
        before.push_back(known == in.logs.end() ? std::nullopt : std::optional(known->second));
        in.unfiled += before.back() && before.back()->unfiled ? 0U : 1U;
        in.logs.insert_or_assign(part.partition,
                                 Named{part.topic_id, true, journals_.last_sequence()});
    }
    return true;
}

void Journal::unname(std::size_t half, const JournalPart& part,
                     const std::optional<Named>& before) {
    const std::lock_guard lock(mutex_);
    Half& in = halves_[half];
    const auto named = in.logs.find(part.partition);
    in.unfiled -= named->second.unfiled ? 1U : 0U;
    if (!before) {
        in.logs.erase(named);
        return;
    }
    // It may have been filed, or have gone, meanwhile.
    named->second = {before->topic_id, before->unfiled && named->second.unfiled,
                     before->written_after};
    in.unfiled += named->second.unfiled ? 1U : 0U;
}

Result<Journal::Written> Journal::write(std::span<const SyncJob* const> jobs) {
    Written written;
    written.taken.resize(jobs.size());
    const std::lock_guard writing(write_mutex_);
    if (const auto failure = directory_.failure()) {
        return *failure;  // Nothing of it is ever acknowledged again.
    }
    std::size_t half = 0;
    std::vector<std::optional<Named>> before;
    if (!begin_write(jobs, half, before)) {
        return written;
    }
    JournalRecord record;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        const JournalPart& part = *jobs[i]->journal_part();
        if (!part.is_void->load()) {
            // Epochs alone need no entry: a recovery has them from the records.
            written.taken[i] = part.length == 0 || add_to(record, part);
        }
        if (!written.taken[i]) {
            unname(half, part, before[i]);
        }
    }
    written.entries = record.entries();
    if (written.entries == 0) {
        return written;
    }
    const std::uint64_t at = halves_[half].used;
    const ByteView bytes = record.finish(halves_[half].life, journals_.next_sequence());
    written.bytes = bytes.size();
    const auto stored = file_->write_at(at + half * half_bytes_, bytes);
    if (!stored && runtime::is_shortage(stored.error())) {
        // A file system that gives every write new room. Nothing was synced and nothing counts; the
        // logs stay named, for who knows what of it is there.
        const std::lock_guard lock(mutex_);
        given_up_ = true;
        return Written{.taken = std::vector<bool>(jobs.size())};
    }
    const auto synced = stored && !MR_PLANTED(journal_not_synced) ? file_->sync() : stored;
    if (!synced) {
        return directory_.note(Error(Code::io, synced.error().message()).with_context(path_));
    }
    const std::lock_guard lock(mutex_);
    halves_[half].used = at + bytes.size();
    return written;
}

std::size_t Journal::unfiled() const {
    const std::lock_guard lock(mutex_);
    return halves_[0].unfiled + halves_[1].unfiled;
}

std::optional<Journal::Full> Journal::full(std::size_t at_most) const {
    const std::lock_guard lock(mutex_);
    const Half& half = halves_[1 - active_];
    if (!half.is_full) {
        return std::nullopt;
    }
    Full full;
    full.logs = half.at_most;
    full.left = half.unfiled;
    full.other_filled =
        static_cast<double>(halves_[active_].used) / static_cast<double>(half_bytes_);
    for (auto log = half.logs.begin(); log != half.logs.end() && full.unfiled.size() < at_most;
         ++log) {
        if (log->second.unfiled) {
            full.unfiled.push_back({log->first, log->second.topic_id});
        }
    }
    return full;
}

bool Journal::can_be_freed() const {
    const std::lock_guard lock(mutex_);
    const Half& half = halves_[1 - active_];
    return half.is_full && (half.unfiled == 0 || MR_PLANTED(journal_reused_before_its_logs));
}

Result<void> Journal::free_half() {
    const std::lock_guard writing(write_mutex_);
    if (!can_be_freed()) {
        return {};
    }
    // Of no use any more, so a header that is torn costs nothing; what it named can be forgotten
    // once the new one is on the disk.
    const auto freed = write_half_header(1 - active_);
    if (!freed && !runtime::is_shortage(freed.error())) {
        return directory_.note(freed.error().with_context(path_));
    }
    return freed;
}

void Journal::note_filed(const TopicPartition& partition, std::uint64_t before) {
    const std::lock_guard lock(mutex_);
    for (Half& half : halves_) {
        const auto found = half.logs.find(partition);
        if (found != half.logs.end() && found->second.written_after < before &&
            std::exchange(found->second.unfiled, false)) {
            --half.unfiled;
        }
    }
}

bool Journal::names_after_write(const TopicPartition& partition) {
    const auto names = [&] {
        const std::lock_guard lock(mutex_);
        return std::any_of(halves_.begin(), halves_.end(),
                           [&](const Half& half) { return half.logs.contains(partition); });
    };
    if (!names()) {
        return false;
    }
    const std::lock_guard writing(write_mutex_);
    return names();
}

std::uint64_t Journal::oldest_sequence() const {
    const std::lock_guard lock(mutex_);
    return std::min(halves_[0].first, halves_[1].first);
}

// --- Of a directory ------------------------------------------------------------------------------

Journals::Journals(runtime::Disk& disk, std::string folder, Uuid directory, const Logger& log)
    : disk_(disk), folder_(std::move(folder)), directory_(directory), log_(log) {}

Journals::~Journals() = default;

Result<void> Journals::open(bool clean) {
    MR_TRY(const auto files, journal_files(disk_, folder_));
    if (files.empty()) {
        return {};
    }
    if (clean) {
        return remove_files(files);
    }
    MR_TRY(auto replay, JournalReplay::read(disk_, folder_, directory_));
    last_sequence_ = replay.last_sequence();
    if (replay.logs().empty()) {
        return remove_files(files);
    }
    const std::lock_guard lock(mutex_);
    for (const auto& [partition, log] : replay.logs()) {
        unsettled_.insert(partition);
    }
    {
        const std::lock_guard cuts_lock(cuts_mutex_);
        cuts_ = replay.cuts();
    }
    replay_ = std::move(replay);
    return {};
}

std::shared_ptr<const JournaledLog> Journals::left_of(const TopicPartition& partition) const {
    const std::lock_guard lock(mutex_);
    return replay_ ? replay_->log(partition) : nullptr;
}

bool Journals::is_settled() const {
    const std::lock_guard lock(mutex_);
    return !replay_;
}

Result<void> Journals::settle(const TopicPartition& partition) {
    {
        const std::lock_guard lock(mutex_);
        unsettled_.erase(partition);
        if (!replay_ || !unsettled_.empty()) {
            return {};
        }
    }
    MR_TRY(const auto files, journal_files(disk_, folder_));
    MR_TRY_VOID(remove_files(files));
    const std::lock_guard lock(mutex_);
    replay_.reset();
    return {};
}

Result<void> Journals::settle_all_but(const std::set<TopicPartition>& logs) {
    std::vector<TopicPartition> others;
    {
        const std::lock_guard lock(mutex_);
        std::set_difference(unsettled_.begin(), unsettled_.end(), logs.begin(), logs.end(),
                            std::back_inserter(others));
    }
    for (const TopicPartition& other : others) {
        MR_TRY_VOID(settle(other));
    }
    return {};
}

/// The cuts, which are the last of them, go once the rest can't come back.
Result<void> Journals::remove_files(const std::vector<std::string>& files) {
    bool synced = true;
    for (const std::string& file : files) {
        if (file.ends_with(journal_cuts_name) && !synced) {
            MR_TRY_VOID(disk_.sync_directory(folder_));
        }
        const auto removed = disk_.remove(file);
        if (!removed && removed.error().code() != Code::not_found) {
            return removed;
        }
        synced = false;
    }
    return synced ? Result<void>{} : disk_.sync_directory(folder_);
}

void Journals::add(std::shared_ptr<Journal> journal) {
    const std::lock_guard lock(mutex_);
    journals_.push_back(std::move(journal));
}

void Journals::note_filed(const TopicPartition& partition, std::uint64_t before) {
    const std::lock_guard lock(mutex_);
    for (const auto& journal : journals_) {
        journal->note_filed(partition, before);
    }
}

Result<void> Journals::forget(const TopicPartition& partition) {
    return cut({.partition = partition, .everything = true});
}

Result<void> Journals::cut(JournalCut cut) {
    std::vector<std::shared_ptr<Journal>> journals;
    bool is_named = false;
    std::uint64_t oldest = UINT64_MAX;
    {
        const std::lock_guard lock(mutex_);
        journals = journals_;
        if (replay_) {
            is_named = replay_->log(cut.partition) != nullptr;
            oldest = 0;
        }
    }
    for (const auto& journal : journals) {
        is_named = journal->names_after_write(cut.partition) || is_named;
        oldest = std::min(oldest, journal->oldest_sequence());
    }
    if (!is_named || MR_PLANTED(journal_cuts_not_noted)) {
        return {};
    }
    const std::lock_guard lock(cuts_mutex_);
    cut.sequence = next_sequence();
    std::erase_if(cuts_, [oldest](const JournalCut& one) { return one.sequence < oldest; });
    cuts_.push_back(std::move(cut));
    const Buffer bytes = print_journal_cuts(cuts_);
    const std::string path = join_path(folder_, journal_cuts_name);
    const auto written = disk_.replace_whole(path, as_text(bytes));
    if (written) {
        return {};
    }
    cuts_.pop_back();
    // It must not be there without having an effect: a shortage may come after the renaming.
    const auto there = disk_.read_whole(path, std::uint64_t{64} << 20);
    const bool is_old = there ? as_text(bytes) != *there : there.error().code() == Code::not_found;
    return is_old ? written : Error(Code::io, written.error().message());
}

Result<void> Journals::remove() {
    {
        const std::lock_guard lock(mutex_);
        MR_ASSERT(!replay_);
        journals_.clear();
    }
    MR_TRY(const auto files, journal_files(disk_, folder_));
    return remove_files(files);
}

}  // namespace millrace::storage
