#include "storage/internal/cleaner_core.h"

#include <algorithm>
#include <utility>

#include "record/batch_builder.h"
#include "record/control.h"
#include "record/record_view.h"

namespace millrace::storage {

namespace {

record::BatchOptions options_like(const record::BatchView& batch) {
    record::BatchOptions options{
        .base_offset = batch.base_offset(),
        .leader_epoch = batch.partition_leader_epoch(),
        .compression = {.codec = batch.compression()},
        .producer_id = batch.producer_id(),
        .producer_epoch = batch.producer_epoch(),
        .base_sequence = batch.base_sequence(),
        .is_transactional = batch.is_transactional(),
        .is_control = batch.is_control(),
        .delete_horizon = batch.delete_horizon(),
    };
    if (batch.timestamp_type() == record::TimestampType::log_append_time) {
        options.append_time = batch.max_timestamp();
    }
    return options;
}

}  // namespace

void TransactionFilter::add_aborted(const std::vector<AbortedTransaction>& transactions) {
    for (const AbortedTransaction& transaction : transactions) {
        if (known_.emplace(transaction.producer, transaction.first_offset).second) {
            coming_.emplace(transaction.first_offset, transaction);
        }
    }
}

void TransactionFilter::open_up_to(Offset offset) {
    while (!coming_.empty() && coming_.begin()->first <= offset) {
        const AbortedTransaction transaction = coming_.begin()->second;
        coming_.erase(coming_.begin());
        aborted_.emplace(transaction.producer, Aborted{transaction});
    }
}

bool TransactionFilter::is_aborted(const record::BatchView& data_batch) {
    open_up_to(data_batch.last_offset());
    if (!data_batch.is_transactional()) {
        return false;
    }
    const auto found = aborted_.find(data_batch.producer_id());
    if (found == aborted_.end()) {
        committed_.insert(data_batch.producer_id());
        return false;
    }
    found->second.batch_seen = true;
    return true;
}

Result<bool> TransactionFilter::is_spent(const record::BatchView& control_batch) {
    open_up_to(control_batch.last_offset());
    if (control_batch.record_count() == 0) {
        return true;  // Cleaned before.
    }
    record::RecordReader reader(control_batch);
    record::RecordView record;
    if (!reader.next(record)) {
        MR_TRY_VOID(reader.status());
        return true;
    }
    if (!control_batch.has_producer_id() || !record.key) {
        return false;
    }
    MR_TRY(const auto type, record::parse_control_key(*record.key));
    const ProducerId producer = control_batch.producer_id();
    if (type == record::ControlType::commit) {
        return committed_.erase(producer) == 0;
    }
    if (type != record::ControlType::abort) {
        return false;
    }
    const auto found = aborted_.find(producer);
    if (found == aborted_.end()) {
        return true;
    }
    const Aborted ended = found->second;
    aborted_.erase(found);
    if (ended.batch_seen) {
        kept_.push_back(ended.transaction);
    }
    return !ended.batch_seen;
}

std::vector<AbortedTransaction> TransactionFilter::take_kept() {
    return std::exchange(kept_, {});
}

LastOfProducers last_of_producers(const ProducerState& state) {
    LastOfProducers last;
    for (const auto& [producer, entry] : state.entries()) {
        LastOfProducer& of = last[producer];
        of.epoch = entry.epoch;
        if (entry.batch_count > 0) {
            of.last_data_offset = entry.batches[entry.batch_count - 1].last_offset;
        }
    }
    return last;
}

Result<bool> note_keys(const record::BatchView& batch, TransactionFilter& filter, KeyOffsets& keys,
                       record::Decompressor& decompressor) {
    if (batch.is_control()) {
        MR_TRY_VOID([&]() -> Result<void> {
            MR_TRY([[maybe_unused]] const bool spent, filter.is_spent(batch));
            return {};
        }());
    } else if (!filter.is_aborted(batch)) {
        record::RecordReader reader(batch, decompressor);
        for (record::RecordView record; reader.next(record);) {
            if (record.key && !keys.put(*record.key, record::offset_of(batch, record))) {
                return false;
            }
        }
        MR_TRY_VOID(reader.status());
    }
    keys.set_latest(std::max(keys.latest(), batch.last_offset()));
    return true;
}

bool BatchCleaner::is_last_of_producer(const record::BatchView& batch) const {
    if (!batch.has_producer_id()) {
        return false;
    }
    const auto found = rules_.producers.find(batch.producer_id());
    if (found == rules_.producers.end()) {
        return false;
    }
    const LastOfProducer& last = found->second;
    if (last.last_data_offset != no_offset) {
        return batch.last_offset() == last.last_data_offset;
    }
    return batch.is_control() && batch.producer_epoch() == last.epoch;
}

Result<BatchCleaner::Judgement> BatchCleaner::judge(const record::BatchView& batch,
                                                    TransactionFilter& filter) const {
    Judgement judgement;
    if (batch.is_control()) {
        MR_TRY(const bool spent, filter.is_spent(batch));
        const auto horizon = batch.delete_horizon();
        judgement.discard_records = spent && horizon && *horizon <= rules_.now.milliseconds;
        judgement.set_horizon = spent;
    } else {
        judgement.discard_records = filter.is_aborted(batch);
    }
    judgement.keep_if_empty = is_last_of_producer(batch) || batch.next_offset() == rules_.round_end;
    return judgement;
}

bool BatchCleaner::keeps(const record::BatchView& batch, const record::RecordView& record) const {
    const Offset offset = record::offset_of(batch, record);
    if (batch.is_control() || offset > keys_.latest()) {
        return true;
    }
    if (!record.key) {
        return false;
    }
    if (const auto last = keys_.find(*record.key); last && *last > offset) {
        return false;
    }
    const auto horizon = batch.delete_horizon();
    return record.value.has_value() || !horizon || rules_.now.milliseconds < *horizon;
}

CleanedBatch BatchCleaner::nothing_left(const record::BatchView& batch,
                                        const Judgement& judgement) const {
    if (!judgement.keep_if_empty) {
        return {};
    }
    record::BatchOptions options = options_like(batch);
    options.compression = {};
    options.delete_horizon.reset();
    record::BatchBuilder builder(options);
    builder.keep_last_offset(batch.last_offset());
    builder.keep_max_timestamp(batch.max_timestamp());
    return {CleanedBatch::Kind::rewritten, builder.finish()};
}

Result<CleanedBatch> BatchCleaner::rewrite(const record::BatchView& batch,
                                           const Judgement& judgement, bool set_horizon) {
    record::BatchOptions options = options_like(batch);
    if (set_horizon) {
        options.delete_horizon = (rules_.now + rules_.delete_retention).milliseconds;
    }
    record::BatchBuilder builder(options);
    record::RecordReader reader(batch, decompressor_);
    for (record::RecordView record; reader.next(record);) {
        if (keeps(batch, record)) {
            builder.append_at(record::offset_of(batch, record), record::timestamp_of(batch, record),
                              record);
        }
    }
    MR_TRY_VOID(reader.status());
    if (builder.empty()) {
        return nothing_left(batch, judgement);
    }
    // Sequences follow from offsets: the last one has to stay, whatever records went.
    builder.keep_last_offset(batch.last_offset());
    MR_TRY(Buffer bytes, builder.finish(compressor_));
    return CleanedBatch{CleanedBatch::Kind::rewritten, std::move(bytes)};
}

Result<CleanedBatch> BatchCleaner::clean(const record::BatchView& batch,
                                         TransactionFilter& filter) {
    MR_TRY(const Judgement judgement, judge(batch, filter));
    if (batch.record_count() == 0) {
        return judgement.keep_if_empty ? CleanedBatch{CleanedBatch::Kind::as_is, {}}
                                       : CleanedBatch{};
    }
    if (judgement.discard_records) {
        return nothing_left(batch, judgement);
    }
    bool all_stay = true;
    bool tombstones = false;
    bool any_stays = false;
    record::RecordReader reader(batch, decompressor_);
    for (record::RecordView record; reader.next(record);) {
        const bool stays = keeps(batch, record);
        all_stay = all_stay && stays;
        any_stays = any_stays || stays;
        tombstones = tombstones || (stays && !batch.is_control() && !record.value);
    }
    MR_TRY_VOID(reader.status());
    const bool set_horizon = (tombstones || judgement.set_horizon) && !batch.has_delete_horizon();
    if (all_stay && !set_horizon) {
        return CleanedBatch{CleanedBatch::Kind::as_is, {}};
    }
    return any_stays ? rewrite(batch, judgement, set_horizon) : nothing_left(batch, judgement);
}

}  // namespace millrace::storage
