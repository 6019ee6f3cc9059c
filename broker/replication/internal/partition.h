// replication/internal/partition.h
//
// One partition on its shard: its log, its role, who waits for it. The shell around LeaderCore.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "replication/follower_core.h"
#include "replication/housekeeping.h"
#include "replication/internal/sync_group.h"
#include "replication/leader_core.h"
#include "replication/newcomers.h"
#include "replication/shard_replicas.h"
#include "replication/types.h"
#include "storage/log_store.h"

namespace millrace::replication {

class Partition {
public:
    struct Shell {
        BrokerId self;
        Duration lag_max;
        runtime::Executor* loop = nullptr;
        runtime::DiskPool* pool = nullptr;
        IsrProposer* proposer = nullptr;
        const Peers* peers = nullptr;
        const Logger* log = nullptr;
        bool closing = false;  ///< No further syncs: the last one is close_cleanly()'s.
        /// A sync of its log, alone or with those of others.
        std::function<void(Partition&, storage::SyncJob, SyncGroup::Done)> sync;
        /// The same for a job of begin_filing().
        std::function<void(Partition&, storage::SyncJob, SyncGroup::Done)> file;
        std::function<void(Partition&)> file_soon;   ///< Call file_log() in a while.
        std::function<void(Partition&)> flush_soon;  ///< Call flush() at the end of this turn.
        std::function<void(Partition&)> readable;    ///< Data or leadership changed: wake readers.
        std::function<std::shared_ptr<Partition>(const TopicIdPartition&)> find;
        ShardCounts* counts = nullptr;
        /// Takes a log's folder out of sight; its files go after the delay.
        std::function<void(storage::PartitionLog&, Duration delay)> retire;
        /// It keeps up now, or no longer does.
        std::function<void(Partition&)> changes_lane;
        /// Its log lies somewhere else than the metadata says.
        std::function<void(Partition&)> placed;
        Throttles* throttles = nullptr;
    };

    Partition(Shell& shell, PartitionState state, PartitionSettings settings);

    const PartitionState& state() const { return state_; }
    const PartitionSettings& settings() const { return settings_; }
    bool has_log() const { return log_ != nullptr; }
    bool leads() const { return leader_.has_value(); }
    const std::map<BrokerId, LeaderCore::Follower>* followers() const {
        return leader_ ? &leader_->followers() : nullptr;
    }
    bool is_under_min_isr() const { return leader_ && leader_->under_min_isr(); }
    storage::PartitionLog& log() { return *log_; }
    const storage::PartitionLog& log() const { return *log_; }

    void give_log(std::unique_ptr<storage::PartitionLog> log, const LogHistory& history = {});
    std::unique_ptr<storage::PartitionLog> take_log();
    void change_state(PartitionState state);
    void change_settings(const PartitionSettings& settings);

    // --- As a follower (partition_following.cc) ---
    bool is_in_sync() const;
    /// In sync, or about to be: acknowledgements will wait for it as soon as the leader knows.
    bool keeps_up() const { return is_near_ || is_in_sync(); }
    bool follows() const { return follower_.has_value() && log_ != nullptr && !log_->failure(); }
    FetchPosition follower_position() const;
    /// What slows its fetching down: nothing while it keeps up.
    ThrottleGate gate_here() const;
    void note_received(std::size_t bytes);
    enum class Taken { nothing, changed, back_off };
    Taken take_fetched(const Fetched& fetched, ByteView bytes);
    /// Some of what is here will be synced, and then be counted by the leader.
    bool sync_to_come() const;
    /// There is one: runs once everything appended so far is synced, or won't be now.
    void when_synced(UniqueFunction<void()> then);

    // --- As a leader (partition_appending.cc, partition_reading.cc) ---
    void append(Append request);
    void flush();
    /// Leaves the log as a clean start wants it; `done` runs once it is on the disk, or never will
    /// be.
    void close_log(UniqueFunction<void()> done);

    // --- As a mirror's leader (mirrored.cc) ---
    MirrorAppended append_mirrored(LeaderEpoch as_epoch, ByteView batches);
    KafkaError truncate_mirrored(LeaderEpoch as_epoch, Offset end);
    KafkaError start_mirrored_at(LeaderEpoch as_epoch, Offset start);
    Result<storage::ReadSlice> read_mirrored(LeaderEpoch as_epoch, Offset from,
                                             std::size_t max_bytes);
    void raise_epoch(LeaderEpoch to);
    // --- As the source of one ---
    ClosingEnd closing_end(LeaderEpoch current_epoch);

    FetchResult read(const FetchPosition& position, const Reader& reader, std::size_t max_bytes,
                     bool min_one_batch);
    /// Bytes a reader at `from` could get now, roughly: for the threshold of a parked fetch.
    std::int64_t readable_bytes(const FetchPosition& position, const Reader& reader);
    void follower_fetched(const FetchPosition& position, const Reader& reader);
    /// Whether the controller would take it into the ISR, if it isn't there.
    bool may_join(BrokerId replica, BrokerEpoch epoch) const;
    std::set<BrokerId> ineligible() const;
    /// What slows down the copy to a replica elsewhere: nothing once acknowledgements wait for it.
    ThrottleGate gate_towards(BrokerId replica) const;
    void note_sent(BrokerId replica, std::size_t bytes);
    /// Of a reassignment, if one end of it is here.
    std::optional<CopyUnderWay> copy_under_way() const;
    void hold_copy(bool held) { copy_held_ = held; }
    /// Replicas that fetch, aren't in sync and aren't being added.
    int healing(Instant now) const;
    void tick(Instant now);
    void find_offset(ShardReplicas::OffsetKind kind, Timestamp at, LeaderEpoch current_epoch,
                     ReadLevel level, UniqueFunction<void(OffsetAnswer)> done);
    EpochEndAnswer epoch_end(LeaderEpoch current_epoch, LeaderEpoch asked);
    void delete_records(Offset before, Duration timeout, std::function<bool(BrokerId)> is_up,
                        UniqueFunction<void(KafkaError, Offset low_watermark)> done);
    ShardReplicas::View view() const;
    Offset high_watermark() const;
    Offset last_stable() const;
    void watch_high_watermark(std::function<void(Offset)> listener);
    /// Everyone who waits is told that leadership is gone.
    void release_all(KafkaError error);

    // --- Upkeep (partition_upkeep.cc) ---
    void apply_retention(Timestamp now);
    void expire_producers(Timestamp now);
    LogMark mark() const;
    /// What the manifest has to know and was not told; bounds what a recovery has to scan.
    std::optional<storage::LogFacts> take_facts();
    /// The recovery point is in the checkpoint now.
    void note_recorded(Offset point) { history_.recorded_end = point; }
    /// What waits is told of a failed log.
    void look_at_failure();
    /// Syncs in its files what a journal has of the log; false if there is nothing to do.
    bool file_log();
    // --- Another directory (partition_move.cc) ---
    KafkaError move_to(const std::shared_ptr<storage::LogDirectory>& directory,
                       const std::string& folder);
    void give_up_move();
    std::optional<storage::CompactionNeed> compaction_need(Timestamp now);
    void compact(const storage::CompactionBudget& budget, CompactionPace pace,
                 UniqueFunction<void(CompactionOutcome)> done);

private:
    struct Staged {
        Offset base;
        Offset end;
        Append request;
        Timestamp append_time{-1};
        std::size_t size = 0;
    };
    struct Waiting {
        AppendResult result;
        AppendDone done;
        runtime::TimerId timer{};
    };

    /// Answered once every replica that is up begins there.
    struct Deletion {
        Offset target;
        std::function<bool(BrokerId)> is_up;
        UniqueFunction<void(KafkaError, Offset)> done;
        runtime::TimerId timer{};
    };

    void answer_deletions();
    KafkaError check_leader(LeaderEpoch current_epoch) const;
    KafkaError check_reader(const Reader& reader, LeaderEpoch current_epoch) const;
    KafkaError check_epoch(LeaderEpoch current_epoch) const;
    KafkaError check_producer(Append& request, AppendResult& result);
    void note_refused(const Append& request);
    void stage(Append request);
    void write_staged();
    void finish_staged(Staged staged);
    void fail_staged(KafkaError error);
    /// Whether it has still the log that a job was begun for.
    bool is_of(const std::shared_ptr<const void>& log) const {
        return log_ && log_->identity() == log;
    }
    void start_sync();
    void on_sync_failed(const Error& error);
    void run(const std::vector<LeaderEffect>& effects);
    void propose(const ProposeIsr& wanted);
    void send(IsrProposer::Proposal proposal);
    void on_proposal_refused(const IsrProposer::Proposal& proposal, KafkaError error);
    void ask_again(const IsrProposer::Proposal& proposal);
    void on_high_watermark(Offset to);
    void become_leader();
    void become_follower();
    void judge_pace(const Fetched& fetched);
    Result<void> append_fetched(ByteView bytes);
    Taken run(const std::vector<FollowerEffect>& effects, const Fetched& fetched, ByteView bytes);
    LogFacts facts() const { return {log_->start(), log_->end(), &log_->epochs()}; }
    void on_synced();
    /// After whatever may have sealed, renamed or retired files.
    void tidy_log();
    void dispose_retired();
    struct Compaction;
    void compact_piece(const std::shared_ptr<Compaction>& work);
    void on_compacted_piece(const std::shared_ptr<Compaction>& work);
    void finish_compaction(Compaction& work, std::optional<Error> failure, bool stopped);
    struct Move;
    void copy_more(const std::shared_ptr<Move>& move);
    template <typename Then>
    auto if_moving(const std::shared_ptr<Move>& move, Then then);
    template <typename Then>
    void sync_copy(const std::shared_ptr<Move>& move, Then then);
    void hold_for_move(const std::shared_ptr<Move>& move);
    void name_moved(const std::shared_ptr<Move>& move);
    void change_places(const std::shared_ptr<Move>& move);
    void settle_in();
    void fail_move(const Error& why);
    std::optional<ShardReplicas::View::Future> future_view() const;
    void check_place();
    void refuse(Append request, KafkaError error);
    KafkaError check_mirror(LeaderEpoch as_epoch) const;
    KafkaError after_cut(const Result<void>& cut);
    /// The mirrored history is over: what was open in it is aborted, in our own epoch.
    void end_mirrored_history();

    Shell& shell_;
    PartitionState state_;
    PartitionSettings settings_;
    std::unique_ptr<storage::PartitionLog> log_;
    std::optional<LeaderCore> leader_;
    std::optional<FollowerCore> follower_;
    Newcomers newcomers_;
    bool is_far_behind_ = false;
    bool is_near_ = false;  ///< Outside of the ISR, with all that was committed a moment ago.
    int behind_for_ = 0;    ///< Answers in a row after which something was still to come.
    std::optional<Code> told_of_;          ///< Why nothing can be taken, as long as that is so.
    Offset committed_before_ = no_offset;  ///< What the last answer said.
    Offset known_high_watermark_{0};
    LogHistory history_;
    bool background_sync_ = false;  ///< Sync though nobody waits for it.
    bool into_files_ = false;       ///< The next sync covers what only a journal has.
    bool sync_is_short_ = false;    ///< The last one found no room.
    runtime::TimerId sync_again_{};
    std::uint64_t appended_bytes_ = 0;
    bool copy_held_ = false;  ///< It waits until others are done.
    bool compacting_ = false;
    bool uncleanable_ = false;  ///< Compaction found damage.
    std::shared_ptr<Move> move_;
    bool holding_ = false;  ///< Appends are gathered while the log changes its directory.

    Buffer staging_;
    std::vector<Staged> staged_;
    Offset staged_end_ = no_offset;
    std::multimap<Offset, Waiting> waiting_;       ///< By the end that must be committed.
    std::map<std::uint64_t, Deletion> deletions_;  ///< In the order in which they came.
    std::uint64_t next_deletion_ = 0;
    std::function<void(Offset)> high_watermark_listener_;
    std::vector<std::pair<Offset, UniqueFunction<void()>>> waiting_for_sync_;
};

}  // namespace millrace::replication
