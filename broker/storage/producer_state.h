// storage/producer_state.h
//
// What a partition remembers of its producers: the last batches of each (to find repeats and gaps),
// epochs (to fence), and open transactions (to know how far a committed reader may go). Pure: a
// function of the log's batches alone, so a leader, its followers and a recovery agree.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "model/ids.h"

namespace millrace::storage {

inline constexpr std::int32_t no_sequence = -1;

/// A batch of records by an idempotent or transactional producer.
struct ProducerBatch {
    ProducerId producer = no_producer;
    ProducerEpoch epoch{-1};
    std::int32_t first_sequence = no_sequence;
    std::int32_t last_sequence = no_sequence;
    Offset first_offset;  ///< Ignored by check().
    Offset last_offset;
    Timestamp max_timestamp;
    bool transactional = false;
};

/// A control batch that ends a transaction.
struct TransactionMarker {
    ProducerId producer = no_producer;
    ProducerEpoch epoch{-1};
    std::int32_t coordinator_epoch = -1;
    bool commit = false;
    Offset offset;
    Timestamp timestamp;
};

struct CompletedTransaction {
    ProducerId producer = no_producer;
    Offset first_offset;
    Offset last_offset;  ///< The marker's.
    bool aborted = false;
};

/// As a transaction index holds it.
struct AbortedTransaction {
    ProducerId producer = no_producer;
    Offset first_offset;
    Offset last_offset;
    Offset last_stable_offset;  ///< Below it no transaction is undecided, once this one is over.
    friend auto operator<=>(const AbortedTransaction&, const AbortedTransaction&) = default;
};

enum class ProducerVerdictKind {
    accept,
    duplicate,           ///< Stored before; answer with what was stored.
    fenced,              ///< The epoch is older than one already seen.
    out_of_order,        ///< A gap or an unknown repeat of a sequence.
    not_transactional,   ///< A plain batch while the producer's transaction is open.
    coordinator_fenced,  ///< A marker by a coordinator that was replaced.
};

struct ProducerVerdict {
    ProducerVerdictKind kind = ProducerVerdictKind::accept;
    // For a duplicate, of the batch stored before:
    Offset first_offset = no_offset;
    Offset last_offset = no_offset;
    Timestamp timestamp;
    // For a refusal, what was expected:
    ProducerEpoch current_epoch{-1};
    std::int32_t last_sequence = no_sequence;
};

/// One accepted batch, as remembered.
struct StoredBatch {
    std::int32_t last_sequence = no_sequence;
    std::int32_t offset_delta = 0;  ///< last_offset - first_offset
    Offset last_offset = no_offset;
    Timestamp timestamp;

    Offset first_offset() const { return last_offset - offset_delta; }
    std::int32_t first_sequence() const;
    friend bool operator==(const StoredBatch&, const StoredBatch&) = default;
};

struct ProducerEntry {
    static constexpr std::size_t batches_kept = 5;

    ProducerEpoch epoch{-1};
    std::int32_t coordinator_epoch = -1;
    Timestamp last_timestamp{-1};
    Offset transaction_start = no_offset;  ///< no_offset: none is open.
    Offset settled_end{0};  ///< Transactional batches below it belong to ended transactions.
    std::uint8_t batch_count = 0;
    std::array<StoredBatch, batches_kept> batches;  ///< Oldest first; batch_count are valid.

    bool has_open_transaction() const { return transaction_start != no_offset; }
    std::int32_t last_sequence() const {
        return batch_count == 0 ? no_sequence : batches[batch_count - 1].last_sequence;
    }
    friend bool operator==(const ProducerEntry&, const ProducerEntry&) = default;
};

/// The next sequence after `sequence`; they count from 0 to 2^31-1 and round again.
constexpr std::int32_t next_sequence(std::int32_t sequence) {
    return sequence == INT32_MAX ? 0 : sequence + 1;
}

class ProducerState {
public:
    /// May a client's batch be appended? Changes nothing, and knows only what was applied: of two
    /// batches by one producer, append the first before asking for the second.
    ProducerVerdict check(const ProducerBatch& batch) const;
    /// From transaction version 2 on every marker carries a new epoch; a repeat of the last one is
    /// accepted.
    ProducerVerdict check(const TransactionMarker& marker,
                          std::int16_t transaction_version = 0) const;

    /// Notes what the log now holds. Never refuses: what is in the log is a fact.
    void apply(const ProducerBatch& batch);
    /// The transaction that it ended, if one with records was open.
    std::optional<CompletedTransaction> apply(const TransactionMarker& marker);

    /// First offset of a transaction that is open, or whose marker lies at or above `upper`;
    /// `upper` if there is none. Below it every transaction is decided by what lies below `upper`.
    Offset last_stable(Offset upper) const;
    /// The last stable offset right after `completed` ended, whatever is replicated: for the index.
    Offset last_stable_after(const CompletedTransaction& completed) const;
    /// Decided transactions whose marker lies below `decided_end` need not be remembered.
    void forget_decided_below(Offset decided_end);

    /// Drops producers without an open transaction that were silent for `expiry`.
    void expire(Timestamp now, Duration expiry);
    void clear();

    /// One past the last offset that is reflected here.
    Offset end() const { return end_; }
    void set_end(Offset end) { end_ = end; }

    const ProducerEntry* find(ProducerId producer) const;
    const std::unordered_map<ProducerId, ProducerEntry>& entries() const { return entries_; }
    /// From a snapshot; an open transaction in it becomes one here.
    void restore(ProducerId producer, const ProducerEntry& entry);
    /// First offset of the oldest open transaction.
    std::optional<Offset> first_open_transaction() const;

private:
    ProducerEntry& entry_at_epoch(ProducerId producer, ProducerEpoch epoch);

    std::unordered_map<ProducerId, ProducerEntry> entries_;
    std::map<Offset, ProducerId> open_;  // By first offset.
    std::map<Offset, CompletedTransaction>
        decided_;  // By first offset; marker may be unreplicated.
    Offset end_{0};
};

}  // namespace millrace::storage
