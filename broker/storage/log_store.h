// storage/log_store.h
//
// All log directories of one broker: opened, locked, verified to be ours, and what they hold
// listed. Loading a partition's log is a job of its own, so that the owner chooses the order and
// the threads (leaders with waiting clients first). open() and the jobs block: run them in the disk
// pool or before the loops start.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/result.h"
#include "storage/log_directory.h"
#include "storage/partition_log.h"

namespace millrace::storage {

/// Whose directories these are; written to meta.properties and verified ever after.
struct StoreIdentity {
    std::string cluster_id;
    BrokerId node;
};

struct StoreOptions {
    std::vector<std::string> paths;
    StoreIdentity identity;
    /// Directories of this cluster become ours: the owner knows that they hold nothing yet.
    std::string instead_of;
    /// Directories that are empty get our identity; without it an unformatted one is an error.
    bool format_if_empty = true;
    /// Logs that others open themselves, such as the quorum's.
    std::vector<TopicPartition> not_ours;
    std::size_t open_files_max = 4096;  ///< Descriptors that sealed segments may take, all in all.
};

/// A partition's directory, as found by name; nothing of it is open yet.
struct FoundLog {
    /// A copy that was on its way is abandoned where no directory has the log that it was made of:
    /// the only one, maybe, and whole where the metadata has the replica in its directory.
    enum class Kind { current, future, abandoned };
    std::shared_ptr<LogDirectory> directory;
    TopicPartition partition;
    /// Zero if the log has no partition.metadata, or a power cut came before its first sync: then
    /// its name is all that is known, and what it holds was never synced.
    Uuid topic_id;
    Kind kind = Kind::current;
    std::string name;  ///< Of the directory.
    /// Another directory has a current log of this partition too: a crash while it moved. The owner
    /// loads the one that the metadata assigns and sets the other aside.
    bool duplicate = false;
    std::optional<Error> unreadable;  ///< Its identity is damaged; it exists all the same.
    RecoveryInput recovery;           ///< What checkpoints and the clean-shutdown mark say.
    Offset high_watermark{0};         ///< From the checkpoint.
    Offset cleaned_end{0};            ///< From the cleaner's.
};

/// A directory that could not be used at start; the broker goes on with the others.
struct OfflineDirectory {
    std::string path;
    Error reason;
};

class LogStore {
public:
    /// claim() and take().
    static Result<std::unique_ptr<LogStore>> open(runtime::Disk& disk, StoreOptions options,
                                                  Random& random, Timestamp now, Logger log);
    /// Locks and verifies every directory that is there, and writes nothing. A directory with a
    /// disk error becomes offline; one that another process has locked, that belongs to another
    /// cluster or node, whose meta.properties is of no known kind, or twice the same id, is
    /// Code::invalid for all. A claim that is dropped leaves the directories as they were.
    static Result<std::unique_ptr<LogStore>> claim(runtime::Disk& disk, StoreOptions options,
                                                   Random& random, Logger log);
    /// Makes and formats what is new, and lists what is there; once, and before anything below.
    /// Fails if no directory is usable. Removes the clean-shutdown mark once read: a crash while
    /// loading counts as one.
    Result<void> take(Timestamp now);
    ~LogStore();

    const std::vector<std::shared_ptr<LogDirectory>>& directories() const { return directories_; }
    const std::vector<OfflineDirectory>& offline() const { return offline_; }
    std::shared_ptr<LogDirectory> directory(Uuid id) const;
    /// Every online directory was closed in order last time.
    bool clean_start() const { return clean_start_; }
    /// From the clean-shutdown marks: the broker epoch at that time.
    std::optional<BrokerEpoch> last_broker_epoch() const { return last_broker_epoch_; }

    /// What lies in the directories. Leftovers of deletions are listed by leftovers().
    const std::vector<FoundLog>& found() const { return found_; }
    /// The current ones of this name: of one topic in two directories, of a topic that had the name
    /// before.
    std::vector<const FoundLog*> named(const TopicPartition& name) const;
    /// Directories that a crash kept from being removed; remove_tree() them in the pool.
    const std::vector<std::string>& leftovers() const { return leftovers_; }

    /// A log without files yet, in the directory `in`, or in the one with the fewest logs.
    Result<std::unique_ptr<PartitionLog>> create(const TopicPartition& partition, Uuid topic_id,
                                                 const LogLimits& limits,
                                                 std::optional<Uuid> in = std::nullopt);

    /// Where a replica that is not here yet is wanted, if it comes (AlterReplicaLogDirs). Kept in
    /// memory, and of so many only: a wish that is lost costs a move.
    void wish(const TopicPartition& partition, const std::string& path);
    /// The directory that was wished for, once; null if none was, or if it takes no replica now.
    std::shared_ptr<LogDirectory> take_wish(const TopicPartition& partition);

    /// Opens one found log; one that was abandoned gets its log's name. Blocking; may be called
    /// from several threads at once.
    Result<std::unique_ptr<PartitionLog>> load(const FoundLog& found, const LogLimits& limits,
                                               RecoveryReport* report = nullptr) const;

    /// Renames a log's directory so that no start finds it again; remove_tree() what it returns, in
    /// the pool, after the delay. The log is unusable afterwards.
    Result<std::string> retire(PartitionLog& log);
    /// For a copy of a log that is on its way to another directory.
    std::string future_folder_name(const TopicPartition& partition);
    /// Sets aside a log that the metadata does not know; kept for a person to look at. Once:
    /// whoever comes second (the shard of another topic of that name) hears Code::not_found, and
    /// the log that has the name by then stays.
    Result<std::string> set_aside(const FoundLog& found);

    /// Marks every online directory as closed in order. The last thing before exit; every log has
    /// been close_cleanly()'d and the checkpoints are written.
    Result<void> mark_clean_shutdown(BrokerEpoch epoch);

private:
    struct Claim;

    LogStore(runtime::Disk& disk, StoreOptions options, Random& random, Logger log);
    Result<void> look(Claim& claim);
    Result<void> lock(Claim& claim);
    Result<void> make(Claim& claim);
    Result<Uuid> identify(Claim& claim);
    void leave_as_found();
    Result<void> take_clean_mark(const std::string& path, bool& clean);
    Result<void> list_logs(const std::shared_ptr<LogDirectory>& directory, bool clean,
                           Timestamp now);
    OffsetMap checkpoint_or_nothing(const LogDirectory& directory, Checkpoint which, bool& clean);
    Uuid unique();

    runtime::Disk& disk_;
    const StoreOptions options_;
    Random& random_;
    Logger log_;
    std::mutex mutex_;  // Of random_, placed_ and wishes_.
    std::mutex aside_mutex_;
    std::set<std::string> aside_;  // Of aside_mutex_: folders.
    std::map<TopicPartition, std::string> wishes_;
    std::map<Uuid, std::size_t> placed_;  // Logs per directory.
    std::vector<std::shared_ptr<LogDirectory>> directories_;
    std::vector<OfflineDirectory> offline_;
    std::vector<Claim> claims_;
    std::vector<std::string> made_;  ///< Files and directories, to be removed again if not taken.
    bool is_taken_ = false;
    std::vector<FoundLog> found_;
    std::multimap<TopicPartition, std::size_t> by_name_;  // Current ones.
    std::vector<std::string> leftovers_;
    bool clean_start_ = false;
    std::optional<BrokerEpoch> last_broker_epoch_;
};

}  // namespace millrace::storage
