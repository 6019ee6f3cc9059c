// replication/internal/sync_group.h
//
// The syncs of one shard's logs in one directory. Small ones go into the directory's journal
// together, one write for all that have come while the last was under way; the rest is synced side
// by side, file by file. Makes the journal once many logs are dirty at a time, and has logs synced
// in their files, a few at a time, so that the journal gets its room back.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/log.h"
#include "model/ids.h"
#include "replication/housekeeping.h"
#include "replication/types.h"
#include "runtime/disk.h"
#include "runtime/executor.h"
#include "storage/journal.h"
#include "storage/log_directory.h"
#include "storage/partition_log.h"

namespace millrace::replication {

class SyncGroup : public std::enable_shared_from_this<SyncGroup> {
public:
    using SyncedIn = storage::PartitionLog::SyncedIn;
    using Done = UniqueFunction<void(const storage::SyncJob&, const Result<void>&, SyncedIn)>;
    struct Doors {
        runtime::Executor* loop = nullptr;
        runtime::DiskPool* pool = nullptr;
        ShardCounts* counts = nullptr;
        const Logger* log = nullptr;
        /// Has the partition's log synced in its files; false if there is none any more.
        std::function<bool(const TopicIdPartition&)> file;
    };

    SyncGroup(Doors doors, JournalRules rules, std::shared_ptr<storage::LogDirectory> directory);

    /// `done` runs on the loop.
    void sync(storage::SyncJob job, const TopicIdPartition& id, Done done);
    /// The same for a job of begin_filing(): in files, beside what goes to the journal.
    void file(storage::SyncJob job, const TopicIdPartition& id, Done done);
    /// Has this log synced in its files some time soon.
    void file_soon(const TopicIdPartition& id);

private:
    struct Item {
        storage::SyncJob job;
        TopicIdPartition id;
        Done done;
    };
    struct Write;

    bool may_be_journaled(const storage::SyncJob& job) const;
    /// In its files. Never two of one log at a time: who comes second waits.
    void run_alone(Item item);
    void write_soon();
    void write();
    void on_written(Write& write);
    void note_overlap();
    void make(const std::shared_ptr<storage::Journal>& journal);
    void on_filed(const TopicIdPartition& id, const Result<void>& outcome);
    /// Goes on with what the journal's full half waits for.
    void file_some();
    void look_again_soon();

    const Doors doors_;
    const JournalRules rules_;
    const std::shared_ptr<storage::LogDirectory> directory_;
    std::shared_ptr<storage::Journal> journal_;  // Once it is made.
    std::vector<Item> waiting_;
    bool writing_ = false;
    bool write_posted_ = false;
    std::map<TopicIdPartition, std::vector<Item>> alone_;  // Under way, and who waits for it.
    unsigned overlaps_ = 0;
    Instant overlaps_since_{};
    bool making_ = false;
    Instant make_again_{};
    std::set<TopicIdPartition> to_file_;  // Quiet ones.
    std::set<TopicIdPartition> filing_;
    bool freeing_ = false;
    bool looking_again_ = false;
    Instant rests_until_{};  ///< The disk is full, or files are: filing waits for room.
};

}  // namespace millrace::replication
