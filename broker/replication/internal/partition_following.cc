// A partition as a follower: what it asks of its leader, takes from it and tells it.

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "base/overloaded.h"
#include "record/batch_view.h"
#include "replication/internal/partition.h"

namespace millrace::replication {

void Partition::become_follower() {
    if (follower_) {
        known_high_watermark_ = follower_->high_watermark();
    }
    follower_.emplace(state_.leader_epoch, known_high_watermark_);
    is_near_ = false;
    behind_for_ = 0;
    committed_before_ = no_offset;
    shell_.readable(*this);  // those who wait here know another epoch
}

bool Partition::is_in_sync() const {
    return std::find(state_.isr.begin(), state_.isr.end(), shell_.self) != state_.isr.end();
}

FetchPosition Partition::follower_position() const {
    FetchPosition position;
    position.id = state_.id;
    position.from = log_->end();
    position.current_epoch = state_.leader_epoch;
    position.last_fetched_epoch = FollowerCore::last_fetched_epoch(facts());
    position.reader_log_start = log_->start();
    if (settings_.durability == Durability::synced) {
        position.reader_synced_end =
            MR_PLANTED(follower_reports_unsynced) ? log_->end() : log_->synced_end();
    }
    return position;
}

Partition::Taken Partition::take_fetched(const Fetched& fetched, ByteView bytes) {
    if (holding_) {
        return Taken::back_off;  // it comes again once the log has its new place
    }
    const Taken taken = run(follower_->on_fetched(fetched, facts()), fetched, bytes);
    if (log_->failure()) {
        return Taken::back_off;
    }
    follower_->on_log_end(log_->end());
    if (fetched.error == KafkaError::none) {
        judge_pace(fetched);
    }
    if (std::exchange(known_high_watermark_, follower_->high_watermark()) !=
        follower_->high_watermark()) {
        shell_.readable(*this);  // to consumers that read here
    }
    return taken;
}

/// A copy comes near before it is in the ISR: its leader proposes it as soon as it has all that is
/// committed, and from then on every acknowledgement waits for it. So it is near, and is fetched
/// with those in sync, once it holds what was committed an answer ago; it stays so until it lags
/// for many answers.
void Partition::judge_pace(const Fetched& fetched) {
    constexpr int lags = 16;
    const Offset before = std::exchange(committed_before_, fetched.high_watermark);
    is_far_behind_ = !is_in_sync() && log_->end() < fetched.high_watermark;
    behind_for_ = is_far_behind_ ? behind_for_ + 1 : 0;
    if (is_far_behind_) {
        on_synced();  // who waited goes on: the sync is put off
    }
    const Offset counted =
        settings_.durability == Durability::synced ? log_->synced_end() : log_->end();
    const bool comes_near = before != no_offset && counted >= before && !is_far_behind_;
    const bool near = !is_in_sync() && (is_near_ ? behind_for_ < lags : comes_near);
    if (const bool kept_up = keeps_up();
        std::exchange(is_near_, near) != near && keeps_up() != kept_up) {
        shell_.changes_lane(*this);
    }
}

Partition::Taken Partition::run(const std::vector<FollowerEffect>& effects, const Fetched& fetched,
                                ByteView bytes) {
    Taken taken = Taken::nothing;
    for (const FollowerEffect& effect : effects) {
        Result<void> outcome;
        if (const auto* cut = std::get_if<TruncateTo>(&effect)) {
            const Offset from = log_->end();
            outcome = log_->truncate_to(cut->end);
            if (outcome) {
                MR_LOG(*shell_.log, info, "replication.truncated", field("topic", state_.topic),
                       field("partition", state_.id.partition), field("to", cut->end),
                       field("from", from));
            }
            on_synced();
            taken = Taken::changed;
        } else if (const auto* over = std::get_if<StartOverAt>(&effect)) {
            outcome = log_->truncate_fully_and_start_at(over->start);
            on_synced();
            taken = Taken::changed;
        } else if (std::holds_alternative<AppendFetched>(effect)) {
            outcome = append_fetched(bytes);
            taken = Taken::changed;
        } else if (const auto* start = std::get_if<AdvanceStart>(&effect)) {
            if (auto moved = log_->advance_start(std::min(start->to, log_->end())); !moved) {
                outcome = moved.error();
            }
        } else if (std::holds_alternative<AskLeaderRange>(effect)) {
            taken =
                run(follower_->on_leader_range(fetched.log_start, fetched.high_watermark, facts()),
                    fetched, bytes);
        } else if (std::holds_alternative<BackOff>(effect)) {
            taken = Taken::back_off;
        }
        if (!outcome) {
            // It is tried ten times a second, and a full disk has many partitions.
            if (std::exchange(told_of_, outcome.error().code()) != outcome.error().code()) {
                MR_LOG(*shell_.log, warn, "replication.follower_stopped",
                       field("topic", state_.topic), field("partition", state_.id.partition),
                       field("reason", outcome.error().message()));
            }
            return Taken::back_off;
        }
        if (taken == Taken::changed) {
            told_of_.reset();
        }
    }
    return taken;
}

Result<void> Partition::append_fetched(ByteView bytes) {
    std::vector<record::BatchView> batches;
    record::BatchRange range{bytes};
    while (const auto batch = range.next()) {
        MR_TRY_VOID(batch->check());  // what comes over the network is not believed
        if (batch->next_offset() <= log_->end()) {
            continue;  // the first batch may begin before what we asked for
        }
        batches.push_back(*batch);
    }
    if (batches.empty()) {
        return {};
    }
    // A leader's log may begin within a batch (DeleteRecords): a log that is to begin there too
    // gets the whole batch, and its start back.
    const Offset start = log_->start();
    const bool begins_within = start == log_->end() && batches.front().base_offset() < log_->end();
    if (begins_within) {
        MR_TRY_VOID(log_->truncate_fully_and_start_at(batches.front().base_offset()));
    }
    MR_TRY_VOID(log_->append(batches, shell_.loop->clock().wall()));
    if (begins_within) {
        MR_TRY_VOID(log_->advance_start(start));
    }
    tidy_log();
    return {};
}

bool Partition::sync_to_come() const {
    const bool is_short = sync_is_short_ && !MR_PLANTED(short_syncs_hold_up_others);
    return log_ && !log_->failure() && settings_.durability == Durability::synced && !is_short &&
           !is_far_behind_ && log_->synced_end() < log_->end();
}

void Partition::when_synced(UniqueFunction<void()> then) {
    MR_ASSERT(sync_to_come());
    waiting_for_sync_.emplace_back(log_->end(), std::move(then));
    start_sync();
}

void Partition::on_synced() {
    // Nobody waits until there is room: a leader hears again and again how far it is synced.
    const bool over = !sync_to_come();
    auto waiting = std::exchange(waiting_for_sync_, {});
    for (auto& [end, then] : waiting) {
        if (over || log_->synced_end() >= end) {
            then();
        } else {
            waiting_for_sync_.emplace_back(end, std::move(then));
        }
    }
}

}  // namespace millrace::replication
