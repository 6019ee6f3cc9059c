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
#include "replication/leader_core.h"
#include "replication/shard_replicas.h"
#include "replication/types.h"

namespace millrace::replication {

class Partition {
public:
    struct Shell {
        BrokerId self;
        Duration lag_max;
        runtime::Executor* loop = nullptr;
        runtime::DiskPool* pool = nullptr;
        IsrProposer* proposer = nullptr;
        const Logger* log = nullptr;
        bool closing = false;  ///< No further syncs: the last one is close_cleanly()'s.
        std::function<void(Partition&)> flush_soon;  ///< Call flush() at the end of this turn.
        std::function<void(Partition&)> readable;    ///< Data or leadership changed: wake readers.
        std::function<std::shared_ptr<Partition>(const TopicIdPartition&)> find;
    };

    Partition(Shell& shell, PartitionState state, PartitionSettings settings);

    const PartitionState& state() const { return state_; }
    const PartitionSettings& settings() const { return settings_; }
    bool has_log() const { return log_ != nullptr; }
    bool leads() const { return leader_.has_value(); }
    storage::PartitionLog& log() { return *log_; }
    const storage::PartitionLog& log() const { return *log_; }

    void give_log(std::unique_ptr<storage::PartitionLog> log);
    std::unique_ptr<storage::PartitionLog> take_log();
    void change_state(PartitionState state);
    void change_settings(const PartitionSettings& settings);

    // --- As a follower ---
    bool follows() const { return follower_.has_value() && log_ != nullptr && !log_->failure(); }
    FetchPosition follower_position() const;
    enum class Taken { nothing, changed, back_off };
    Taken take_fetched(const Fetched& fetched, ByteView bytes);
    /// Runs once everything appended so far is synced, or the log has failed. Maybe inside the
    /// call.
    void when_synced(UniqueFunction<void()> then);

    void append(Append request);
    void flush();
    FetchResult read(const FetchPosition& position, const Reader& reader, std::size_t max_bytes,
                     bool min_one_batch);
    /// Bytes a reader at `from` could get now, roughly: for the threshold of a parked fetch.
    std::int64_t readable_bytes(const FetchPosition& position, const Reader& reader);
    void follower_fetched(const FetchPosition& position, const Reader& reader);
    void tick(Instant now);
    void find_offset(ShardReplicas::OffsetKind kind, Timestamp at, LeaderEpoch current_epoch,
                     ReadLevel level, UniqueFunction<void(OffsetAnswer)> done);
    EpochEndAnswer epoch_end(LeaderEpoch current_epoch, LeaderEpoch asked);
    std::pair<KafkaError, Offset> delete_records(Offset before);
    ShardReplicas::View view() const;
    Offset high_watermark() const;
    Offset last_stable() const;
    void watch_high_watermark(std::function<void(Offset)> listener);
    /// Everyone who waits is told that leadership is gone.
    void release_all(KafkaError error);

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

    KafkaError check_leader(LeaderEpoch current_epoch) const;
    KafkaError check_producer(Append& request, AppendResult& result);
    void stage(Append request);
    void write_staged();
    void finish_staged(Staged staged);
    void fail_staged(KafkaError error);
    void start_sync();
    void run(const std::vector<LeaderEffect>& effects);
    void propose(const ProposeIsr& wanted);
    void on_proposal_refused(const ProposeIsr& wanted, LeaderEpoch epoch, KafkaError error);
    void on_high_watermark(Offset to);
    void become_leader();
    void become_follower();
    Result<void> append_fetched(ByteView bytes);
    Taken run(const std::vector<FollowerEffect>& effects, const Fetched& fetched, ByteView bytes);
    LogFacts facts() const { return {log_->start(), log_->end(), &log_->epochs()}; }
    void on_synced();
    void refuse(Append request, KafkaError error);

    Shell& shell_;
    PartitionState state_;
    PartitionSettings settings_;
    std::unique_ptr<storage::PartitionLog> log_;
    std::optional<LeaderCore> leader_;
    std::optional<FollowerCore> follower_;
    Offset known_high_watermark_{0};

    Buffer staging_;
    std::vector<Staged> staged_;
    Offset staged_end_ = no_offset;
    std::multimap<Offset, Waiting> waiting_;  ///< By the end that must be committed.
    std::function<void(Offset)> high_watermark_listener_;
    std::vector<std::pair<Offset, UniqueFunction<void()>>> waiting_for_sync_;
};

}  // namespace millrace::replication
