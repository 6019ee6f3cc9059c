#include "storage/producer_state.h"

#include <algorithm>

#include "base/assert.h"
#include "base/mutants.h"

namespace millrace::storage {

namespace {

/// `sequence - count`, in the circle of 2^31 sequences.
std::int32_t sequence_before(std::int32_t sequence, std::int32_t count) {
    if (sequence >= count) {
        return sequence - count;
    }
    return INT32_MAX - (count - sequence) + 1;
}

const StoredBatch* find_stored(const ProducerEntry& entry, const ProducerBatch& batch) {
    for (std::size_t i = 0; i < entry.batch_count; ++i) {
        const StoredBatch& stored = entry.batches[i];
        // A sequence that an ended transaction used is no repeat within the next one.
        const bool settled = batch.transactional && stored.last_offset < entry.settled_end;
        if (!settled && stored.first_sequence() == batch.first_sequence &&
            stored.last_sequence == batch.last_sequence) {
            return &stored;
        }
    }
    return nullptr;
}

}  // namespace

std::int32_t StoredBatch::first_sequence() const {
    return last_sequence == no_sequence ? no_sequence
                                        : sequence_before(last_sequence, offset_delta);
}

ProducerVerdict ProducerState::check(const ProducerBatch& batch) const {
    const ProducerEntry* entry = find(batch.producer);
    if (entry == nullptr) {
        // Nothing known: retention may have taken its records, so any sequence is a beginning.
        return {};
    }
    ProducerVerdict refusal{.current_epoch = entry->epoch, .last_sequence = entry->last_sequence()};
    if (batch.epoch < entry->epoch) {
        refusal.kind = ProducerVerdictKind::fenced;
        return refusal;
    }
    if (batch.epoch == entry->epoch) {
        if (const StoredBatch* stored = find_stored(*entry, batch)) {
            return {.kind = ProducerVerdictKind::duplicate,
                    .first_offset = stored->first_offset(),
                    .last_offset = stored->last_offset,
                    .timestamp = stored->timestamp};
        }
    }
    // A new epoch starts at 0 again, as does an epoch of which only a marker is known.
    const std::int32_t last = batch.epoch == entry->epoch ? entry->last_sequence() : no_sequence;
    const bool follows = last == no_sequence ? batch.first_sequence == 0
                                             : batch.first_sequence == next_sequence(last);
    if (!follows && entry->epoch != ProducerEpoch{-1}) {
        refusal.kind = ProducerVerdictKind::out_of_order;
        return refusal;
    }
    if (entry->has_open_transaction() && !batch.transactional) {
        refusal.kind = ProducerVerdictKind::not_transactional;
        return refusal;
    }
    return {};
}

ProducerVerdict ProducerState::check(const TransactionMarker& marker,
                                     std::int16_t transaction_version) const {
    const ProducerEntry* entry = find(marker.producer);
    if (entry == nullptr) {
        return {};
    }
    ProducerVerdict verdict{.current_epoch = entry->epoch, .last_sequence = entry->last_sequence()};
    const bool bumps = transaction_version >= 2;
    const bool repeat = bumps && marker.epoch == entry->epoch && !entry->has_open_transaction();
    const bool old_epoch = bumps ? marker.epoch <= entry->epoch : marker.epoch < entry->epoch;
    if (old_epoch && !repeat) {
        verdict.kind = ProducerVerdictKind::fenced;
    } else if (marker.coordinator_epoch < entry->coordinator_epoch) {
        verdict.kind = ProducerVerdictKind::coordinator_fenced;
    }
    return verdict;
}

ProducerEntry& ProducerState::entry_at_epoch(ProducerId producer, ProducerEpoch epoch) {
    ProducerEntry& entry = entries_[producer];
    if (entry.epoch != epoch) {
        entry.epoch = epoch;
        entry.batch_count = 0;
    }
    return entry;
}

void ProducerState::apply(const ProducerBatch& batch) {
    ProducerEntry& entry = entry_at_epoch(batch.producer, batch.epoch);
    if (entry.batch_count == ProducerEntry::batches_kept ||
        (entry.batch_count == 1 && MR_PLANTED(remembers_one_batch))) {
        std::move(entry.batches.begin() + 1, entry.batches.end(), entry.batches.begin());
        --entry.batch_count;
    }
    entry.batches[entry.batch_count++] = {
        .last_sequence = batch.last_sequence,
        .offset_delta = static_cast<std::int32_t>(batch.last_offset - batch.first_offset),
        .last_offset = batch.last_offset,
        .timestamp = batch.max_timestamp};
    entry.last_timestamp = batch.max_timestamp;
    if (batch.transactional && !entry.has_open_transaction()) {
        entry.transaction_start = batch.first_offset;
        open_.emplace(batch.first_offset, batch.producer);
    }
    end_ = std::max(end_, batch.last_offset + 1);
}

std::optional<CompletedTransaction> ProducerState::apply(const TransactionMarker& marker) {
    ProducerEntry& entry = entry_at_epoch(marker.producer, marker.epoch);
    entry.coordinator_epoch = marker.coordinator_epoch;
    entry.last_timestamp = marker.timestamp;
    entry.settled_end = marker.offset;
    end_ = std::max(end_, marker.offset + 1);
    if (!entry.has_open_transaction()) {
        return std::nullopt;
    }
    const CompletedTransaction completed{.producer = marker.producer,
                                         .first_offset = entry.transaction_start,
                                         .last_offset = marker.offset,
                                         .aborted = !marker.commit};
    open_.erase(entry.transaction_start);
    decided_[completed.first_offset] = completed;
    entry.transaction_start = no_offset;
    return completed;
}

Offset ProducerState::last_stable(Offset upper) const {
    Offset stable = upper;
    if (!open_.empty()) {
        stable = std::min(stable, open_.begin()->first);
    }
    for (const auto& [first, transaction] : decided_) {
        if (first >= stable) {
            break;
        }
        if (transaction.last_offset >= upper) {
            stable = first;
        }
    }
    return stable;
}

Offset ProducerState::last_stable_after(const CompletedTransaction& completed) const {
    return open_.empty() ? completed.last_offset + 1
                         : std::min(open_.begin()->first, completed.last_offset + 1);
}

void ProducerState::forget_decided_below(Offset decided_end) {
    std::erase_if(decided_, [decided_end](const auto& item) {
        return item.second.last_offset < decided_end;
    });
}

void ProducerState::expire(Timestamp now, Duration expiry) {
    std::erase_if(entries_, [now, expiry](const auto& item) {
        const ProducerEntry& entry = item.second;
        return !entry.has_open_transaction() && now - entry.last_timestamp >= expiry;
    });
}

void ProducerState::clear() {
    entries_.clear();
    open_.clear();
    decided_.clear();
    end_ = Offset{0};
}

const ProducerEntry* ProducerState::find(ProducerId producer) const {
    const auto found = entries_.find(producer);
    return found == entries_.end() ? nullptr : &found->second;
}

void ProducerState::restore(ProducerId producer, const ProducerEntry& entry) {
    entries_[producer] = entry;
    if (entry.has_open_transaction()) {
        open_.emplace(entry.transaction_start, producer);
    }
}

std::optional<Offset> ProducerState::first_open_transaction() const {
    return open_.empty() ? std::nullopt : std::optional{open_.begin()->first};
}

}  // namespace millrace::storage
