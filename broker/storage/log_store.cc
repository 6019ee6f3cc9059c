#include "storage/log_store.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <set>

#include "storage/internal/log_names.h"
#include "storage/internal/text_files.h"
#include "storage/journal.h"

namespace millrace::storage {

namespace {

constexpr std::uint64_t small_file_max = std::uint64_t{1} << 20;

/// Errors that one disk causes; anything else is about how the broker is set up.
bool is_of_the_disk(const Error& error) {
    return error.code() == Code::io || error.code() == Code::no_space ||
           error.code() == Code::permission || error.code() == Code::not_found;
}

/// "/a/./b/" is "/a/b". What a link leads to shows when it is locked.
std::filesystem::path plainly(const std::string& path) {
    const auto plain = std::filesystem::path(path).lexically_normal();
    return plain.has_filename() ? plain : plain.parent_path();
}

Result<Uuid> topic_id_of(runtime::Disk& disk, const std::string& folder) {
    const std::string path = join_path(folder, partition_metadata_name);
    const auto text = disk.read_whole(path, small_file_max);
    if (!text) {
        return text.error().code() == Code::not_found ? Result<Uuid>(Uuid{})
                                                      : Result<Uuid>(text.error());
    }
    const auto id = parse_partition_metadata(*text);
    return id ? id : Result<Uuid>(id.error().with_context(path));
}

std::shared_ptr<const LogFacts> take_known(std::map<TopicPartition, LogFacts>& manifest,
                                           const FoundLog& found) {
    const auto known = manifest.find(found.partition);
    return known == manifest.end() || found.kind != FoundLog::Kind::current
               ? nullptr
               : std::make_shared<const LogFacts>(std::move(known->second));
}

Uuid known_topic_id(const FoundLog& found) {
    return found.recovery.known ? found.recovery.known->topic_id : Uuid{};
}

/// What there is above it is a directory.
Result<void> can_be_made(runtime::Disk& disk, std::string path) {
    for (std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0;
         slash = path.rfind('/')) {
        path.resize(slash);
        MR_TRY(const bool there, disk.exists(path));
        if (there) {
            MR_TRY_VOID(disk.list(path));
            return {};
        }
    }
    return {};
}

/// What stands in its meta.properties, if it is ours; nothing where it may become ours.
Result<std::optional<MetaProperties>> read_identity(runtime::Disk& disk, const std::string& path,
                                                    const StoreOptions& options) {
    MR_TRY(const bool there, disk.exists(path));
    if (!there && options.format_if_empty) {
        MR_TRY_VOID(can_be_made(disk, path));
        return std::optional<MetaProperties>{};
    }
    const std::string file = join_path(path, meta_properties_name);
    const auto text = disk.read_whole(file, small_file_max);
    if (!text && text.error().code() != Code::not_found) {
        return text.error();
    }
    if (!text) {
        if (!options.format_if_empty) {
            return Error::make(Code::invalid, "{} is not formatted: it has no meta.properties",
                               path);
        }
        MR_TRY(const auto entries, disk.list(path));
        const bool holds_logs =
            std::any_of(entries.begin(), entries.end(), [](const runtime::DirectoryEntry& entry) {
                return entry.is_directory && parse_log_folder_name(entry.name);
            });
        if (holds_logs) {
            return Error::make(Code::invalid,
                               "{} holds logs but has no meta.properties, so nobody can tell whose "
                               "they are; put that file back, or name an empty directory",
                               path);
        }
        return std::optional<MetaProperties>{};
    }
    auto stored = parse_meta_properties(*text);
    if (!stored) {
        return stored.error().with_context(file);
    }
    if (stored->cluster_id != options.identity.cluster_id &&
        stored->cluster_id != options.instead_of) {
        return Error::make(Code::invalid,
                           "{} belongs to cluster {}, this broker to {}: name a directory of its "
                           "own, or an empty one",
                           path, stored->cluster_id, options.identity.cluster_id);
    }
    if (stored->node != options.identity.node) {
        return Error::make(Code::invalid,
                           "{} belongs to node {}, this is node {}: set node.id={} to go on with "
                           "what it holds, or name a directory of this node, or an empty one",
                           path, stored->node, options.identity.node, stored->node);
    }
    return std::optional{*std::move(stored)};
}

/// The same for errors that a disk didn't cause: it is what we were started with that is wrong.
Error refusal(const Error& error) {
    return is_of_the_disk(error) ? error : Error(Code::invalid, error.message());
}

/// Itself and what is above it, as far as it isn't there; the uppermost first.
Result<std::vector<std::string>> missing(runtime::Disk& disk, std::string path) {
    std::vector<std::string> names;
    while (!path.empty() && path != ".") {
        MR_TRY(const bool there, disk.exists(path));
        if (there) {
            break;
        }
        names.insert(names.begin(), path);
        const std::size_t slash = path.rfind('/');
        path.resize(slash == std::string::npos ? 0 : slash);
    }
    return names;
}

}  // namespace

struct LogStore::Claim {
    std::string path;
    std::unique_ptr<runtime::DirectoryLock> lock;  ///< None as long as it isn't there.
    std::optional<MetaProperties> identity;
    std::optional<Error> trouble;  ///< Of its disk.
};

LogStore::LogStore(runtime::Disk& disk, StoreOptions options, Random& random, Logger log)
    : disk_(disk), options_(std::move(options)), random_(random), log_(std::move(log)) {}

LogStore::~LogStore() {
    if (!is_taken_) {
        leave_as_found();
    }
}

Result<std::unique_ptr<LogStore>> LogStore::open(runtime::Disk& disk, StoreOptions options,
                                                 Random& random, Timestamp now, Logger log) {
    MR_TRY(auto store, claim(disk, std::move(options), random, std::move(log)));
    MR_TRY_VOID(store->take(now));
    return store;
}

Result<std::unique_ptr<LogStore>> LogStore::claim(runtime::Disk& disk, StoreOptions options,
                                                  Random& random, Logger log) {
    if (options.paths.empty()) {
        return Error(Code::invalid, "no log directory is configured");
    }
    std::unique_ptr<LogStore> store(new LogStore(disk, std::move(options), random, std::move(log)));
    std::map<Uuid, std::string> seen;
    for (const std::string& path : store->options_.paths) {
        const auto same =
            std::find_if(store->claims_.begin(), store->claims_.end(),
                         [&](const Claim& other) { return plainly(other.path) == plainly(path); });
        if (same != store->claims_.end()) {
            return Error::make(Code::invalid, "{} and {} are one directory: name it once",
                               same->path, path);
        }
        Claim& claim = store->claims_.emplace_back();
        claim.path = path;
        if (const auto looked = store->look(claim); !looked) {
            if (!is_of_the_disk(looked.error())) {
                return refusal(looked.error());
            }
            claim.trouble = looked.error();
        }
        if (!claim.identity || claim.identity->directory_id.is_zero()) {
            continue;
        }
        const auto [other, is_new] = seen.emplace(claim.identity->directory_id, path);
        if (!is_new) {
            return Error::make(Code::invalid, "{} and {} have the same directory.id {}", path,
                               other->second, other->first);
        }
    }
    return store;
}

Result<void> LogStore::look(Claim& claim) {
    MR_TRY(claim.identity, read_identity(disk_, claim.path, options_));
    MR_TRY(const bool there, disk_.exists(claim.path));
    if (!there) {
        return {};
    }
    MR_TRY_VOID(lock(claim));
    // Until now its owner may have been about to write it.
    MR_TRY(claim.identity, read_identity(disk_, claim.path, options_));
    return {};
}

Result<void> LogStore::lock(Claim& claim) {
    const std::string name = join_path(claim.path, lock_name);
    MR_TRY(const bool there, disk_.exists(name));
    MR_TRY(claim.lock, disk_.lock(claim.path));
    if (!there) {
        made_.push_back(name);
    }
    return {};
}

Result<void> LogStore::make(Claim& claim) {
    MR_TRY(const auto names, missing(disk_, claim.path));
    made_.insert(made_.end(), names.begin(), names.end());
    MR_TRY_VOID(disk_.create_directories_durably(claim.path));
    return lock(claim);
}

void LogStore::leave_as_found() {
    directories_.clear();
    for (auto name = made_.rbegin(); name != made_.rend(); ++name) {
        if (const auto there = disk_.exists(*name); there && !*there) {
            continue;  // Making it failed.
        }
        const auto removed = disk_.remove(*name);
        if (!removed && removed.error().code() != Code::not_found) {
            MR_LOG(log_, warn, "storage.left_behind", field("path", *name),
                   field("reason", removed.error().message()));
        }
    }
}

Result<void> LogStore::take(Timestamp now) {
    for (Claim& claim : claims_) {
        if (claim.lock || claim.trouble) {
            continue;
        }
        if (const auto made = make(claim); !made) {
            if (!is_of_the_disk(made.error())) {
                return refusal(made.error());
            }
            claim.trouble = made.error();
        }
    }
    clean_start_ = true;
    for (Claim& claim : claims_) {
        const Result<Uuid> id =
            claim.trouble ? Result<Uuid>(*std::move(claim.trouble)) : identify(claim);
        if (!id) {
            offline_.push_back({claim.path, id.error()});
            continue;
        }
        const std::size_t open_files =
            std::max<std::size_t>(1, options_.open_files_max / options_.paths.size());
        directories_.push_back(
            std::make_shared<LogDirectory>(disk_, claim.path, *id, log_, open_files));
        placed_[*id] = 0;
        is_taken_ = true;
    }
    if (directories_.empty()) {
        const Error& first = offline_.front().reason;
        // One that nobody may make there is a wrong setting; a disk that fails may come back.
        const bool is_wrong = first.code() == Code::permission || first.code() == Code::not_found;
        return Error::make(is_wrong ? Code::invalid : Code::io,
                           "no log directory is usable; {}: {}", offline_.front().path,
                           first.message());
    }
    for (const OfflineDirectory& offline : offline_) {
        MR_LOG(log_, error, "storage.directory_offline", field("path", offline.path),
               field("reason", offline.reason.to_string()));
    }
    for (const auto& directory : directories_) {
        bool clean = false;
        Result<void> listed = take_clean_mark(directory->path(), clean);
        clean_start_ = clean_start_ && clean;
        if (listed && clean) {
            listed = directory->trust_page_cache();
        }
        if (listed && !clean) {
            listed = disk_.sync_directory(directory->path());  // folders that were new at a crash
        }
        if (listed) {
            listed = directory->journals().open(clean);
        }
        if (listed) {
            listed = list_logs(directory, clean, now);
        }
        if (!listed) {
            directory->fail(listed.error());
        }
    }
    for (std::size_t i = 0; i < found_.size(); ++i) {
        if (found_[i].kind != FoundLog::Kind::current) {
            continue;
        }
        if (const auto other = by_name_.find(found_[i].partition); other != by_name_.end()) {
            found_[other->second].duplicate = found_[i].duplicate = true;
        }
        by_name_.emplace(found_[i].partition, i);
    }
    for (FoundLog& found : found_) {
        const auto [from, to] = by_name_.equal_range(found.partition);
        if (found.kind == FoundLog::Kind::future && std::none_of(from, to, [&](const auto& other) {
                return found_[other.second].topic_id == found.topic_id;
            })) {
            found.kind = FoundLog::Kind::abandoned;
        }
    }
    return {};
}

Result<Uuid> LogStore::identify(Claim& claim) {
    const bool is_ours =
        claim.identity && claim.identity->cluster_id == options_.identity.cluster_id;
    if (is_ours && !claim.identity->directory_id.is_zero()) {
        return claim.identity->directory_id;
    }
    if (claim.identity && !is_ours) {
        MR_LOG(log_, warn, "storage.directory_moved", field("path", claim.path),
               field("from", claim.identity->cluster_id), field("to", options_.identity.cluster_id),
               field("what", "it held nothing of that cluster yet"));
        claim.identity->cluster_id = options_.identity.cluster_id;
    }
    if (claim.identity && claim.identity->directory_id.is_zero()) {
        MR_LOG(log_, warn, "storage.directory_without_id", field("path", claim.path),
               field("what", "meta.properties has no directory.id; it gets a new one"));
    }
    MetaProperties mine = claim.identity.value_or(
        MetaProperties{.cluster_id = options_.identity.cluster_id, .node = options_.identity.node});
    if (mine.directory_id.is_zero()) {
        mine.directory_id = unique();
    }
    MR_TRY_VOID(disk_.replace_whole(join_path(claim.path, meta_properties_name),
                                    print_meta_properties(mine)));
    return mine.directory_id;
}

Uuid LogStore::unique() {
    const std::lock_guard lock(mutex_);
    return Uuid::random(random_);
}

Result<void> LogStore::take_clean_mark(const std::string& path, bool& clean) {
    const std::string file = join_path(path, clean_shutdown_name);
    const auto text = disk_.read_whole(file, small_file_max);
    if (!text) {
        clean = false;
        return text.error().code() == Code::not_found ? Result<void>{} : Result<void>(text.error());
    }
    if (const auto epoch = parse_clean_shutdown(*text)) {
        last_broker_epoch_ = epoch;
    }
    clean = true;
    // Before anything is loaded: a crash from here on is one to recover from.
    MR_TRY_VOID(disk_.remove(file));
    return disk_.sync_directory(path);
}

OffsetMap LogStore::checkpoint_or_nothing(const LogDirectory& directory, Checkpoint which,
                                          bool& clean) {
    auto offsets = directory.read_checkpoint(which);
    if (offsets) {
        return *std::move(offsets);
    }
    // Nothing is lost without it: everything is scanned.
    MR_LOG(log_, warn, "storage.checkpoint_unreadable", field("path", directory.path()),
           field("reason", offsets.error().message()));
    clean = false;
    return {};
}

Result<void> LogStore::list_logs(const std::shared_ptr<LogDirectory>& directory, bool clean,
                                 Timestamp now) {
    const OffsetMap recovery_points =
        checkpoint_or_nothing(*directory, Checkpoint::recovery_point, clean);
    const OffsetMap starts = checkpoint_or_nothing(*directory, Checkpoint::log_start, clean);
    bool ignored = clean;  // The two below cost at most some work or a wait.
    const OffsetMap marks = checkpoint_or_nothing(*directory, Checkpoint::high_watermark, ignored);
    const OffsetMap cleaned = checkpoint_or_nothing(*directory, Checkpoint::cleaner, ignored);
    std::set<TopicPartition> gone;
    std::set<TopicPartition> journaled;  // Logs that a journal may have more of.
    for (const OffsetMap* offsets : {&recovery_points, &starts, &marks, &cleaned}) {
        for (const auto& [partition, offset] : *offsets) {
            gone.insert(partition);
        }
    }
    const auto offset_in = [](const OffsetMap& offsets, const TopicPartition& partition) {
        const auto found = offsets.find(partition);
        return found == offsets.end() ? Offset{0} : found->second;
    };
    MR_TRY(const auto entries, disk_.list(directory->path()));
    auto manifest = directory->read_manifest();
    // Asked only where it matters, for it reads the manifest once more.
    const bool by_kafka =
        !clean && manifest.empty() && !cleaned.empty() && !directory->has_own_points();
    for (const runtime::DirectoryEntry& entry : entries) {
        const auto name = parse_log_folder_name(entry.name);
        if (!entry.is_directory || !name || name->kind == LogFolderKind::stray ||
            std::count(options_.not_ours.begin(), options_.not_ours.end(), name->partition) > 0) {
            continue;
        }
        const std::string folder = join_path(directory->path(), entry.name);
        if (name->kind == LogFolderKind::deleted) {
            leftovers_.push_back(folder);
            continue;
        }
        FoundLog found{.directory = directory,
                       .partition = name->partition,
                       .kind = name->kind == LogFolderKind::future ? FoundLog::Kind::future
                                                                   : FoundLog::Kind::current,
                       .name = entry.name,
                       .recovery = {.recovery_point = offset_in(recovery_points, name->partition),
                                    .log_start = offset_in(starts, name->partition),
                                    .clean = clean,
                                    .now = now},
                       .high_watermark = offset_in(marks, name->partition),
                       .cleaned_end = offset_in(cleaned, name->partition)};
        if (by_kafka) {
            found.recovery.gaps_below = found.cleaned_end;
        }
        gone.erase(name->partition);
        if (found.kind == FoundLog::Kind::current) {
            found.recovery.journaled = directory->journals().left_of(name->partition);
        }
        found.recovery.known = take_known(manifest, found);
        const auto id = known_topic_id(found).is_zero() ? topic_id_of(disk_, folder)
                                                        : Result<Uuid>(known_topic_id(found));
        if (id) {
            found.topic_id = *id;
        } else if (id.error().code() == Code::corrupt) {
            found.unreadable = id.error();  // Never taken for a log that does not exist.
        } else {
            return id.error();
        }
        if (found.recovery.journaled && found.recovery.journaled->topic_id != found.topic_id &&
            !found.unreadable) {
            found.recovery.journaled.reset();  // of a topic that had the name before
        }
        if (found.recovery.journaled) {
            journaled.insert(name->partition);
        }
        ++placed_[directory->id()];
        found_.push_back(std::move(found));
    }
    for (const TopicPartition& partition : gone) {
        directory->note_gone(partition);
    }
    return directory->journals().settle_all_but(journaled);
}

std::vector<const FoundLog*> LogStore::named(const TopicPartition& name) const {
    std::vector<const FoundLog*> logs;
    const auto [from, to] = by_name_.equal_range(name);
    for (auto at = from; at != to; ++at) {
        logs.push_back(&found_[at->second]);
    }
    return logs;
}

std::shared_ptr<LogDirectory> LogStore::directory(Uuid id) const {
    const auto found = std::find_if(directories_.begin(), directories_.end(),
                                    [id](const auto& directory) { return directory->id() == id; });
    return found == directories_.end() ? nullptr : *found;
}

Result<std::unique_ptr<PartitionLog>> LogStore::create(const TopicPartition& partition,
                                                       Uuid topic_id, const LogLimits& limits,
                                                       std::optional<Uuid> in) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<LogDirectory> chosen;
    for (const auto& candidate : directories_) {
        if (candidate->failed() || (in && candidate->id() != *in)) {
            continue;
        }
        if (!chosen || placed_[candidate->id()] < placed_[chosen->id()]) {
            chosen = candidate;
        }
    }
    if (!chosen) {
        return Error::make(Code::io, "{}: {}", partition,
                           in ? "its directory is not online" : "no log directory is online");
    }
    ++placed_[chosen->id()];
    return PartitionLog::create(chosen, partition, topic_id, limits);
}

void LogStore::wish(const TopicPartition& partition, const std::string& path) {
    constexpr std::size_t most_wishes = 10'000;
    const std::lock_guard lock(mutex_);
    if (wishes_.size() < most_wishes || wishes_.contains(partition)) {
        wishes_.insert_or_assign(partition, path);
    }
}

std::shared_ptr<LogDirectory> LogStore::take_wish(const TopicPartition& partition) {
    const std::lock_guard lock(mutex_);
    const auto wish = wishes_.extract(partition);
    if (wish.empty()) {
        return nullptr;
    }
    for (const auto& directory : directories_) {
        if (directory->path() == wish.mapped() && !directory->failed() && !directory->cordoned()) {
            return directory;
        }
    }
    return nullptr;
}

Result<std::unique_ptr<PartitionLog>> LogStore::load(const FoundLog& found, const LogLimits& limits,
                                                     RecoveryReport* report) const {
    if (found.unreadable) {
        return *found.unreadable;
    }
    auto log = PartitionLog::recover_folder(found.directory, found.partition, found.name, limits,
                                            found.recovery, report);
    if (log && found.kind == FoundLog::Kind::abandoned) {
        MR_TRY_VOID((*log)->rename_folder(log_folder_name(found.partition)));
        MR_LOG(log_, warn, "storage.copy_taken_for_its_log", field("log", found.name),
               field("directory", found.directory->path()), field("end", (*log)->end()));
    }
    return log;
}

Result<std::string> LogStore::retire(PartitionLog& log) {
    const std::string name = log_folder_name(log.partition(), LogFolderKind::deleted, unique());
    MR_TRY(std::string path, log.retire_folder(name));
    log.directory()->note_gone(log.partition());
    const std::lock_guard lock(mutex_);
    if (std::size_t& count = placed_[log.directory()->id()]; count > 0) {
        --count;
    }
    return path;
}

std::string LogStore::future_folder_name(const TopicPartition& partition) {
    return log_folder_name(partition, LogFolderKind::future, unique());
}

Result<std::string> LogStore::set_aside(const FoundLog& found) {
    const std::lock_guard lock(aside_mutex_);
    const std::string from = join_path(found.directory->path(), found.name);
    if (aside_.contains(from)) {
        return Error::make(Code::not_found, "{} was set aside before", from);
    }
    std::string to = join_path(found.directory->path(),
                               log_folder_name(found.partition, LogFolderKind::stray, unique()));
    MR_TRY_VOID(disk_.rename(from, to));
    aside_.insert(from);
    if (found.kind == FoundLog::Kind::current) {
        found.directory->note_gone(found.partition);
    }
    MR_TRY_VOID(disk_.sync_directory(found.directory->path()));
    if (found.kind == FoundLog::Kind::current) {
        MR_TRY_VOID(found.directory->journals().settle(found.partition));
    }
    return to;
}

Result<void> LogStore::mark_clean_shutdown(BrokerEpoch epoch) {
    for (const auto& directory : directories_) {
        if (directory->failed()) {
            continue;
        }
        if (!directory->journals().is_settled()) {
            // A log that has never been loaded still needs what they say: the next start, too, is
            // to look.
            MR_LOG(log_, warn, "storage.journals_left", field("path", directory->path()));
            continue;
        }
        MR_TRY_VOID(directory->journals().remove());
        MR_TRY_VOID(disk_.replace_whole(join_path(directory->path(), clean_shutdown_name),
                                        print_clean_shutdown(epoch)));
    }
    return {};
}

}  // namespace millrace::storage
