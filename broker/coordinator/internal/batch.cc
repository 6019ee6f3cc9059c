#include "coordinator/internal/batch.h"

#include "base/assert.h"
#include "record/batch_builder.h"
#include "record/control.h"

namespace millrace::coordinator {

namespace {

record::NewRecord as_new(const Record& record, Timestamp timestamp) {
    record::NewRecord out;
    out.timestamp = timestamp.milliseconds;
    out.key = ByteView{record.key};
    if (record.value) {
        out.value = ByteView{*record.value};
    }
    return out;
}

}  // namespace

std::size_t encoded_bound(const Record& record) {
    return record::BatchBuilder::upper_bound(as_new(record, Timestamp{}));
}

std::size_t batch_overhead() {
    return record::BatchHeader::size;
}

Result<Buffer> encode(const PendingBatch& batch, record::Compression codec,
                      record::Compressor& compressor) {
    if (batch.marker) {
        const record::EndTransactionMarker marker{
            .type = batch.marker->result == TransactionResult::commit ? record::ControlType::commit
                                                                      : record::ControlType::abort,
            .coordinator_epoch = batch.marker->coordinator_epoch};
        return record::end_transaction_batch(batch.producer, batch.producer_epoch, marker,
                                             batch.timestamp.milliseconds);
    }
    record::BatchOptions options;
    options.compression.codec = codec;
    options.producer_id = batch.producer;
    options.producer_epoch = batch.producer_epoch;
    options.is_transactional = batch.producer != no_producer;
    record::BatchBuilder builder{options};
    for (const Record& record : batch.records) {
        builder.append(as_new(record, batch.timestamp));
    }
    return builder.finish(compressor);
}

void UndoLog::revert_to(std::size_t count) {
    MR_ASSERT(count >= forgotten_);
    while (this->count() > count) {
        UniqueFunction<void()> undo = std::move(entries_.back());
        entries_.pop_back();
        undo();
    }
}

void UndoLog::forget_to(std::size_t count) {
    MR_ASSERT(count >= forgotten_ && count <= this->count());
    while (forgotten_ < count) {
        entries_.pop_front();
        ++forgotten_;
    }
}

}  // namespace millrace::coordinator
