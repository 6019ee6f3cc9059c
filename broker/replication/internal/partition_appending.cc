// A partition as its leader appends: who may, what is staged for one write a turn, and the sync
// behind it.

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "record/batch_view.h"
#include "replication/internal/partition.h"
#include "runtime/shortage.h"

namespace millrace::replication {
namespace {

/// Batches below this size are gathered in memory and written together at the end of the turn.
constexpr std::size_t gather_below = 32U << 10;

storage::ProducerBatch producer_batch(const record::BatchView& batch) {
    return {.producer = batch.producer_id(),
            .epoch = batch.producer_epoch(),
            .first_sequence = batch.base_sequence(),
            .last_sequence = batch.last_sequence(),
            .first_offset = batch.base_offset(),
            .last_offset = batch.last_offset(),
            .max_timestamp = Timestamp{batch.max_timestamp()},
            .transactional = batch.is_transactional()};
}

KafkaError error_of(const Error& error) {
    // A full disk is told as what a client retries on: space may come back.
    return error.code() == Code::invalid ? KafkaError::unknown_server_error
                                         : KafkaError::kafka_storage_error;
}

}  // namespace

void Partition::refuse(Append request, KafkaError error) {
    AppendResult result;
    result.error = error;
    result.log_start = log_ ? log_->start() : no_offset;
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    request.done(result);
}

void Partition::append(Append request) {
    if (const KafkaError error = check_leader(request.as_epoch.value_or(no_leader_epoch));
        error != KafkaError::none) {
        refuse(std::move(request), error);
        return;
    }
    if (log_->failure()) {
        refuse(std::move(request), KafkaError::kafka_storage_error);
        return;
    }
    constexpr std::size_t held_most = std::size_t{16} << 20;
    if (holding_ && staging_.size() + request.batch.size() > held_most) {
        refuse(std::move(request), KafkaError::not_leader_or_follower);
        return;
    }
    if (request.acks == -1 && leader_->under_min_isr()) {
        note_refused(request);
        refuse(std::move(request), KafkaError::not_enough_replicas);
        return;
    }
    if (request.origin == Origin::client && (settings_.mirrored || settings_.fenced)) {
        // Handlers refuse what goes to a mirror or is fenced. Who comes this far met a topic that
        // is just changing: it shall come again.
        refuse(std::move(request), KafkaError::not_leader_or_follower);
        return;
    }
    if (request.origin == Origin::client && !MR_PLANTED(sequences_unchecked)) {
        AppendResult result;
        const KafkaError error = check_producer(request, result);
        if (error == KafkaError::duplicate_sequence_number) {
            // Stored before: the same answer, at the same moment as then.
            const auto batch = record::BatchView::parse(request.batch);
            const Offset end = result.base + (batch->last_offset_delta() + std::int64_t{1});
            result.error = KafkaError::none;
            result.log_start = log_->start();
            if (answered_at_high_watermark(request.acks, state_.replicas.size()) &&
                end > leader_->high_watermark()) {
                waiting_.emplace(end, Waiting{result, std::move(request.done), {}});
            } else {
                request.done(result);
            }
            return;
        }
        if (error != KafkaError::none) {
            refuse(std::move(request), error);
            return;
        }
    }
    stage(std::move(request));
}

KafkaError Partition::check_producer(Append& request, AppendResult& result) {
    const auto batch = record::BatchView::parse(request.batch);
    MR_ASSERT(batch.has_value());  // validated before it came here
    if (!batch->has_producer_id()) {
        return KafkaError::none;
    }
    write_staged();  // so that the log's memory of this producer is complete
    if (!staged_.empty()) {
        return KafkaError::not_leader_or_follower;  // for a moment, while the log is moved
    }
    const storage::ProducerVerdict verdict = log_->producers().check(producer_batch(*batch));
    switch (verdict.kind) {
        case storage::ProducerVerdictKind::accept:
            if (log_->producers().find(batch->producer_id()) == nullptr &&
                !newcomers_.admits(batch->producer_id(), batch->producer_epoch(),
                                   batch->base_sequence(), shell_.loop->clock().now())) {
                return KafkaError::not_leader_or_follower;  // it comes again
            }
            return KafkaError::none;
        case storage::ProducerVerdictKind::duplicate:
            result.base = verdict.first_offset;
            if (settings_.log_append_time) {
                result.append_time = verdict.timestamp;
            }
            return KafkaError::duplicate_sequence_number;
        case storage::ProducerVerdictKind::fenced:
            return KafkaError::invalid_producer_epoch;
        case storage::ProducerVerdictKind::out_of_order:
            return KafkaError::out_of_order_sequence_number;
        case storage::ProducerVerdictKind::not_transactional:
            return KafkaError::invalid_txn_state;
        case storage::ProducerVerdictKind::coordinator_fenced:
            return KafkaError::transaction_coordinator_fenced;
    }
    return KafkaError::unknown_server_error;
}

void Partition::note_refused(const Append& request) {
    const auto batch = record::BatchView::parse(request.batch);
    if (request.origin == Origin::client && batch && batch->has_producer_id()) {
        newcomers_.refused(batch->producer_id(), batch->producer_epoch(), batch->base_sequence(),
                           shell_.loop->clock().now());
    }
}

void Partition::stage(Append request) {
    const MutableBytes bytes = request.batch;
    const bool large = bytes.size() >= gather_below && !holding_;
    if (large || staging_.size() + bytes.size() > (1U << 20)) {
        write_staged();
    }
    if (staged_.empty()) {
        staged_end_ = log_->end();
    }
    Staged staged;
    staged.base = staged_end_;
    staged.size = bytes.size();
    record::patch_base_offset(bytes, staged.base);
    record::patch_leader_epoch(bytes, state_.leader_epoch);
    if (settings_.log_append_time) {
        staged.append_time = shell_.loop->clock().wall();
        record::patch_timestamps(bytes, record::TimestampType::log_append_time,
                                 staged.append_time.milliseconds);
    }
    const auto batch = record::BatchView::parse(bytes);
    MR_ASSERT(batch.has_value());
    staged.end = batch->next_offset();
    staged.request = std::move(request);
    staged.request.batch = {};
    if (!large) {
        staged_end_ = staged.end;
        staging_.insert(staging_.end(), bytes.begin(), bytes.end());
        staged_.push_back(std::move(staged));
        shell_.flush_soon(*this);
        return;
    }
    const record::BatchView view = *batch;
    const auto written = log_->append({&view, 1}, shell_.loop->clock().wall());
    if (!written) {
        refuse(std::move(staged.request), error_of(written.error()));
        return;
    }
    finish_staged(std::move(staged));
    run(leader_->step(Appended{log_->end()}));
    shell_.flush_soon(*this);
}

void Partition::write_staged() {
    if (staged_.empty() || holding_) {
        return;
    }
    std::vector<Staged> staged = std::exchange(staged_, {});
    Buffer bytes = std::exchange(staging_, {});
    std::vector<record::BatchView> views;
    views.reserve(staged.size());
    record::BatchRange range{bytes};
    while (const auto view = range.next()) {
        views.push_back(*view);
    }
    MR_ASSERT(views.size() == staged.size());
    const auto written = log_->append(views, shell_.loop->clock().wall());
    if (!written) {
        // A full disk has many producers, and each tries again at once.
        if (std::exchange(told_of_, written.error().code()) != written.error().code()) {
            MR_LOG(*shell_.log, warn, "replication.append_failed", field("topic", state_.topic),
                   field("partition", state_.id.partition),
                   field("reason", written.error().message()));
        }
        for (Staged& one : staged) {
            refuse(std::move(one.request), error_of(written.error()));
        }
        return;
    }
    told_of_.reset();
    for (Staged& one : staged) {
        finish_staged(std::move(one));
    }
    if (leader_) {
        run(leader_->step(Appended{log_->end()}));
    }
    bytes.clear();
    if (bytes.capacity() <= (64U << 10) && staging_.empty()) {
        staging_ = std::move(bytes);  // keep a small one, so a steady producer costs no allocation
    }
}

void Partition::finish_staged(Staged staged) {
    appended_bytes_ += staged.size;
    AppendResult result;
    result.base = staged.base;
    result.append_time = staged.append_time;
    result.log_start = log_->start();
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    if (staged.request.stored) {
        staged.request.stored(staged.base, staged.end);
    }
    if (!answered_at_high_watermark(staged.request.acks, state_.replicas.size()) ||
        MR_PLANTED(acknowledges_before_commit)) {
        staged.request.done(result);
        return;
    }
    auto waiting =
        waiting_.emplace(staged.end, Waiting{result, std::move(staged.request.done), {}});
    if (state_.replicas.size() > 1) {
        // Alone, only our own disk can be late, and it answers or fails.
        waiting->second.timer = shell_.loop->after(
            staged.request.timeout, [this_find = shell_.find, id = state_.id, end = staged.end] {
                if (auto partition = this_find(id)) {
                    auto [from, to] = partition->waiting_.equal_range(end);
                    for (auto at = from; at != to;) {
                        Waiting late = std::move(at->second);
                        at = partition->waiting_.erase(at);
                        late.result.error = KafkaError::request_timed_out;
                        late.result.base = no_offset;
                        late.done(late.result);
                    }
                }
            });
    }
}

void Partition::flush() {
    if (!log_) {
        return;
    }
    write_staged();
    start_sync();
    tidy_log();
    if (leader_) {
        shell_.readable(*this);
    }
}

void Partition::start_sync() {
    // What nobody counts yet is written back as it comes, and synced once it is all there: one sync
    // after the other would have every acknowledgement wait for the device.
    const bool in_background = settings_.durability == Durability::replicated || is_far_behind_;
    if (!log_ || shell_.closing || (in_background && !background_sync_)) {
        return;
    }
    auto job = log_->begin_sync(into_files_ || in_background);
    if (!job) {
        return;
    }
    background_sync_ = into_files_ = false;
    shell_.sync(
        *this, *std::move(job),
        [find = shell_.find, id = state_.id, log = log_->identity(),
         asked = shell_.loop->read_clock()](const storage::SyncJob& done,
                                            const Result<void>& outcome, SyncGroup::SyncedIn in) {
            auto partition = find(id);
            if (!partition || !partition->is_of(log)) {
                return;  // it was deleted, or goes on in another directory
            }
            const Duration took = partition->shell_.loop->read_clock() - asked;
            ShardCounts::add(partition->shell_.counts->syncs, std::uint64_t{1});
            ShardCounts::add(partition->shell_.counts->sync_nanoseconds,
                             std::int64_t{std::chrono::nanoseconds{took}.count()});
            partition->log_->complete_sync(done, outcome, in);
            if (!outcome) {
                partition->on_sync_failed(outcome.error());
                return;
            }
            partition->sync_is_short_ = false;
            if (partition->leader_) {
                partition->run(partition->leader_->step(Synced{partition->log_->synced_end()}));
            }
            partition->on_synced();
            partition->start_sync();
            partition->tidy_log();
        });
}

bool Partition::file_log() {
    if (!log_ || log_->failure() || !log_->has_unfiled() || shell_.closing) {
        return false;
    }
    if (log_->is_filing()) {
        return true;
    }
    auto job = log_->begin_filing();
    if (!job) {
        if (!std::exchange(into_files_, true)) {
            background_sync_ = true;
            start_sync();
        }
        return true;
    }
    shell_.file(
        *this, *std::move(job),
        [find = shell_.find, id = state_.id, log = log_->identity()](
            const storage::SyncJob& done, const Result<void>& outcome, SyncGroup::SyncedIn) {
            auto partition = find(id);
            if (!partition || !partition->is_of(log)) {
                return;
            }
            partition->log_->complete_filing(done, outcome);
            if (partition->log_->failure()) {
                partition->on_sync_failed(*partition->log_->failure());
                return;
            }
            partition->start_sync();  // What is nothing for a journal has waited.
            partition->tidy_log();
        });
    return true;
}

void Partition::on_sync_failed(const Error& error) {
    if (!log_->failure()) {
        // Nothing counts as synced until a sync finds room, and acks wait for it.
        if (!std::exchange(sync_is_short_, true)) {
            MR_LOG(*shell_.log, warn, "replication.sync_put_off", field("topic", state_.topic),
                   field("partition", state_.id.partition), field("reason", error.message()));
        }
        shell_.loop->cancel(sync_again_);
        sync_again_ =
            shell_.loop->after(runtime::shortage_pause, [find = shell_.find, id = state_.id] {
                if (auto partition = find(id)) {
                    partition->background_sync_ = true;
                    partition->start_sync();
                }
            });
        on_synced();
        return;
    }
    MR_LOG(*shell_.log, error, "replication.sync_failed", field("topic", state_.topic),
           field("partition", state_.id.partition), field("reason", error.message()));
    release_all(KafkaError::kafka_storage_error);
    on_synced();
}

}  // namespace millrace::replication
