// What a partition does for its log: retention, background syncs, files that no one needs any more,
// compaction.
#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "replication/internal/partition.h"

namespace millrace::replication {

void Partition::apply_retention(Timestamp now) {
    if (!log_ || log_->failure()) {
        return;
    }
    Result<void> outcome = log_->roll_if_aged(now);
    std::size_t gone = 0;
    if (outcome) {
        auto retained = log_->apply_retention(now, high_watermark());
        if (retained) {
            gone = *retained;
        } else {
            outcome = retained.error();
        }
    }
    if (!outcome) {
        MR_LOG(*shell_.log, warn, "replication.retention_failed", field("topic", state_.topic),
               field("partition", state_.id.partition), field("reason", outcome.error().message()));
    }
    if (gone > 0) {
        shell_.counts->segments_retired.fetch_add(gone, std::memory_order_relaxed);
        MR_LOG(*shell_.log, info, "replication.segments_retired", field("topic", state_.topic),
               field("partition", state_.id.partition), field("segments", gone),
               field("start", log_->start()));
    }
    tidy_log();
}

void Partition::close_log(UniqueFunction<void()> done) {
    // A failure is told by the close that follows: the log, or its directory, remembers it.
    auto job = !log_ || log_->failure() ? Result<std::optional<storage::SyncJob>>(std::nullopt)
                                        : log_->begin_close();
    if (!job || !*job) {
        done();
        return;
    }
    auto shared = std::make_shared<std::pair<storage::SyncJob, Result<void>>>(std::move(**job),
                                                                              Result<void>{});
    shell_.pool->run(
        0, *shell_.loop, [shared] { shared->second = shared->first.run(); },
        [shared, find = shell_.find, id = state_.id, log = log_->identity(),
         done = std::move(done)]() mutable {
            if (auto partition = find(id); partition && partition->is_of(log)) {
                partition->log_->complete_sync(shared->first, shared->second);
            }
            done();
        });
}

void Partition::expire_producers(Timestamp now) {
    if (log_) {
        log_->tidy_producers(now, high_watermark());
    }
}

void Partition::tidy_log() {
    if (!log_ || log_->failure()) {
        return;
    }
    if (log_->has_retired()) {
        dispose_retired();
    }
    if (log_->has_files_to_retire() || log_->has_unsynced_names()) {
        background_sync_ = true;
        start_sync();
    }
    if (settings_.durability == Durability::synced && !is_far_behind_ && !log_->has_unfiled()) {
        return;  // its syncs leave nothing to write back
    }
    if (auto job = log_->take_writeback()) {
        shell_.pool->run(0, *shell_.loop, [job = *std::move(job)] { job.run(); }, {});
    }
}

void Partition::look_at_failure() {
    if (!log_ || !log_->failure()) {
        return;
    }
    give_up_move();
    release_all(KafkaError::kafka_storage_error);
    on_synced();
}

void Partition::dispose_retired() {
    auto files = std::make_shared<storage::RetiredFiles>(log_->take_retired());
    auto outcome = std::make_shared<Result<void>>();
    shell_.loop->after(settings_.limits.file_delete_delay,
                       [files, outcome, pool = shell_.pool, loop = shell_.loop, log = shell_.log] {
                           pool->run(
                               0, *loop, [files, outcome] { *outcome = files->run(); },
                               [outcome, log] {
                                   if (!*outcome) {
                                       MR_LOG(*log, warn, "replication.files_not_removed",
                                              field("reason", outcome->error().message()));
                                   }
                               });
                       });
}

std::optional<storage::LogFacts> Partition::take_facts() {
    if (log_->failure() || shell_.closing) {
        return std::nullopt;
    }
    if (const auto marked = log_->mark_tail(); !marked) {
        // The log has failed, and its next call says so; or there was no room, and it is as it was.
        MR_LOG(*shell_.log, warn, "replication.tail_not_marked", field("topic", state_.topic),
               field("partition", state_.id.partition), field("reason", marked.error().message()));
    }
    tidy_log();
    start_sync();
    if (log_->has_unfiled()) {
        shell_.file_soon(*this);  // so that a quiet log's recovery point comes, too
    }
    return log_->take_facts();
}

LogMark Partition::mark() const {
    return {.id = state_.id,
            .partition = log_->partition(),
            .directory = log_->directory(),
            .path = log_->path(),
            .first_base = log_->first_base(),
            .start = log_->start(),
            .recovery_point =
                MR_PLANTED(journaled_end_is_recorded) ? log_->synced_end() : log_->recovery_point(),
            .high_watermark = high_watermark(),
            .cleaned_end = history_.cleaned_end,
            .is_compacted = settings_.limits.cleanup.compact,
            .is_uncleanable = uncleanable_,
            .segments = log_->segment_count(),
            .waiting_produces = waiting_.size()};
}

// --- Compaction ----------------------------------------------------------------------------------

struct Partition::Compaction {
    std::unique_ptr<storage::CompactionRound> round;
    std::shared_ptr<const void> log;  ///< Only to see whether it is still the same.
    CompactionPace pace;
    std::uint64_t bytes_paid = 0;
    UniqueFunction<void(CompactionOutcome)> done;
};

std::optional<storage::CompactionNeed> Partition::compaction_need(Timestamp now) {
    if (!log_ || log_->failure() || compacting_ || uncleanable_ || move_ ||
        !settings_.limits.cleanup.compact) {
        return std::nullopt;
    }
    auto need =
        log_->compaction_need(now, history_.cleaned_end, last_stable(), history_.recorded_end);
    return need && (need->due || need->held) ? std::optional(*need) : std::nullopt;
}

void Partition::compact(const storage::CompactionBudget& budget, CompactionPace pace,
                        UniqueFunction<void(CompactionOutcome)> done) {
    const Timestamp now = shell_.loop->clock().wall();
    const auto need = compaction_need(now);
    if (!need || !need->due) {
        done({});
        return;
    }
    auto round = log_->begin_compaction(*need, budget, now);
    if (!round) {
        done({round.error(), {}});
        return;
    }
    compacting_ = true;
    auto work = std::make_shared<Compaction>();
    work->round = *std::move(round);
    work->log = log_->identity();
    work->pace = pace;
    work->done = std::move(done);
    compact_piece(work);
}

void Partition::compact_piece(const std::shared_ptr<Compaction>& work) {
    shell_.pool->run(
        work->pace.lane, *shell_.loop, [work] { work->round->work(); },
        [work, find = shell_.find, id = state_.id] {
            auto partition = find(id);
            if (partition && partition->is_of(work->log)) {
                partition->on_compacted_piece(work);
            } else {
                work->done({Error(Code::cancelled, "the log is gone"), work->round->stats()});
            }
        });
}

void Partition::on_compacted_piece(const std::shared_ptr<Compaction>& work) {
    const auto more = log_->continue_compaction(*work->round);
    tidy_log();
    const bool stop = *work->pace.stopping && !log_->is_renaming();
    if (!more || !*more || stop) {
        finish_compaction(*work, more ? work->round->failure() : std::optional(more.error()), stop);
        return;
    }
    const storage::CompactionStats stats = work->round->stats();
    const std::uint64_t bytes = stats.bytes_read + stats.bytes_written;
    const double seconds =
        static_cast<double>(bytes - work->bytes_paid) / work->pace.bytes_per_second;
    work->bytes_paid = bytes;
    if (seconds < 0.001) {
        compact_piece(work);
        return;
    }
    constexpr double longest = 60;
    const auto pause = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(std::min(seconds, longest)));
    shell_.loop->after(pause, [work, find = shell_.find, id = state_.id] {
        auto partition = find(id);
        if (partition && partition->is_of(work->log)) {
            partition->compact_piece(work);
        } else {
            work->done({Error(Code::cancelled, "the log is gone"), work->round->stats()});
        }
    });
}

void Partition::finish_compaction(Compaction& work, std::optional<Error> failure, bool stopped) {
    compacting_ = false;
    if (stopped && !failure) {
        failure = Error(Code::cancelled, "stopped");
    }
    if (!failure && work.round->cleaned_end() <= history_.cleaned_end) {
        failure = Error(Code::corrupt, "the keys of one segment don't fit into memory");
    }
    if (!failure) {
        history_.cleaned_end = work.round->cleaned_end();
    } else if (failure->code() == Code::corrupt) {
        // Whoever reads the damaged part is told so; compacting it over and over helps no one.
        uncleanable_ = true;
    }
    work.done({std::move(failure), work.round->stats()});
}

}  // namespace millrace::replication
