// storage/journal.h
//
// What many logs of a directory have to get onto the disk, written to one file in one go: a sync of
// that is a single write of the device, for the file's blocks were all written when it was made. A
// log's own file is synced later, in the background, before the journal needs the room again.
//
// A Journal belongs to one directory and one shard; one write at a time. Journals is what a
// directory knows of all of them, and of those that a crash has left. Both are thread-safe.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "model/ids.h"
#include "runtime/disk.h"
#include "storage/journal_replay.h"

namespace millrace::storage {

class Journals;
class LogDirectory;
class SyncJob;
struct JournalPart;
struct JournalCut;

/// Of one log, and one entry of a record.
inline constexpr std::uint64_t journal_entry_max = std::uint64_t{64} << 10;

class Journal {
public:
    /// `bytes`: of the whole file. Nothing is made yet.
    Journal(LogDirectory& directory, std::size_t shard, std::uint64_t bytes);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    /// Writes and syncs a part of the file: a device that is busy with it is soon free for others.
    /// Blocking; until it answers true, or an error, after which the file is gone.
    Result<bool> make_more();

    struct Written {
        std::vector<bool> taken;  ///< By job. The others are to be run on their own.
        std::uint64_t bytes = 0;
        std::size_t entries = 0;
    };
    /// Writes the jobs' parts and syncs. An error is that of a sync: final, for the jobs and the
    /// directory. In the disk pool, one call at a time.
    Result<Written> write(std::span<const SyncJob* const> jobs);
    /// What is more waits for the next write.
    std::uint64_t write_max() const;
    /// There is room now.
    bool takes(std::uint64_t bytes) const;

    // --- Room ---

    struct Log {
        TopicPartition partition;
        Uuid topic_id;
    };
    /// Logs that keep a file open until it is synced; who is in both halves counts twice.
    std::size_t unfiled() const;
    struct Full {
        std::vector<Log> unfiled;  ///< Logs whose files have to be synced before it is free.
        std::size_t left = 0;      ///< So many in all ...
        std::size_t logs = 0;      ///< ... of those that there were when it was full.
        double other_filled = 0;   ///< How much of the other half is in use.
    };
    /// The half that is full, if one is.
    std::optional<Full> full(std::size_t at_most) const;
    bool can_be_freed() const;
    /// Nothing in it is needed any more: makes it as good as empty. Blocking.
    Result<void> free_half();

private:
    friend class Journals;
    struct Named {
        Uuid topic_id;
        bool unfiled = false;
        std::uint64_t written_after = 0;  ///< A sequence: of the last write that named it.
    };
    struct Half {
        bool is_full = false;
        std::uint64_t used = 0;   ///< Bytes, its header included.
        std::uint64_t first = 0;  ///< Sequence: nothing older can be read from it.
        std::uint64_t life = 0;
        std::map<TopicPartition, Named> logs;  ///< That a crash may find in it.
        std::size_t unfiled = 0;
        std::size_t at_most = 0;  ///< Unfiled ones when it became full.
    };

    std::optional<std::size_t> half_for(std::uint64_t bytes) const;
    bool begin_write(std::span<const SyncJob* const> jobs, std::size_t& half,
                     std::vector<std::optional<Named>>& before);
    /// What was named for a job that was not taken after all.
    void unname(std::size_t half, const JournalPart& part, const std::optional<Named>& before);
    Result<void> write_half_header(std::size_t half);
    void note_filed(const TopicPartition& partition, std::uint64_t before);
    /// Whether a crash may find something of it; not before a write under way is over.
    bool names_after_write(const TopicPartition& partition);
    std::uint64_t oldest_sequence() const;

    LogDirectory& directory_;
    Journals& journals_;
    const std::string path_;
    const std::uint64_t half_bytes_;
    runtime::FilePtr file_;
    std::uint64_t made_ = 0;

    std::mutex write_mutex_;  // While a record or a header is written.
    mutable std::mutex mutex_;
    std::array<Half, 2> halves_;
    std::size_t active_ = 0;
    bool given_up_ = false;  // It found no room where it has its room: odd, but no harm.
};

class Journals {
public:
    Journals(runtime::Disk& disk, std::string folder, Uuid directory, const Logger& log);
    ~Journals();

    // --- What a crash has left ---

    /// Blocking, before any log is opened. `clean`: the directory was closed in order, and what is
    /// found is removed.
    Result<void> open(bool clean);
    /// Null if there is nothing of it.
    std::shared_ptr<const JournaledLog> left_of(const TopicPartition& partition) const;
    /// It is all in the log's files and synced there, or there is no such log. With the last one
    /// the old files go.
    Result<void> settle(const TopicPartition& partition);
    Result<void> settle_all_but(const std::set<TopicPartition>& logs);
    /// All is settled: new ones may be made.
    bool is_settled() const;

    // --- The running ones ---

    static constexpr auto all_sequences = std::numeric_limits<std::uint64_t>::max();

    void add(std::shared_ptr<Journal> journal);
    /// What writes that began before that sequence have brought of this log is in its files now,
    /// and synced, or not wanted any more.
    void note_filed(const TopicPartition& partition, std::uint64_t before = all_sequences);
    /// Before a log cuts what may be in a journal, or begins anew: durable when this returns, and
    /// costs nothing where no journal names the log. Blocking; a shortage can be tried again.
    Result<void> cut(JournalCut cut);
    Result<void> forget(const TopicPartition& partition);
    std::uint64_t next_sequence() { return last_sequence_.fetch_add(1) + 1; }
    std::uint64_t last_sequence() const { return last_sequence_.load(); }
    /// After a stop in order: every file is synced.
    Result<void> remove();

private:
    Result<void> remove_files(const std::vector<std::string>& files);

    runtime::Disk& disk_;
    const std::string folder_;
    const Uuid directory_;
    const Logger& log_;
    std::atomic<std::uint64_t> last_sequence_{0};
    mutable std::mutex mutex_;
    std::mutex cuts_mutex_;  // While the cuts are written.
    std::vector<std::shared_ptr<Journal>> journals_;
    std::optional<JournalReplay> replay_;  // While its files are there.
    std::set<TopicPartition> unsettled_;
    std::vector<JournalCut> cuts_;  // Guarded by cuts_mutex_.
};

}  // namespace millrace::storage
