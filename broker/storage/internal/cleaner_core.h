// storage/internal/cleaner_core.h
//
// What compaction keeps, batch by batch. Pure: bytes in, bytes out; time, producers and the last
// offset of each key are given. The rules are Kafka's, with delete horizons of KIP-534:
//
// - a record stays if it is the last with its key and, as a tombstone, its horizon has not passed;
//   records without a key go, as does everything in an aborted transaction;
// - an end marker stays until no record of its transaction is left and its horizon has passed;
// - an empty batch stays in place of a producer's last one, and of the round's last one.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "model/ids.h"
#include "record/batch_view.h"
#include "record/compression.h"
#include "record/record_view.h"
#include "storage/internal/key_offsets.h"
#include "storage/producer_state.h"

namespace millrace::storage {

/// Follows transactions through the batches of a log, in order: which data was aborted, and which
/// markers nothing depends on any more.
class TransactionFilter {
public:
    /// Those that touch what is read next. Each once.
    void add_aborted(const std::vector<AbortedTransaction>& transactions);

    /// True if all of the batch belongs to an aborted transaction.
    bool is_aborted(const record::BatchView& data_batch);
    /// True if no batch of the transaction that it ends was seen.
    Result<bool> is_spent(const record::BatchView& control_batch);

    /// Aborted transactions whose marker stays, since the last call: for the new index.
    std::vector<AbortedTransaction> take_kept();

private:
    struct Aborted {
        AbortedTransaction transaction;
        bool batch_seen = false;
    };
    void open_up_to(Offset offset);

    std::multimap<Offset, AbortedTransaction> coming_;  // By first offset.
    std::unordered_map<ProducerId, Aborted> aborted_;
    std::set<ProducerId> committed_;
    std::set<std::pair<ProducerId, Offset>> known_;
    std::vector<AbortedTransaction> kept_;
};

/// What a living producer's state rests on.
struct LastOfProducer {
    Offset last_data_offset = no_offset;  ///< no_offset: only a marker is known.
    ProducerEpoch epoch{-1};
};
using LastOfProducers = std::unordered_map<ProducerId, LastOfProducer>;
LastOfProducers last_of_producers(const ProducerState& state);

struct CleanRules {
    Timestamp now;
    Duration delete_retention{};
    Offset round_end;  ///< One past what this round may look at: the batch before it stays.
    LastOfProducers producers;
};

/// Notes the keys of a batch. False if the table is full: the round ends at keys.latest().
Result<bool> note_keys(const record::BatchView& batch, TransactionFilter& filter, KeyOffsets& keys,
                       record::Decompressor& decompressor);

struct CleanedBatch {
    enum class Kind { as_is, rewritten, gone };
    Kind kind = Kind::gone;
    Buffer bytes;  ///< If rewritten.
};

class BatchCleaner {
public:
    BatchCleaner(CleanRules rules, const KeyOffsets& keys)
        : rules_(std::move(rules)), keys_(keys) {}

    Result<CleanedBatch> clean(const record::BatchView& batch, TransactionFilter& filter);

private:
    struct Judgement {
        bool discard_records = false;
        bool keep_if_empty = false;
        bool set_horizon = false;  ///< A marker whose transaction is gone.
    };
    Result<Judgement> judge(const record::BatchView& batch, TransactionFilter& filter) const;
    bool keeps(const record::BatchView& batch, const record::RecordView& record) const;
    bool is_last_of_producer(const record::BatchView& batch) const;
    Result<CleanedBatch> rewrite(const record::BatchView& batch, const Judgement& judgement,
                                 bool set_horizon);
    CleanedBatch nothing_left(const record::BatchView& batch, const Judgement& judgement) const;

    CleanRules rules_;
    const KeyOffsets& keys_;
    record::Decompressor decompressor_;
    record::Compressor compressor_;
};

}  // namespace millrace::storage
