// coordinator/internal/batch.h
//
// Records that will be one batch of the log, with who waits for them and how to take them back.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "base/result.h"
#include "coordinator/record.h"
#include "coordinator/state_machine.h"
#include "record/compression.h"
#include "record/types.h"

namespace millrace::coordinator {

struct Waiter {
    Instant deadline;
    Outcome outcome;
};

struct Marker {
    TransactionResult result;
    std::int32_t coordinator_epoch;
};

struct PendingBatch {
    Offset base;
    Timestamp timestamp;
    ProducerId producer = no_producer;
    ProducerEpoch producer_epoch{-1};
    std::optional<Marker> marker;  ///< Then there are no records: the batch is a control batch.
    std::vector<Record> records;
    std::size_t bytes = 0;       ///< Upper bound of the encoded batch.
    std::size_t first_undo = 0;  ///< Counted over the shard's life, as UndoLog::count().
    std::vector<Waiter> waiters;

    Offset next() const { return base + (marker ? 1 : static_cast<std::int64_t>(records.size())); }
    bool closed = false;  ///< Nothing may be added.
};

/// What a record adds to a batch at most.
std::size_t encoded_bound(const Record& record);
std::size_t batch_overhead();

Result<Buffer> encode(const PendingBatch& batch, record::Compression codec,
                      record::Compressor& compressor);

/// Undo entries from the oldest batch that the log hasn't taken to the newest change.
class UndoLog final : public Journal {
public:
    bool keeps() const override { return true; }
    void undo_with(UniqueFunction<void()> undo) override { entries_.push_back(std::move(undo)); }

    std::size_t count() const { return forgotten_ + entries_.size(); }
    /// Takes back every change past the first `count`.
    void revert_to(std::size_t count);
    /// The first `count` changes are in the log.
    void forget_to(std::size_t count);

private:
    std::deque<UniqueFunction<void()>> entries_;
    std::size_t forgotten_ = 0;
};

/// For replaying the log: nothing is ever taken back.
class NoJournal final : public Journal {
public:
    bool keeps() const override { return false; }
    void undo_with(UniqueFunction<void()>) override {}
};

}  // namespace millrace::coordinator
