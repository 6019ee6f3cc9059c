// coordinator/internal/shard.h
//
// One partition's state machine with its log. Offsets, from low to high:
//
//   committed_ <= written_end_ <= next_offset_
//
// Below committed_ is final; up to written_end_ the log has it; from there to next_offset_ lie the
// batches of queue_, applied to the machine but not in the log: what undo_ can take back. One batch
// at most is on its way to the log, so a refusal can undo everything after it.
#pragma once

#include <deque>
#include <memory>

#include "coordinator/internal/batch.h"
#include "coordinator/internal/common.h"
#include "coordinator/runtime.h"
#include "record/batch_view.h"

namespace millrace::coordinator {

class Shard : public std::enable_shared_from_this<Shard> {
public:
    Shard(std::shared_ptr<Runtime::Common> common, PartitionIndex partition)
        : common_(std::move(common)), partition_(partition) {}

    void elect(LeaderEpoch epoch);
    void close();

    KafkaError status() const;
    LeaderEpoch epoch() const { return epoch_; }
    const StateMachine* machine() const {
        return phase_ == Phase::active ? machine_.get() : nullptr;
    }

    /// Only while status() is none.
    void run(Runtime::Body body);
    void end_transaction(ProducerId producer, ProducerEpoch epoch, Marker marker, Outcome done);

private:
    enum class Phase { closed, loading, verifying, active };
    class Running;

    // Reading the log.
    void load();
    void read_more();
    void on_read(Result<LogRead> read);
    Result<void> replay(ByteView batches);
    Result<void> replay_batch(const record::BatchView& batch);
    void load_failed(const Error& why);
    void finish_load(const LogRead& last);
    void verify();
    void on_verified(Result<LogRead> read);
    void reload(std::string_view why);

    // Writing to it.
    PendingBatch& batch_for(Running& operation, std::size_t bytes);
    PendingBatch& start_batch(ProducerId producer, ProducerEpoch epoch);
    void split_off(Running& operation);
    void append(Running& operation, Record record);
    void take_back(const Running& operation);
    void finish(Running& operation);
    void wait(std::vector<Outcome> outcomes);
    void schedule_flush();
    void flush();
    void on_appended(AppendOutcome outcome);
    void fail_queue(KafkaError error);

    // Answering.
    void on_high_watermark(Offset high_watermark);
    void release_committed();
    void arm_expiry();
    void expire();
    std::optional<Instant> first_deadline() const;

    void arm_deadline();
    void on_deadline();
    void unload(KafkaError error);

    /// A callback that does nothing once this state of the shard is gone.
    template <typename F>
    auto guarded(F callback) {
        return [weak = weak_from_this(), life = life_,
                callback = std::move(callback)](auto&&... args) mutable {
            if (const auto self = weak.lock(); self && self->life_ == life) {
                callback(*self, std::forward<decltype(args)>(args)...);
            }
        };
    }
    Now now() const {
        const Clock& clock = common_->executor.clock();
        return {clock.now(), clock.wall()};
    }

    std::shared_ptr<Runtime::Common> common_;
    PartitionIndex partition_;
    LeaderEpoch epoch_ = no_leader_epoch;
    Phase phase_ = Phase::closed;
    std::uint64_t life_ = 0;  ///< Grows with every load and unload.
    std::unique_ptr<StateMachine> machine_;
    bool running_ = false;

    Offset committed_{0};
    Offset written_end_{0};
    Offset next_offset_{0};
    LeaderEpoch last_epoch_ = no_leader_epoch;  ///< Of the last batch in the log.

    std::deque<PendingBatch> queue_;
    std::size_t pending_bytes_ = 0;
    UndoLog undo_;
    bool in_flight_ = false;
    LeaderEpoch sent_epoch_ = no_leader_epoch;
    bool verify_next_ = false;  ///< As soon as the batch on its way is back.
    bool flush_posted_ = false;

    struct Written {
        Offset end;
        Waiter waiter;
    };
    std::deque<Written> written_;  ///< Wait for committed_ to reach `end`.
    runtime::TimerId expiry_timer_;

    runtime::TimerId deadline_timer_;
    Instant deadline_at_ = Instant::never();

    Duration retry_pause_{0};
    Instant load_started_;
    std::uint64_t loaded_records_ = 0;
    std::uint64_t loaded_bytes_ = 0;
};

}  // namespace millrace::coordinator
