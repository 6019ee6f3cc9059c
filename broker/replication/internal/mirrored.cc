// What a partition's leader does for a mirror link: takes over a history that another cluster
// wrote, as it is, and ends it when the mirror is promoted.
#include <algorithm>

#include "base/mutants.h"
#include "record/batch_view.h"
#include "record/control.h"
#include "replication/internal/partition.h"

namespace millrace::replication {

KafkaError Partition::check_mirror(LeaderEpoch as_epoch) const {
    if (const KafkaError error = check_leader(as_epoch); error != KafkaError::none) {
        return error;
    }
    if (!settings_.mirrored) {
        return KafkaError::policy_violation;
    }
    return log_->failure() ? KafkaError::kafka_storage_error : KafkaError::none;
}

MirrorAppended Partition::append_mirrored(LeaderEpoch as_epoch, ByteView bytes) {
    MirrorAppended appended;
    appended.error = check_mirror(as_epoch);
    if (appended.error == KafkaError::none && leader_->under_min_isr()) {
        appended.error = KafkaError::not_enough_replicas;
    }
    if (appended.error != KafkaError::none) {
        return appended;
    }
    std::vector<record::BatchView> batches;
    Offset end = log_->end();
    record::BatchRange range{bytes};
    while (const auto batch = range.next()) {
        if (const auto sound = batch->check(); !sound) {
            MR_LOG(*shell_.log, warn, "replication.mirrored_batch_refused",
                   field("topic", state_.topic), field("partition", state_.id.partition),
                   field("reason", sound.error().message()));
            appended.error = KafkaError::corrupt_message;
            break;
        }
        if (batch->base_offset() < end) {
            continue;  // applied before: the offset says so
        }
        if (batch->partition_leader_epoch() > state_.leader_epoch) {
            appended.epoch_needed = batch->partition_leader_epoch();
            break;
        }
        end = batch->next_offset();
        appended.bytes += static_cast<std::int64_t>(batch->size());
        batches.push_back(*batch);
    }
    appended.end = log_->end();
    if (batches.empty()) {
        return appended;
    }
    if (const auto written = log_->append(batches, shell_.loop->clock().wall()); !written) {
        MR_LOG(*shell_.log, warn, "replication.append_failed", field("topic", state_.topic),
               field("partition", state_.id.partition), field("reason", written.error().message()));
        appended.error = KafkaError::kafka_storage_error;
        return appended;
    }
    appended.batches = static_cast<std::int64_t>(batches.size());
    appended.end = log_->end();
    run(leader_->step(Appended{log_->end()}));
    shell_.flush_soon(*this);
    return appended;
}

KafkaError Partition::after_cut(const Result<void>& cut) {
    if (!cut) {
        return cut.error().code() == Code::busy ? KafkaError::request_timed_out
                                                : KafkaError::kafka_storage_error;
    }
    // What was promised above the cut is not there any more, at the source neither: who leads
    // begins anew, and followers find by their epochs where to cut.
    const Offset kept = std::min(leader_->high_watermark(), log_->end());
    leader_.reset();
    known_high_watermark_ = std::max(kept, log_->start());
    become_leader();
    return KafkaError::none;
}

KafkaError Partition::truncate_mirrored(LeaderEpoch as_epoch, Offset end) {
    if (const KafkaError error = check_mirror(as_epoch); error != KafkaError::none) {
        return error;
    }
    MR_LOG(*shell_.log, info, "replication.mirror_truncated", field("topic", state_.topic),
           field("partition", state_.id.partition), field("from", log_->end()), field("to", end));
    return after_cut(log_->truncate_to(end));
}

KafkaError Partition::start_mirrored_at(LeaderEpoch as_epoch, Offset start) {
    if (const KafkaError error = check_mirror(as_epoch); error != KafkaError::none) {
        return error;
    }
    const KafkaError error = after_cut(log_->truncate_fully_and_start_at(start));
    shell_.flush_soon(*this);  // whoever was told of this start may remember it longer than we do
    return error;
}

Result<storage::ReadSlice> Partition::read_mirrored(LeaderEpoch as_epoch, Offset from,
                                                    std::size_t max_bytes) {
    if (const KafkaError error = check_mirror(as_epoch); error != KafkaError::none) {
        return Error::make(Code::not_leader, "{}", error);
    }
    if (from >= log_->end()) {
        return storage::ReadSlice{};
    }
    storage::ReadRange range;
    range.from = from;
    range.upper = log_->end();
    range.max_bytes = max_bytes;
    range.check_in_place = false;  // kept as it is, whatever it is
    return log_->read(range);
}

void Partition::raise_epoch(LeaderEpoch to) {
    if (!leader_ || state_.leader_epoch >= to) {
        return;
    }
    IsrProposer::Proposal proposal;
    proposal.id = state_.id;
    proposal.leader_epoch = state_.leader_epoch;
    proposal.partition_epoch = state_.partition_epoch;
    proposal.isr = state_.isr;
    proposal.raise_to = to;
    // Refused or lost: whoever wanted it asks again.
    shell_.proposer->propose(std::move(proposal), [](KafkaError) {});
}

ClosingEnd Partition::closing_end(LeaderEpoch current_epoch) {
    ClosingEnd answer;
    answer.error = check_leader(current_epoch);
    if (answer.error != KafkaError::none) {
        return answer;
    }
    write_staged();  // what was taken before the fence belongs to what comes before the end
    answer.end = log_->end();
    if (answer.end > log_->start()) {
        answer.last_epoch = log_->epochs().epoch_of(answer.end - 1).value_or(no_leader_epoch);
    }
    answer.is_mirror = settings_.mirrored;
    answer.is_closed = settings_.fenced && !settings_.mirrored && staged_.empty();
    return answer;
}

void Partition::end_mirrored_history() {
    if (settings_.mirrored || !settings_.mirrored_end || MR_PLANTED(open_transactions_survive)) {
        return;
    }
    struct Open {
        ProducerId producer;
        ProducerEpoch epoch;
        std::int32_t coordinator_epoch;
    };
    std::vector<Open> open;
    for (const auto& [producer, entry] : log_->producers().entries()) {
        if (entry.has_open_transaction() && entry.transaction_start < *settings_.mirrored_end) {
            open.push_back({producer, entry.epoch, entry.coordinator_epoch});
        }
    }
    std::sort(open.begin(), open.end(),
              [](const Open& a, const Open& b) { return a.producer < b.producer; });
    for (const Open& one : open) {
        Buffer marker =
            record::end_transaction_batch(one.producer, one.epoch,
                                          {.type = record::ControlType::abort,
                                           .coordinator_epoch = std::max(one.coordinator_epoch, 0)},
                                          shell_.loop->clock().wall().milliseconds);
        Append append;
        append.id = state_.id;
        append.batch = marker;
        append.acks = 1;
        append.origin = Origin::coordinator;
        append.done = [log = shell_.log, topic = state_.topic, index = state_.id.partition,
                       producer = one.producer](const AppendResult& result) {
            if (result.error == KafkaError::none) {
                MR_LOG(*log, info, "replication.mirrored_transaction_aborted",
                       field("topic", topic), field("partition", index),
                       field("producer", producer));
            }
        };
        stage(std::move(append));
    }
}

}  // namespace millrace::replication
