// Reading the log: load from the start, verify after a re-election, start over.
#include <algorithm>
#include <fmt/format.h>

#include "base/assert.h"
#include "coordinator/internal/shard.h"
#include "record/batch_view.h"
#include "record/control.h"
#include "record/record_view.h"

namespace millrace::coordinator {

void Shard::elect(LeaderEpoch epoch) {
    if (epoch <= epoch_ && phase_ != Phase::closed) {
        return;
    }
    epoch_ = epoch;
    switch (phase_) {
        case Phase::closed:
            load();
            break;
        case Phase::loading:  // The log may have been cut under the load: read it again.
            load();
            break;
        case Phase::verifying:
            verify_next_ = true;
            break;
        case Phase::active:
            verify();
            break;
    }
}

void Shard::close() {
    if (phase_ != Phase::closed) {
        common_->log.unwatch(partition_);
        unload(KafkaError::not_coordinator);
    }
}

void Shard::load() {
    ++life_;
    phase_ = Phase::loading;
    machine_ = common_->factory(partition_);
    committed_ = written_end_ = next_offset_ = Offset{0};
    load_started_ = now().instant;
    loaded_records_ = loaded_bytes_ = 0;
    common_->log.watch(partition_, guarded([](Shard& self, Offset high_watermark) {
                           self.on_high_watermark(high_watermark);
                       }));
    read_more();
}

void Shard::read_more() {
    common_->log.read(
        partition_, next_offset_, common_->settings.load_chunk,
        guarded([](Shard& self, Result<LogRead> read) { self.on_read(std::move(read)); }));
}

void Shard::on_read(Result<LogRead> read) {
    if (!read) {
        load_failed(read.error());
        return;
    }
    const Offset before = next_offset_ = std::max(next_offset_, read->start);
    loaded_bytes_ += read->batches.size();
    if (const Result<void> replayed = replay(read->batches); !replayed) {
        load_failed(replayed.error());
        return;
    }
    if (next_offset_ >= read->end) {
        finish_load(*read);
    } else if (next_offset_ == before) {
        load_failed(
            Error::make(Code::corrupt, "no batch at {} below the end {}", before, read->end));
    } else {
        read_more();
    }
}

Result<void> Shard::replay(ByteView batches) {
    record::BatchRange range{batches};
    for (const record::BatchView batch : range) {
        if (batch.last_offset() >= next_offset_) {
            MR_TRY_VOID(replay_batch(batch));
            next_offset_ = batch.next_offset();
        }
    }
    if (range.rest_framing() == record::Framing::malformed ||
        range.rest_framing() == record::Framing::old_magic) {
        return Error::make(Code::corrupt, "not a batch at {}", next_offset_);
    }
    return {};
}

Result<void> Shard::replay_batch(const record::BatchView& batch) {
    MR_TRY_VOID(batch.check());
    NoJournal journal;
    record::RecordReader reader{batch, common_->decompressor};
    for (record::RecordView record; reader.next(record);) {
        const Offset offset = record::offset_of(batch, record);
        if (offset < next_offset_) {
            continue;
        }
        ++loaded_records_;
        if (batch.is_control()) {
            // Control records of another kind don't belong here and change nothing.
            if (const auto marker = record::parse_end_transaction(record)) {
                machine_->replay_marker(batch.producer_id(), batch.producer_epoch(),
                                        marker->type == record::ControlType::commit
                                            ? TransactionResult::commit
                                            : TransactionResult::abort,
                                        journal);
            }
            continue;
        }
        if (!record.key) {
            continue;  // Nothing of ours; compaction would have refused it.
        }
        RecordView view{.key = *record.key,
                        .value = record.value,
                        .offset = offset,
                        .timestamp = Timestamp{record::timestamp_of(batch, record)}};
        if (batch.is_transactional()) {
            view.producer = batch.producer_id();
            view.producer_epoch = batch.producer_epoch();
        }
        machine_->replay(view, journal);
    }
    return reader.status();
}

void Shard::load_failed(const Error& why) {
    retry_pause_ = retry_pause_ == Duration::zero()
                       ? common_->settings.retry_pause
                       : std::min(retry_pause_ * 2, common_->settings.max_retry_pause);
    if (why.code() == Code::corrupt) {
        MR_LOG(common_->logger, error, "coordinator.load_failed", field("topic", common_->name),
               field("partition", partition_), field("epoch", epoch_),
               field("error", why.to_string()));
    } else {
        MR_LOG(common_->logger, warn, "coordinator.load_failed", field("topic", common_->name),
               field("partition", partition_), field("epoch", epoch_),
               field("error", why.to_string()));
    }
    // What was read so far is thrown away: a retry starts from nothing.
    machine_.reset();
    common_->executor.after(retry_pause_, guarded([](Shard& self) { self.load(); }));
}

void Shard::finish_load(const LogRead& last) {
    phase_ = Phase::active;
    retry_pause_ = Duration::zero();
    written_end_ = next_offset_;
    committed_ = std::min(std::max(committed_, last.high_watermark), written_end_);
    last_epoch_ = last.last_epoch;
    if (loaded_records_ > 0) {  // of the fifty that a new cluster has, most are empty
        MR_LOG(common_->logger, info, "coordinator.loaded", field("topic", common_->name),
               field("partition", partition_), field("epoch", epoch_),
               field("records", loaded_records_), field("bytes", loaded_bytes_),
               field("milliseconds", to_milliseconds(now().instant - load_started_)));
    }
    run([](StateMachine& machine, Operation& operation) { machine.loaded(operation); });
}

void Shard::verify() {
    phase_ = Phase::verifying;
    if (in_flight_) {
        verify_next_ = true;
        return;
    }
    verify_next_ = false;
    common_->log.read(partition_, written_end_, 1_B, guarded([](Shard& self, Result<LogRead> read) {
                          self.on_verified(std::move(read));
                      }));
}

void Shard::on_verified(Result<LogRead> read) {
    if (verify_next_) {
        verify();
        return;
    }
    if (!read) {
        reload(read.error().to_string());
        return;
    }
    // The same end with the same last epoch: had anyone led in between, its records or a cut would
    // show in one of them.
    if (read->end != written_end_ || read->last_epoch != last_epoch_) {
        reload("another leader was in between");
        return;
    }
    MR_LOG(common_->logger, info, "coordinator.kept", field("topic", common_->name),
           field("partition", partition_), field("epoch", epoch_));
    phase_ = Phase::active;
    on_high_watermark(read->high_watermark);
    schedule_flush();
    arm_deadline();
}

void Shard::reload(std::string_view why) {
    MR_LOG(common_->logger, warn, "coordinator.reload", field("topic", common_->name),
           field("partition", partition_), field("epoch", epoch_), field("why", why));
    const std::uint64_t unloaded = life_ + 1;
    unload(KafkaError::not_coordinator);
    if (life_ == unloaded) {  // Unless an answer closed or re-elected us.
        load();
    }
}

}  // namespace millrace::coordinator
