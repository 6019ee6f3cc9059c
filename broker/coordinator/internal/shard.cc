#include "coordinator/internal/shard.h"

#include <algorithm>
#include <fmt/format.h>

#include "base/assert.h"

namespace millrace::coordinator {

/// An operation while its body runs. `first_record` and `first_undo` say where it began in the
/// batch that it is writing to.
class Shard::Running final : public Operation {
public:
    Running(Shard& shard, Now now) : shard_(shard), now_(now) {}

    const Now& now() const override { return now_; }
    void append(Record record) override { shard_.append(*this, std::move(record)); }
    void allow_split() override { splittable = true; }
    void in_transaction(ProducerId id, ProducerEpoch epoch) override {
        MR_ASSERT(!wrote);
        producer = id;
        producer_epoch = epoch;
    }
    void then(Outcome outcome) override { outcomes.push_back(std::move(outcome)); }

    bool wrote = false;
    std::size_t first_record = 0;
    std::size_t first_undo = 0;
    bool splittable = false;
    ProducerId producer = no_producer;
    ProducerEpoch producer_epoch{-1};
    KafkaError refused = KafkaError::none;
    std::vector<Outcome> outcomes;

private:
    Shard& shard_;
    Now now_;
};

KafkaError Shard::status() const {
    switch (phase_) {
        case Phase::closed:
            return KafkaError::not_coordinator;
        case Phase::loading:
        case Phase::verifying:
            return KafkaError::coordinator_load_in_progress;
        case Phase::active:
            break;
    }
    return pending_bytes_ > static_cast<std::size_t>(common_->settings.max_pending.count)
               ? KafkaError::coordinator_not_available
               : KafkaError::none;
}

void Shard::run(Runtime::Body body) {
    MR_ASSERT(phase_ == Phase::active && !running_);
    const auto keep = shared_from_this();
    Running operation{*this, now()};
    running_ = true;
    body(*machine_, operation);
    running_ = false;
    finish(operation);
}

void Shard::finish(Running& operation) {
    std::vector<Outcome> outcomes = std::move(operation.outcomes);
    const std::uint64_t life = life_;
    if (operation.refused != KafkaError::none) {
        take_back(operation);
        for (Outcome& outcome : outcomes) {
            outcome(operation.refused);
        }
    } else if (!queue_.empty()) {
        for (Outcome& outcome : outcomes) {
            queue_.back().waiters.push_back(
                {operation.now().instant + common_->settings.write_timeout, std::move(outcome)});
        }
        schedule_flush();
    } else if (committed_ < written_end_) {
        for (Outcome& outcome : outcomes) {
            written_.push_back(
                {written_end_,
                 {operation.now().instant + common_->settings.write_timeout, std::move(outcome)}});
        }
    } else {
        for (Outcome& outcome : outcomes) {
            outcome(KafkaError::none);
        }
    }
    if (life_ == life && phase_ == Phase::active) {
        arm_expiry();
        arm_deadline();
    }
}

PendingBatch& Shard::start_batch(ProducerId producer, ProducerEpoch epoch) {
    if (!queue_.empty()) {
        queue_.back().closed = true;
    }
    PendingBatch batch;
    batch.base = next_offset_;
    batch.timestamp = now().wall;
    batch.producer = producer;
    batch.producer_epoch = epoch;
    batch.bytes = batch_overhead();
    batch.first_undo = undo_.count();
    pending_bytes_ += batch.bytes;
    return queue_.emplace_back(std::move(batch));
}

/// The batch that `operation` may add `bytes` to, whatever its limit says.
PendingBatch& Shard::batch_for(Running& operation, std::size_t bytes) {
    const auto begin = [&](PendingBatch& batch) -> PendingBatch& {
        operation.wrote = true;
        operation.first_record = batch.records.size();
        operation.first_undo = undo_.count();
        return batch;
    };
    const bool usable = !queue_.empty() && !queue_.back().closed &&
                        queue_.back().producer == operation.producer &&
                        queue_.back().producer_epoch == operation.producer_epoch;
    if (!usable) {
        return begin(start_batch(operation.producer, operation.producer_epoch));
    }
    PendingBatch& open = queue_.back();
    if (!operation.wrote) {
        begin(open);
    }
    const auto limit = static_cast<std::size_t>(common_->log.max_batch(partition_).count);
    if (open.bytes + bytes <= limit) {
        return open;
    }
    if (operation.splittable || operation.first_record == open.records.size()) {
        return begin(start_batch(operation.producer, operation.producer_epoch));
    }
    if (operation.first_record > 0) {
        split_off(operation);
    }
    return queue_.back();
}

/// Moves what `operation` wrote out of the batch that it shares with others, into one of its own.
void Shard::split_off(Running& operation) {
    PendingBatch& shared = queue_.back();
    const auto first = shared.records.begin() + static_cast<std::ptrdiff_t>(operation.first_record);
    std::vector<Record> moved{std::make_move_iterator(first),
                              std::make_move_iterator(shared.records.end())};
    shared.records.erase(first, shared.records.end());
    PendingBatch& own = start_batch(operation.producer, operation.producer_epoch);
    own.base = queue_[queue_.size() - 2].next();
    own.first_undo = operation.first_undo;
    std::size_t bytes = 0;
    for (const Record& record : moved) {
        bytes += encoded_bound(record);
    }
    queue_[queue_.size() - 2].bytes -= bytes;
    own.bytes += bytes;
    own.records = std::move(moved);
    operation.first_record = 0;
}

/// Applies the record in any case, so that the operation sees what it did. One that outgrew its
/// batch is taken back as a whole when it is done (take_back()).
void Shard::append(Running& operation, Record record) {
    const std::size_t bytes = encoded_bound(record);
    PendingBatch& batch =
        operation.refused == KafkaError::none ? batch_for(operation, bytes) : queue_.back();
    if (batch.bytes + bytes > static_cast<std::size_t>(common_->log.max_batch(partition_).count)) {
        operation.refused = KafkaError::message_too_large;
    }
    machine_->replay({.key = record.key,
                      .value = record.value ? std::optional{ByteView{*record.value}} : std::nullopt,
                      .offset = next_offset_,
                      .timestamp = batch.timestamp,
                      .producer = operation.producer,
                      .producer_epoch = operation.producer_epoch},
                     undo_);
    if (operation.refused == KafkaError::none) {
        batch.records.push_back(std::move(record));
        batch.bytes += bytes;
        pending_bytes_ += bytes;
        next_offset_ = next_offset_ + 1;
    }
}

void Shard::take_back(const Running& operation) {
    undo_.revert_to(operation.first_undo);
    PendingBatch& batch = queue_.back();
    for (std::size_t i = operation.first_record; i < batch.records.size(); ++i) {
        const std::size_t dropped = encoded_bound(batch.records[i]);
        batch.bytes -= dropped;
        pending_bytes_ -= dropped;
    }
    batch.records.resize(operation.first_record);
    next_offset_ = batch.next();
    if (batch.records.empty()) {
        pending_bytes_ -= batch.bytes;
        queue_.pop_back();
    }
}

void Shard::end_transaction(ProducerId producer, ProducerEpoch epoch, Marker marker, Outcome done) {
    MR_ASSERT(phase_ == Phase::active && !running_);
    const auto keep = shared_from_this();
    PendingBatch& batch = start_batch(producer, epoch);
    batch.marker = marker;
    batch.closed = true;
    machine_->replay_marker(producer, epoch, marker.result, undo_);
    next_offset_ = next_offset_ + 1;
    Running operation{*this, now()};
    operation.then(std::move(done));
    finish(operation);
}

void Shard::schedule_flush() {
    if (!flush_posted_ && !in_flight_ && !queue_.empty()) {
        flush_posted_ = true;
        common_->executor.post(guarded([](Shard& self) {
            self.flush_posted_ = false;
            self.flush();
        }));
    }
}

void Shard::flush() {
    if (phase_ != Phase::active || in_flight_ || queue_.empty()) {
        return;
    }
    PendingBatch& batch = queue_.front();
    batch.closed = true;
    Result<Buffer> encoded = encode(batch, common_->settings.compression, common_->compressor);
    if (!encoded) {
        MR_LOG(common_->logger, error, "coordinator.encode_failed", field("topic", common_->name),
               field("partition", partition_), field("error", encoded.error().to_string()));
        fail_queue(KafkaError::unknown_server_error);
        return;
    }
    in_flight_ = true;
    sent_epoch_ = epoch_;
    common_->log.append(
        partition_, epoch_, std::move(*encoded),
        guarded([](Shard& self, AppendOutcome outcome) { self.on_appended(outcome); }));
}

void Shard::on_appended(AppendOutcome outcome) {
    in_flight_ = false;
    MR_ASSERT(!queue_.empty());
    PendingBatch& batch = queue_.front();
    if (outcome.error != KafkaError::none) {
        const bool other_epoch = outcome.error == KafkaError::not_leader_or_follower ||
                                 outcome.error == KafkaError::fenced_leader_epoch;
        if (other_epoch && epoch_ > sent_epoch_) {
            verify();  // Re-elected meanwhile: sent again if the log is still ours.
            return;
        }
        fail_queue(outcome.error);
        if (verify_next_ && phase_ == Phase::verifying) {
            verify();
        }
        return;
    }
    if (outcome.base != batch.base || outcome.end != batch.next()) {
        reload("the log put a batch at another offset");
        return;
    }
    written_end_ = batch.next();
    last_epoch_ = sent_epoch_;
    for (Waiter& waiter : batch.waiters) {
        written_.push_back({written_end_, std::move(waiter)});
    }
    pending_bytes_ -= batch.bytes;
    queue_.pop_front();
    undo_.forget_to(queue_.empty() ? undo_.count() : queue_.front().first_undo);
    if (verify_next_) {
        verify();
    } else {
        flush();
    }
    release_committed();
}

void Shard::fail_queue(KafkaError error) {
    MR_ASSERT(!queue_.empty());
    undo_.revert_to(queue_.front().first_undo);
    next_offset_ = written_end_;
    std::deque<PendingBatch> failed = std::move(queue_);
    queue_.clear();
    pending_bytes_ = 0;
    MR_LOG(common_->logger, warn, "coordinator.append_refused", field("topic", common_->name),
           field("partition", partition_), field("epoch", epoch_), field("error", error),
           field("batches", failed.size()));
    const std::uint64_t life = life_;
    for (PendingBatch& batch : failed) {
        for (Waiter& waiter : batch.waiters) {
            waiter.outcome(error);
        }
    }
    if (life_ == life && phase_ == Phase::active) {
        arm_deadline();
    }
}

void Shard::on_high_watermark(Offset high_watermark) {
    if (high_watermark > committed_) {
        // While loading, what lies above is not read yet and not waited for.
        committed_ = high_watermark;
        release_committed();
    }
}

void Shard::release_committed() {
    const auto keep = shared_from_this();
    while (!written_.empty() && written_.front().end <= committed_) {
        Outcome outcome = std::move(written_.front().waiter.outcome);
        written_.pop_front();
        outcome(KafkaError::none);
    }
}

std::optional<Instant> Shard::first_deadline() const {
    if (!written_.empty()) {
        return written_.front().waiter.deadline;
    }
    for (const PendingBatch& batch : queue_) {
        if (!batch.waiters.empty()) {
            return batch.waiters.front().deadline;
        }
    }
    return std::nullopt;
}

void Shard::arm_expiry() {
    if (expiry_timer_) {
        return;
    }
    if (const auto first = first_deadline()) {
        const Duration delay = std::max(*first - now().instant, Duration::zero());
        expiry_timer_ = common_->executor.after(delay, guarded([](Shard& self) {
                                                    self.expiry_timer_ = {};
                                                    self.expire();
                                                }));
    }
}

/// Answers who waited too long. What they wrote stays: it may still be committed.
void Shard::expire() {
    const auto keep = shared_from_this();
    const Instant now = this->now().instant;
    std::vector<Outcome> expired;
    while (!written_.empty() && written_.front().waiter.deadline <= now) {
        expired.push_back(std::move(written_.front().waiter.outcome));
        written_.pop_front();
    }
    for (PendingBatch& batch : queue_) {
        const auto late = std::find_if(batch.waiters.begin(), batch.waiters.end(),
                                       [&](const Waiter& w) { return w.deadline > now; });
        for (auto it = batch.waiters.begin(); it != late; ++it) {
            expired.push_back(std::move(it->outcome));
        }
        batch.waiters.erase(batch.waiters.begin(), late);
    }
    const std::uint64_t life = life_;
    for (Outcome& outcome : expired) {
        outcome(KafkaError::request_timed_out);
    }
    if (life_ == life) {
        arm_expiry();
    }
}

void Shard::arm_deadline() {
    const Instant next = machine_->next_deadline();
    if (next >= deadline_at_) {
        return;  // Armed early enough; a deadline that moved away is seen when it fires.
    }
    common_->executor.cancel(deadline_timer_);
    deadline_at_ = next;
    const Duration delay = std::max(next - now().instant, Duration::zero());
    deadline_timer_ =
        common_->executor.after(delay, guarded([](Shard& self) { self.on_deadline(); }));
}

void Shard::on_deadline() {
    deadline_timer_ = {};
    deadline_at_ = Instant::never();
    if (phase_ != Phase::active) {
        return;  // Verifying: armed again when it is done.
    }
    if (status() != KafkaError::none) {
        deadline_at_ = now().instant + common_->settings.retry_pause;
        deadline_timer_ = common_->executor.after(common_->settings.retry_pause,
                                                  guarded([](Shard& self) { self.on_deadline(); }));
        return;
    }
    if (machine_->next_deadline() <= now().instant) {
        run([](StateMachine& machine, Operation& operation) { machine.on_deadline(operation); });
    } else {
        arm_deadline();
    }
}

void Shard::unload(KafkaError error) {
    const auto keep = shared_from_this();
    ++life_;
    phase_ = Phase::closed;
    common_->executor.cancel(expiry_timer_);
    common_->executor.cancel(deadline_timer_);
    expiry_timer_ = deadline_timer_ = {};
    deadline_at_ = Instant::never();
    in_flight_ = flush_posted_ = verify_next_ = false;
    pending_bytes_ = 0;
    undo_ = UndoLog{};  // Not run: the state goes away as a whole.
    auto written = std::exchange(written_, {});
    auto queue = std::exchange(queue_, {});
    const std::unique_ptr<StateMachine> machine = std::move(machine_);
    if (machine) {
        machine->unloading();
    }
    for (Written& entry : written) {
        entry.waiter.outcome(error);
    }
    for (PendingBatch& batch : queue) {
        for (Waiter& waiter : batch.waiters) {
            waiter.outcome(error);
        }
    }
}

}  // namespace millrace::coordinator
