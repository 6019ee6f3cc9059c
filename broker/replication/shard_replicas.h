// replication/shard_replicas.h
//
// The partitions of one shard: the door through which everything appends and reads. Every call is
// made on the shard's loop; completions run there.
//
// Appends of one turn of the loop are written together and synced together: a completion never
// runs before the write it answers for. Reads give file ranges, nothing is copied.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "replication/leader_core.h"
#include "replication/peers.h"
#include "replication/throttle.h"
#include "replication/types.h"
#include "runtime/node.h"
#include "storage/leader_epoch_cache.h"

namespace millrace::storage {
class LogStore;
class PartitionLog;
struct FoundLog;
struct CompactionBudget;
}  // namespace millrace::storage

namespace millrace::replication {

class Partition;
struct UpkeepTimes;
struct LogMark;
struct CompactionNeeds;
struct CopyUnderWay;
struct CompactionPace;
struct CompactionOutcome;
struct ShardCounts;

/// What leaders of this shard ask of the controller.
class IsrProposer {
public:
    struct Proposal {
        TopicIdPartition id;
        LeaderEpoch leader_epoch;
        PartitionEpoch partition_epoch;
        std::vector<BrokerId> isr;
        /// Of the lives that were seen to be in sync, where they said so (KIP-903).
        std::map<BrokerId, BrokerEpoch> epochs;
        /// A mirror's leader: the epoch shall be at least this; the ISR stays.
        std::optional<LeaderEpoch> raise_to;
    };
    virtual ~IsrProposer() = default;
    /// The answer comes as a new PartitionState, or `refused` runs on the shard: with what the
    /// controller said, or request_timed_out when nobody knows what came of it.
    virtual void propose(Proposal proposal, UniqueFunction<void(KafkaError)> refused) = 0;
};

/// Tells when data may have become readable. One-shot.
using WakeUp = UniqueFunction<void()>;
struct WatchId {
    std::uint64_t value = 0;
    explicit operator bool() const { return value != 0; }
};

class ShardReplicas {
public:
    struct Options {
        BrokerId self;
        Duration lag_max = 30s;
        FollowerFetch follower_fetch;
        Duration tick = 500ms;
        /// Logs on disk come through preload(); assign() does not load them itself.
        bool logs_come_preloaded = false;
        /// Of what the store found, the current logs of this shard's partitions.
        std::vector<const storage::FoundLog*> found;
        /// A replica has its place, or another one than the metadata says. On the shard's loop.
        std::function<void(const TopicIdPartition&, Uuid directory)> placed;
        JournalRules journal;
        /// Of all shards together.
        std::shared_ptr<Throttles> throttles = std::make_shared<Throttles>();
    };

    ShardReplicas(Options options, runtime::Shard shard, runtime::DiskPool& pool,
                  storage::LogStore& store, IsrProposer& proposer, const Peers& peers,
                  const Logger& log);
    ~ShardReplicas();
    ShardReplicas(const ShardReplicas&) = delete;
    ShardReplicas& operator=(const ShardReplicas&) = delete;

    // --- From the metadata, in order -------------------------------------------------------------

    /// A log for assign() to take; null: it met a shortage, and is loaded here once that is over.
    void preload(const storage::FoundLog& found, std::unique_ptr<storage::PartitionLog> log);
    /// Once the metadata is current: what was found and no partition of ours claims is renamed and
    /// kept for a person to look at.
    void set_aside_unclaimed();
    /// This broker has (or keeps) a replica. Creates, loads, leads or follows as `state` says.
    void assign(const PartitionState& state, const PartitionSettings& settings);
    void change_settings(const TopicIdPartition& id, const PartitionSettings& settings);
    /// This broker has no replica of it any more; its log is retired.
    void unassign(const TopicIdPartition& id);
    /// Copies the log to another directory, beside serving it, and goes on there. Where it lies
    /// already, a copy under way is given up. The answer says whether that began.
    KafkaError move_log(const TopicIdPartition& id, const std::string& directory_path);
    /// One of the store's directories has failed: what lies in it says so to who waits.
    void directory_failed();

    // --- Data -----------------------------------------------------------------------------------

    void append(Append request);

    /// What can be read now. `budget_bytes` over all; the first batch is given whole even if
    /// larger.
    std::vector<FetchResult> fetch(const std::vector<FetchPosition>& positions,
                                   const Reader& reader, std::size_t budget_bytes);
    /// Wakes once, when at least `min_bytes` in all have become readable past the given positions
    /// or one of the partitions changed its leader. Not at all if unwatch() comes first.
    WatchId watch(const std::vector<FetchPosition>& positions, const Reader& reader,
                  std::int64_t min_bytes, WakeUp wake);
    void unwatch(WatchId watch);

    enum class OffsetKind { earliest, latest, by_timestamp, max_timestamp, earliest_local };
    void find_offset(const TopicIdPartition& id, OffsetKind kind, Timestamp at,
                     LeaderEpoch current_epoch, ReadLevel level,
                     UniqueFunction<void(OffsetAnswer)> done);
    EpochEndAnswer epoch_end(const TopicIdPartition& id, LeaderEpoch current_epoch,
                             LeaderEpoch asked);
    /// `before` no_offset: up to the high watermark. Answered when all replicas that are up begin
    /// there, or after `timeout`; the answer is where they all begin.
    void delete_records(const TopicIdPartition& id, Offset before, Duration timeout,
                        std::function<bool(BrokerId)> is_up,
                        UniqueFunction<void(KafkaError, Offset low_watermark)> done);

    // --- Of a mirror (settings().mirrored), by the broker that leads it
    // ----------------------------

    /// Batches as the source gave them: offsets and epochs stay, what lies below the end is skipped
    /// (it was applied before), nothing is validated beyond what every log needs. Synchronous; they
    /// are committed like everything else.
    MirrorAppended append_mirrored(const TopicIdPartition& id, LeaderEpoch as_epoch,
                                   ByteView batches);
    /// The source's history went another way from here on.
    KafkaError truncate_mirrored(const TopicIdPartition& id, LeaderEpoch as_epoch, Offset end);
    /// Nothing that we have is in the source's log any more: go on there.
    KafkaError start_mirrored_at(const TopicIdPartition& id, LeaderEpoch as_epoch, Offset start);
    /// Batches from the one that holds `from` on, committed or not; empty at the end.
    Result<storage::ReadSlice> read_mirrored(const TopicIdPartition& id, LeaderEpoch as_epoch,
                                             Offset from, std::size_t max_bytes);
    /// Asks the controller for a leader epoch of at least this; it comes with the metadata, or it
    /// doesn't and one asks again.
    void raise_epoch(const TopicIdPartition& id, LeaderEpoch to);
    /// Of a partition that another cluster mirrors: once it is closed, its end is the last one.
    ClosingEnd closing_end(const TopicIdPartition& id, LeaderEpoch current_epoch);
    /// What a mirror decides by; null while the partition is not led here.
    const storage::PartitionLog* mirrored_log(const TopicIdPartition& id) const;

    // --- Looking in -----------------------------------------------------------------------------

    struct View {
        TopicIdPartition id;
        std::string topic;
        BrokerId leader;
        LeaderEpoch leader_epoch;
        bool is_leader = false;
        Offset start;
        Offset end;
        Offset synced_end;
        Offset high_watermark;
        Offset last_stable;
        LeaderEpoch last_epoch = no_leader_epoch;  ///< Of the last batch in the log.
        std::uint64_t size_bytes = 0;
        std::size_t isr = 0;
        std::size_t replicas = 0;
        Uuid directory;
        std::string directory_path;
        bool under_min_isr = false;
        std::optional<Error> failure;
        /// A copy that is on its way to another directory.
        struct Future {
            std::string directory_path;
            Offset end;
            std::uint64_t size_bytes = 0;
        };
        std::optional<Future> future;
    };
    std::optional<View> view(const TopicIdPartition& id) const;
    const ShardCounts& counts() const;
    /// Copies of reassignments that have an end here and aren't in sync yet.
    std::vector<CopyUnderWay> copies_under_way() const;
    /// Of those that leave, the ones that wait until others are done; all others go.
    void hold_copies(const std::set<TopicIdPartition>& held);
    std::vector<View> views() const;
    /// At which offset each leader epoch begins in our log; null without a log.
    const storage::LeaderEpochCache* epochs(const TopicIdPartition& id) const;
    /// When they fetched last, and what they have; null where it is not led here.
    const std::map<BrokerId, LeaderCore::Follower>* followers(const TopicIdPartition& id) const;
    /// For DescribeProducers, which may ask a follower; null without a log.
    const storage::ProducerState* producers(const TopicIdPartition& id) const;
    /// Every advance of a led partition's high watermark; one listener per partition.
    void watch_high_watermark(const TopicIdPartition& id, std::function<void(Offset)> listener);

    // --- Upkeep ---------------------------------------------------------------------------------

    /// Retention, rolling by age, expiry of producers: begins with the first call.
    void set_upkeep(const UpkeepTimes& times);
    /// Every log with files, for the checkpoints: also one that is not open yet.
    std::vector<LogMark> marks() const;
    /// The same with what the manifests have to know, each piece of news once.
    std::vector<LogMark> marks_with_facts();
    /// These recovery points have reached their checkpoint: compaction may go as far.
    void note_recorded(const std::vector<std::pair<TopicIdPartition, Offset>>& points);
    CompactionNeeds compaction_needs() const;
    /// One round. `done` runs on this loop, maybe inside the call.
    void compact(const TopicIdPartition& id, const storage::CompactionBudget& budget,
                 const CompactionPace& pace, UniqueFunction<void(CompactionOutcome)> done);

    /// Stops fetching and begins no further sync. Once none is under way, whose outcome a clean
    /// close must know, the logs are left as a clean start wants them, many at a time; then `done`
    /// runs.
    void quiesce(UniqueFunction<void()> done);
    /// Writes what a clean start needs for every log that quiesce() did not leave so; what is left
    /// to write is in the marks. Blocking: the loops have stopped.
    Result<std::vector<LogMark>> close_cleanly();

private:
    struct Inside;
    std::shared_ptr<Inside> inside_;
};

}  // namespace millrace::replication
