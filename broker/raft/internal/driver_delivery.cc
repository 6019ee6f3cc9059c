#include <algorithm>

#include "raft/internal/driver.h"
#include "record/batch_view.h"

namespace millrace::raft {

namespace {

/// At most so much of the log per task, so that requests get their turn in between.
constexpr Bytes delivery_bytes = 1_MiB;

}  // namespace

// ---- Appending ----------------------------------------------------------------------------------

Result<Appended> Driver::append(QuorumEpoch epoch, Buffer batch,
                                UniqueFunction<void(Result<void>)> committed) {
    if (stopped_ || !core_) {
        return Error(Code::closed, "the quorum is not running");
    }
    if (static_cast<std::int64_t>(batch.size()) > options_.quorum.max_batch.count) {
        return Error::make(Code::invalid, "a batch of {} bytes, the limit is {}", batch.size(),
                           options_.quorum.max_batch.count);
    }
    MR_TRY(const auto view, record::BatchView::parse(batch));
    MR_TRY_VOID(view.check());
    if (view.size() != batch.size() || view.is_control() || view.record_count() < 1 ||
        view.base_offset() != Offset{0} || view.last_offset().value + 1 != view.record_count()) {
        return Error(Code::invalid, "not one batch of data records from offset 0");
    }
    const std::int32_t count = view.record_count();
    MR_ASSERT(!stepping_);  // Nobody whom the core's effects reach proposes from there.
    appended_.reset();
    step(Proposed{epoch, count, std::make_shared<const Buffer>(std::move(batch))});
    if (stopped_) {
        return Error(Code::closed, "the quorum stopped");
    }
    if (!appended_) {
        return Error::make(Code::not_leader, "this node does not lead epoch {}", epoch);
    }
    const Appended result{appended_->base, appended_->end};
    appended_.reset();
    appends_.emplace(result.end, std::move(committed));
    return result;
}

void Driver::complete_appends() {
    while (!appends_.empty() && appends_.begin()->first <= delivered_) {
        auto committed = std::move(appends_.begin()->second);
        appends_.erase(appends_.begin());
        if (committed) {
            committed({});
        }
    }
}

void Driver::fail_appends_from(Offset end) {
    for (auto entry = appends_.upper_bound(end); entry != appends_.end();) {
        if (entry->second) {
            executor_.post([committed = std::move(entry->second)]() mutable {
                committed(Error(Code::not_leader,
                                "leadership ended before the record was known to be committed"));
            });
        }
        entry = appends_.erase(entry);
    }
}

// ---- Delivering ---------------------------------------------------------------------------------

void Driver::schedule_delivery() {
    if (!delivery_scheduled_ && listener_ != nullptr) {
        delivery_scheduled_ = true;
        executor_.post(guarded([this] {
            delivery_scheduled_ = false;
            deliver();
        }));
    }
}

void Driver::deliver() {
    if (stopped_) {
        return;
    }
    Result<void> outcome;
    if (needs_snapshot_) {
        outcome = deliver_snapshot();
    } else if (core_->high_watermark().value_or(Offset{0}) > delivered_) {
        outcome = deliver_batches();
    }
    if (!outcome) {
        // A record that can't be applied is never skipped.
        halt(outcome.error().with_context("applying committed metadata"));
        return;
    }
    if (stopped_) {
        return;
    }
    complete_appends();
    announce();
    if (needs_snapshot_ || core_->high_watermark().value_or(Offset{0}) > delivered_) {
        schedule_delivery();
    }
}

Result<void> Driver::deliver_snapshot() {
    needs_snapshot_ = false;
    const SnapshotId id = *core_->latest_snapshot();
    MR_TRY(auto file, disk_.open(path_of(id), runtime::OpenMode::read));
    const auto reader =
        open_snapshot(std::move(file), id, snapshots_.at(id).last_contained_log_time);
    MR_TRY_VOID(listener_->on_snapshot(*reader));
    delivered_ = id.end;
    return {};
}

Result<void> Driver::deliver_batches() {
    const Offset limit = *core_->high_watermark();
    MR_TRY(const Buffer bytes, log_->read(delivered_, limit, delivery_bytes));
    std::vector<CommittedBatch> batches;
    Offset next = delivered_;
    record::BatchRange range{bytes};
    for (const record::BatchView batch : range) {
        MR_TRY_VOID(batch.check());
        if (batch.base_offset() != next) {
            return Error::make(Code::corrupt, "the log has {} where {} is due", batch.base_offset(),
                               next);
        }
        next = batch.next_offset();
        batches.push_back({.base = batch.base_offset(),
                           .end = next,
                           .epoch = QuorumEpoch{batch.partition_leader_epoch().value},
                           .append_time = Timestamp{batch.max_timestamp()},
                           .is_control = batch.is_control(),
                           .bytes = batch.bytes()});
    }
    if (batches.empty() || next > limit) {
        return Error::make(Code::corrupt, "the log can't be read from {} to {}", delivered_, limit);
    }
    delivered_ = next;  // Before the call: the listener may take a snapshot in it.
    return listener_->on_commit(batches);
}

void Driver::announce() {
    const bool is_self = leader_.leader == options_.quorum.node_id;
    if (is_self && delivered_ < leader_.epoch_start) {
        return;  // It would decide on what it has not seen yet.
    }
    const Leadership current{leader_.epoch, leader_.leader, is_self};
    if (announced_ != current) {
        announced_ = current;
        listener_->on_leader_change(current);
    }
}

}  // namespace millrace::raft
