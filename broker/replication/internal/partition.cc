#include "replication/internal/partition.h"

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "base/overloaded.h"
#include "record/batch_view.h"
#include "runtime/shortage.h"

namespace millrace::replication {
namespace {

/// Batches below this size are gathered in memory and written together at the end of the turn.
constexpr std::size_t gather_below = 32U << 10;
constexpr Duration ask_again_after = 100ms;

storage::ProducerBatch producer_batch(const record::BatchView& batch) {
    return {.producer = batch.producer_id(),
            .epoch = batch.producer_epoch(),
            .first_sequence = batch.base_sequence(),
            .last_sequence = batch.last_sequence(),
            .first_offset = batch.base_offset(),
            .last_offset = batch.last_offset(),
            .max_timestamp = Timestamp{batch.max_timestamp()},
            .transactional = batch.is_transactional()};
}

KafkaError error_of(const Error& error) {
    // A full disk is told as what a client retries on: space may come back.
    return error.code() == Code::invalid ? KafkaError::unknown_server_error
                                         : KafkaError::kafka_storage_error;
}

}  // namespace

Partition::Partition(Shell& shell, PartitionState state, PartitionSettings settings)
    : shell_(shell), state_(std::move(state)), settings_(std::move(settings)) {}

void Partition::give_log(std::unique_ptr<storage::PartitionLog> log, const LogHistory& history) {
    MR_ASSERT(log_ == nullptr);
    log_ = std::move(log);
    history_ = history;
    known_high_watermark_ = std::clamp(history.high_watermark, log_->start(), log_->end());
    if (state_.leader == shell_.self) {
        become_leader();
    } else {
        become_follower();
    }
    check_place();
    if (log_->has_unsynced()) {
        background_sync_ = true;  // its recovery found no room for what a sync writes
        start_sync();
    }
}

std::unique_ptr<storage::PartitionLog> Partition::take_log() {
    give_up_move();
    holding_ = false;
    release_all(KafkaError::not_leader_or_follower);
    leader_.reset();
    follower_.reset();
    auto log = std::move(log_);
    on_synced();
    return log;
}

void Partition::change_state(PartitionState state) {
    if (state.partition_epoch < state_.partition_epoch) {
        return;
    }
    const bool same_epoch = state.leader_epoch == state_.leader_epoch;
    state_ = std::move(state);
    if (!log_) {
        return;
    }
    check_place();
    if (state_.leader != shell_.self) {
        if (leader_) {
            known_high_watermark_ = leader_->high_watermark();
            leader_.reset();
            release_all(KafkaError::not_leader_or_follower);
        }
        if (!follower_ || !same_epoch) {
            become_follower();
        }
        return;
    }
    if (leader_ && same_epoch) {
        run(leader_->step(IsrDecided{state_.replicas, state_.isr, state_.partition_epoch}));
        return;
    }
    become_leader();
}

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
            MR_LOG(*shell_.log, info, "replication.truncated", field("topic", state_.topic),
                   field("partition", state_.id.partition), field("to", cut->end),
                   field("from", log_->end()));
            outcome = log_->truncate_to(cut->end);
            taken = Taken::changed;
        } else if (const auto* over = std::get_if<StartOverAt>(&effect)) {
            outcome = log_->truncate_fully_and_start_at(over->start);
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
            MR_LOG(*shell_.log, warn, "replication.follower_stopped", field("topic", state_.topic),
                   field("partition", state_.id.partition),
                   field("reason", outcome.error().message()));
            return Taken::back_off;
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
    MR_TRY_VOID(log_->append(batches, shell_.loop->clock().wall()));
    tidy_log();
    return {};
}

void Partition::when_synced(UniqueFunction<void()> then) {
    if (!log_ || log_->failure() || log_->synced_end() >= log_->end()) {
        then();
        return;
    }
    waiting_for_sync_.emplace_back(log_->end(), std::move(then));
    start_sync();
}

void Partition::on_synced() {
    const bool over = !log_ || log_->failure().has_value();
    auto waiting = std::exchange(waiting_for_sync_, {});
    for (auto& [end, then] : waiting) {
        if (over || log_->synced_end() >= end) {
            then();
        } else {
            waiting_for_sync_.emplace_back(end, std::move(then));
        }
    }
}

void Partition::become_leader() {
    if (leader_) {
        known_high_watermark_ = leader_->high_watermark();
    }
    follower_.reset();
    is_far_behind_ = is_near_ = false;
    newcomers_.clear();
    write_staged();
    for (Staged& staged : std::exchange(staged_, {})) {
        refuse(std::move(staged.request), KafkaError::not_leader_or_follower);  // of the old epoch
    }
    staging_.clear();
    // A mirror's epochs are those of its batches, so that both clusters know one history.
    const auto assigned =
        settings_.mirrored ? Result<void>{} : log_->assign_epoch(state_.leader_epoch);
    if (!assigned) {
        MR_LOG(*shell_.log, error, "replication.epoch_not_written",
               field("partition", state_.topic), field("index", state_.id.partition),
               field("reason", assigned.error().message()));
        return;
    }
    leader_.emplace(LeaderCore::Start{.self = shell_.self,
                                      .replicas = state_.replicas,
                                      .isr = state_.isr,
                                      .partition_epoch = state_.partition_epoch,
                                      .end = log_->end(),
                                      .synced_end = log_->synced_end(),
                                      .high_watermark = known_high_watermark_,
                                      .durability = settings_.durability,
                                      .min_isr = settings_.min_isr,
                                      .lag_max = shell_.lag_max,
                                      .now = shell_.loop->clock().now()});
    run(leader_->step(Tick{shell_.loop->clock().now()}));
    end_mirrored_history();
    start_sync();
    shell_.readable(*this);
}

void Partition::change_settings(const PartitionSettings& settings) {
    const bool promoted = settings_.mirrored && !settings.mirrored;
    settings_ = settings;
    if (log_) {
        log_->set_limits(settings_.limits);
    }
    if (leader_) {
        run(leader_->step(SettingsChanged{settings_.durability, settings_.min_isr}));
        if (promoted) {
            become_leader();
        }
        start_sync();
    }
}

Offset Partition::high_watermark() const {
    return leader_ ? leader_->high_watermark() : known_high_watermark_;
}

Offset Partition::last_stable() const {
    return log_ ? log_->producers().last_stable(high_watermark()) : high_watermark();
}

KafkaError Partition::check_leader(LeaderEpoch current_epoch) const {
    return leader_ ? check_epoch(current_epoch) : KafkaError::not_leader_or_follower;
}

KafkaError Partition::check_reader(const Reader& reader, LeaderEpoch current_epoch) const {
    // What a follower calls committed is committed, though it may lag behind the leader's word.
    return follower_ && reader.at_followers ? check_epoch(current_epoch)
                                            : check_leader(current_epoch);
}

KafkaError Partition::check_epoch(LeaderEpoch current_epoch) const {
    if (MR_PLANTED(epochs_of_readers_unchecked)) {
        return KafkaError::none;
    }
    if (current_epoch != no_leader_epoch) {
        if (current_epoch < state_.leader_epoch) {
            return KafkaError::fenced_leader_epoch;
        }
        if (current_epoch > state_.leader_epoch) {
            return KafkaError::unknown_leader_epoch;
        }
    }
    return KafkaError::none;
}

// --- Append
// ---------------------------------------------------------------------------------------

void Partition::refuse(Append request, KafkaError error) {
    AppendResult result;
    result.error = error;
    result.log_start = log_ ? log_->start() : no_offset;
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    request.done(result);
}

void Partition::append(Append request) {
    if (const KafkaError error = check_leader(request.as_epoch.value_or(no_leader_epoch));
        error != KafkaError::none) {
        refuse(std::move(request), error);
        return;
    }
    if (log_->failure()) {
        refuse(std::move(request), KafkaError::kafka_storage_error);
        return;
    }
    constexpr std::size_t held_most = std::size_t{16} << 20;
    if (holding_ && staging_.size() + request.batch.size() > held_most) {
        refuse(std::move(request), KafkaError::not_leader_or_follower);
        return;
    }
    if (request.acks == -1 && leader_->under_min_isr()) {
        note_refused(request);
        refuse(std::move(request), KafkaError::not_enough_replicas);
        return;
    }
    if (request.origin == Origin::client && settings_.mirrored) {
        // Handlers refuse what goes to a mirror. Who comes this far met one that is being promoted:
        // it shall come again.
        refuse(std::move(request), KafkaError::not_leader_or_follower);
        return;
    }
    if (request.origin == Origin::client && !MR_PLANTED(sequences_unchecked)) {
        AppendResult result;
        const KafkaError error = check_producer(request, result);
        if (error == KafkaError::duplicate_sequence_number) {
            // Stored before: the same answer, at the same moment as then.
            const auto batch = record::BatchView::parse(request.batch);
            const Offset end = result.base + (batch->last_offset_delta() + std::int64_t{1});
            result.error = KafkaError::none;
            result.log_start = log_->start();
            if (answered_at_high_watermark(request.acks, state_.replicas.size()) &&
                end > leader_->high_watermark()) {
                waiting_.emplace(end, Waiting{result, std::move(request.done), {}});
            } else {
                request.done(result);
            }
            return;
        }
        if (error != KafkaError::none) {
            refuse(std::move(request), error);
            return;
        }
    }
    stage(std::move(request));
}

KafkaError Partition::check_producer(Append& request, AppendResult& result) {
    const auto batch = record::BatchView::parse(request.batch);
    MR_ASSERT(batch.has_value());  // validated before it came here
    if (!batch->has_producer_id()) {
        return KafkaError::none;
    }
    write_staged();  // so that the log's memory of this producer is complete
    if (!staged_.empty()) {
        return KafkaError::not_leader_or_follower;  // for a moment, while the log is moved
    }
    const storage::ProducerVerdict verdict = log_->producers().check(producer_batch(*batch));
    switch (verdict.kind) {
        case storage::ProducerVerdictKind::accept:
            if (log_->producers().find(batch->producer_id()) == nullptr &&
                !newcomers_.admits(batch->producer_id(), batch->producer_epoch(),
                                   batch->base_sequence(), shell_.loop->clock().now())) {
                return KafkaError::not_leader_or_follower;  // it comes again
            }
            return KafkaError::none;
        case storage::ProducerVerdictKind::duplicate:
            result.base = verdict.first_offset;
            if (settings_.log_append_time) {
                result.append_time = verdict.timestamp;
            }
            return KafkaError::duplicate_sequence_number;
        case storage::ProducerVerdictKind::fenced:
            return KafkaError::invalid_producer_epoch;
        case storage::ProducerVerdictKind::out_of_order:
            return KafkaError::out_of_order_sequence_number;
        case storage::ProducerVerdictKind::not_transactional:
            return KafkaError::invalid_txn_state;
        case storage::ProducerVerdictKind::coordinator_fenced:
            return KafkaError::transaction_coordinator_fenced;
    }
    return KafkaError::unknown_server_error;
}

void Partition::note_refused(const Append& request) {
    const auto batch = record::BatchView::parse(request.batch);
    if (request.origin == Origin::client && batch && batch->has_producer_id()) {
        newcomers_.refused(batch->producer_id(), batch->producer_epoch(), batch->base_sequence(),
                           shell_.loop->clock().now());
    }
}

void Partition::stage(Append request) {
    const MutableBytes bytes = request.batch;
    const bool large = bytes.size() >= gather_below && !holding_;
    if (large || staging_.size() + bytes.size() > (1U << 20)) {
        write_staged();
    }
    if (staged_.empty()) {
        staged_end_ = log_->end();
    }
    Staged staged;
    staged.base = staged_end_;
    staged.size = bytes.size();
    record::patch_base_offset(bytes, staged.base);
    record::patch_leader_epoch(bytes, state_.leader_epoch);
    if (settings_.log_append_time) {
        staged.append_time = shell_.loop->clock().wall();
        record::patch_timestamps(bytes, record::TimestampType::log_append_time,
                                 staged.append_time.milliseconds);
    }
    const auto batch = record::BatchView::parse(bytes);
    MR_ASSERT(batch.has_value());
    staged.end = batch->next_offset();
    staged.request = std::move(request);
    staged.request.batch = {};
    if (!large) {
        staged_end_ = staged.end;
        staging_.insert(staging_.end(), bytes.begin(), bytes.end());
        staged_.push_back(std::move(staged));
        shell_.flush_soon(*this);
        return;
    }
    const record::BatchView view = *batch;
    const auto written = log_->append({&view, 1}, shell_.loop->clock().wall());
    if (!written) {
        refuse(std::move(staged.request), error_of(written.error()));
        return;
    }
    finish_staged(std::move(staged));
    run(leader_->step(Appended{log_->end()}));
    shell_.flush_soon(*this);
}

void Partition::write_staged() {
    if (staged_.empty() || holding_) {
        return;
    }
    std::vector<Staged> staged = std::exchange(staged_, {});
    Buffer bytes = std::exchange(staging_, {});
    std::vector<record::BatchView> views;
    views.reserve(staged.size());
    record::BatchRange range{bytes};
    while (const auto view = range.next()) {
        views.push_back(*view);
    }
    MR_ASSERT(views.size() == staged.size());
    const auto written = log_->append(views, shell_.loop->clock().wall());
    if (!written) {
        MR_LOG(*shell_.log, warn, "replication.append_failed", field("topic", state_.topic),
               field("partition", state_.id.partition), field("reason", written.error().message()));
        for (Staged& one : staged) {
            refuse(std::move(one.request), error_of(written.error()));
        }
        return;
    }
    for (Staged& one : staged) {
        finish_staged(std::move(one));
    }
    if (leader_) {
        run(leader_->step(Appended{log_->end()}));
    }
    bytes.clear();
    if (bytes.capacity() <= (64U << 10) && staging_.empty()) {
        staging_ = std::move(bytes);  // keep a small one, so a steady producer costs no allocation
    }
}

void Partition::finish_staged(Staged staged) {
    appended_bytes_ += staged.size;
    AppendResult result;
    result.base = staged.base;
    result.append_time = staged.append_time;
    result.log_start = log_->start();
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    if (staged.request.stored) {
        staged.request.stored(staged.base, staged.end);
    }
    if (!answered_at_high_watermark(staged.request.acks, state_.replicas.size()) ||
        MR_PLANTED(acknowledges_before_commit)) {
        staged.request.done(result);
        return;
    }
    auto waiting =
        waiting_.emplace(staged.end, Waiting{result, std::move(staged.request.done), {}});
    if (state_.replicas.size() > 1) {
        // Alone, only our own disk can be late, and it answers or fails.
        waiting->second.timer = shell_.loop->after(
            staged.request.timeout, [this_find = shell_.find, id = state_.id, end = staged.end] {
                if (auto partition = this_find(id)) {
                    auto [from, to] = partition->waiting_.equal_range(end);
                    for (auto at = from; at != to;) {
                        Waiting late = std::move(at->second);
                        at = partition->waiting_.erase(at);
                        late.result.error = KafkaError::request_timed_out;
                        late.result.base = no_offset;
                        late.done(late.result);
                    }
                }
            });
    }
}

void Partition::flush() {
    if (!log_) {
        return;
    }
    write_staged();
    start_sync();
    tidy_log();
    if (leader_) {
        shell_.readable(*this);
    }
}

void Partition::start_sync() {
    if (!log_ || shell_.closing ||
        (settings_.durability == Durability::replicated && !background_sync_)) {
        return;
    }
    auto job = log_->begin_sync();
    if (!job) {
        return;
    }
    background_sync_ = false;
    auto shared = std::make_shared<std::pair<storage::SyncJob, Result<void>>>(std::move(*job),
                                                                              Result<void>{});
    shell_.pool->run(
        0, *shell_.loop, [shared] { shared->second = shared->first.run(); },
        [shared, find = shell_.find, id = state_.id, log = log_->identity(),
         asked = shell_.loop->read_clock()] {
            auto partition = find(id);
            if (!partition || !partition->is_of(log)) {
                return;  // it was deleted, or goes on in another directory
            }
            const Duration took = partition->shell_.loop->read_clock() - asked;
            ShardCounts::add(partition->shell_.counts->syncs, std::uint64_t{1});
            ShardCounts::add(partition->shell_.counts->sync_nanoseconds,
                             std::int64_t{std::chrono::nanoseconds{took}.count()});
            partition->log_->complete_sync(shared->first, shared->second);
            if (!shared->second) {
                partition->on_sync_failed(shared->second.error());
                return;
            }
            partition->sync_is_short_ = false;
            if (partition->leader_) {
                partition->run(partition->leader_->step(Synced{partition->log_->synced_end()}));
            }
            partition->on_synced();
            partition->start_sync();
            partition->tidy_log();
        });
}

void Partition::on_sync_failed(const Error& error) {
    if (!log_->failure()) {
        // Nothing counts as synced until a sync finds room, and acks wait for it.
        if (!std::exchange(sync_is_short_, true)) {
            MR_LOG(*shell_.log, warn, "replication.sync_put_off", field("topic", state_.topic),
                   field("partition", state_.id.partition), field("reason", error.message()));
        }
        shell_.loop->cancel(sync_again_);
        sync_again_ =
            shell_.loop->after(runtime::shortage_pause, [find = shell_.find, id = state_.id] {
                if (auto partition = find(id)) {
                    partition->background_sync_ = true;
                    partition->start_sync();
                }
            });
        return;
    }
    MR_LOG(*shell_.log, error, "replication.sync_failed", field("topic", state_.topic),
           field("partition", state_.id.partition), field("reason", error.message()));
    release_all(KafkaError::kafka_storage_error);
    on_synced();
}

void Partition::run(const std::vector<LeaderEffect>& effects) {
    for (const LeaderEffect& effect : effects) {
        std::visit(Overloaded{[this](const AdvanceHighWatermark& e) { on_high_watermark(e.to); },
                              [this](const ProposeIsr& e) { propose(e); }},
                   effect);
    }
}

void Partition::propose(const ProposeIsr& wanted) {
    IsrProposer::Proposal proposal{
        state_.id, state_.leader_epoch, wanted.partition_epoch, wanted.isr, {}};
    for (const auto& [replica, follower] : leader_->followers()) {
        if (!MR_PLANTED(proposals_without_lives)) {
            proposal.epochs.emplace(replica, follower.epoch);
        }
    }
    send(std::move(proposal));
}

void Partition::send(IsrProposer::Proposal proposal) {
    shell_.proposer->propose(proposal,
                             [find = shell_.find, id = state_.id, proposal](KafkaError error) {
                                 if (auto partition = find(id)) {
                                     partition->on_proposal_refused(proposal, error);
                                 }
                             });
}

void Partition::on_proposal_refused(const IsrProposer::Proposal& proposal, KafkaError error) {
    if (!leader_ || state_.leader_epoch != proposal.leader_epoch ||
        state_.partition_epoch > proposal.partition_epoch) {
        return;  // the metadata has moved on by itself
    }
    if (MR_PLANTED(unknown_outcome_taken_for_refusal)) {
        run(leader_->step(ProposalRefused{proposal.partition_epoch}));
        return;
    }
    ShardCounts::add(shell_.counts->isr_refused, std::uint64_t{1});
    switch (error) {
        case KafkaError::ineligible_replica:
        case KafkaError::operation_not_attempted:
            run(leader_->step(ProposalRefused{proposal.partition_epoch}));
            return;
        case KafkaError::invalid_update_version:
        case KafkaError::fenced_leader_epoch:
        case KafkaError::new_leader_elected:
        case KafkaError::unknown_topic_id:
        case KafkaError::unknown_topic_or_partition:
            // The metadata is ahead of us and on its way. Until it is here, the proposal may be
            // what was decided, so its members go on counting.
            return;
        default:
            // Nobody knows whether it had an effect: ask again until somebody does.
            run(leader_->step(ProposalUnanswered{proposal.partition_epoch}));
            ask_again(proposal);
    }
}

/// For the same lives: what we know of a member that has restarted since is not true of the next.
void Partition::ask_again(const IsrProposer::Proposal& proposal) {
    shell_.loop->after(ask_again_after, [find = shell_.find, id = state_.id, proposal] {
        auto partition = find(id);
        if (!partition || !partition->leader_ ||
            partition->state_.leader_epoch != proposal.leader_epoch ||
            partition->state_.partition_epoch != proposal.partition_epoch) {
            return;
        }
        if (MR_PLANTED(asks_again_for_any_life)) {
            partition->propose({proposal.isr, proposal.partition_epoch});
            return;
        }
        partition->send(proposal);
    });
}

void Partition::on_high_watermark(Offset to) {
    known_high_watermark_ = to;
    while (!waiting_.empty() && waiting_.begin()->first <= to) {
        Waiting ready = std::move(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
        shell_.loop->cancel(ready.timer);
        if (leader_->under_min_isr()) {
            ready.result.error = KafkaError::not_enough_replicas_after_append;
        }
        ready.done(ready.result);
    }
    if (high_watermark_listener_) {
        high_watermark_listener_(to);
    }
    shell_.readable(*this);
}

void Partition::watch_high_watermark(std::function<void(Offset)> listener) {
    high_watermark_listener_ = std::move(listener);
    if (high_watermark_listener_) {
        high_watermark_listener_(high_watermark());
    }
}

void Partition::release_all(KafkaError error) {
    for (Staged& staged : std::exchange(staged_, {})) {
        refuse(std::move(staged.request), error);
    }
    staging_.clear();
    for (auto& [end, waiting] : std::exchange(waiting_, {})) {
        shell_.loop->cancel(waiting.timer);
        waiting.result.error = error;
        waiting.result.base = no_offset;
        waiting.done(waiting.result);
    }
    shell_.readable(*this);
}

// --- Read
// -----------------------------------------------------------------------------------------

FetchResult Partition::read(const FetchPosition& position, const Reader& reader,
                            std::size_t max_bytes, bool min_one_batch) {
    FetchResult result;
    result.id = position.id;
    result.leader = state_.leader;
    result.leader_epoch = state_.leader_epoch;
    result.error = check_reader(reader, position.current_epoch);
    if (result.error != KafkaError::none) {
        return result;
    }
    result.high_watermark = high_watermark();
    result.last_stable = last_stable();
    result.log_start = log_->start();
    if (position.last_fetched_epoch != no_leader_epoch) {
        const storage::EpochEnd end =
            log_->epochs().end_offset_for(position.last_fetched_epoch, log_->end());
        if (end.end == no_offset) {
            result.error = KafkaError::offset_out_of_range;
            return result;
        }
        if (end.epoch < position.last_fetched_epoch || end.end < position.from) {
            result.diverging = DivergingEpoch{end.epoch, end.end};
            return result;
        }
    }
    Offset upper = log_->end();
    if (reader.level == ReadLevel::uncommitted) {
        upper = result.high_watermark;
    } else if (reader.level == ReadLevel::committed) {
        upper = result.last_stable;
    }
    if (position.from < log_->start() || position.from > log_->end()) {
        result.error = KafkaError::offset_out_of_range;
        return result;
    }
    if (leader_ && !position.nearer.empty()) {
        result.preferred = leader_->nearest(position.nearer, position.from);
    }
    if (position.from >= upper || result.preferred != no_broker) {
        return result;
    }
    max_bytes = std::min(max_bytes, static_cast<std::size_t>(std::max(0, position.max_bytes)));
    if (reader.level == ReadLevel::replica) {
        if (const ThrottleGate gate = gate_towards(reader.replica)) {
            result.throttled_for = gate.closed_for(shell_.loop->clock().now());
            if (result.throttled_for > Duration{}) {
                return result;
            }
            max_bytes = std::min(max_bytes, gate.piece());
            min_one_batch = true;  // or a batch larger than a piece would never go
        }
    }
    auto slice = log_->read({.from = position.from,
                             .upper = upper,
                             .max_bytes = max_bytes,
                             .min_one_batch = min_one_batch});
    if (!slice) {
        if (slice.error().code() == Code::corrupt) {
            shell_.counts->corrupt_reads.fetch_add(1, std::memory_order_relaxed);
            MR_LOG(*shell_.log, warn, "replication.corrupt_read", field("topic", state_.topic),
                   field("partition", state_.id.partition), field("offset", position.from),
                   field("reason", slice.error().message()));
        }
        result.error = slice.error().code() == Code::not_found ? KafkaError::offset_out_of_range
                       : slice.error().code() == Code::corrupt ? KafkaError::corrupt_message
                                                               : KafkaError::kafka_storage_error;
        return result;
    }
    if (reader.level == ReadLevel::committed) {
        auto aborted = log_->aborted_transactions(position.from, upper);
        if (!aborted) {
            result.error = KafkaError::kafka_storage_error;
            return result;
        }
        result.aborted = *std::move(aborted);
    }
    result.slice = *std::move(slice);
    return result;
}

std::int64_t Partition::readable_bytes(const FetchPosition& position, const Reader& reader) {
    const FetchResult now = read(position, reader, SIZE_MAX >> 1, true);
    if (now.error != KafkaError::none || now.diverging || now.preferred != no_broker) {
        return INT64_MAX / 4;  // an answer is due
    }
    return static_cast<std::int64_t>(now.slice.length);
}

void Partition::follower_fetched(const FetchPosition& position, const Reader& reader) {
    if (leader_ && check_leader(position.current_epoch) == KafkaError::none) {
        run(leader_->step(FollowerFetched{reader.replica, position.from, position.reader_synced_end,
                                          shell_.loop->clock().now(), reader.replica_epoch,
                                          position.reader_log_start}));
    }
}

void Partition::tick(Instant now) {
    if (log_) {
        log_->forget_decided_below(high_watermark());
    }
    if (leader_ && state_.replicas.size() > 1) {
        run(leader_->step(Tick{now}));
    }
}

void Partition::find_offset(ShardReplicas::OffsetKind kind, Timestamp at, LeaderEpoch current_epoch,
                            ReadLevel level, UniqueFunction<void(OffsetAnswer)> done) {
    using Kind = ShardReplicas::OffsetKind;
    OffsetAnswer answer;
    answer.error = check_leader(current_epoch);
    if (answer.error != KafkaError::none) {
        done(answer);
        return;
    }
    const Offset upper = level == ReadLevel::replica     ? log_->end()
                         : level == ReadLevel::committed ? last_stable()
                                                         : leader_->high_watermark();
    if (level != ReadLevel::replica && !leader_->is_current() && kind != Kind::earliest) {
        // A new leader does not know yet how far its predecessor had committed (KIP-207).
        answer.error = KafkaError::offset_not_available;
        done(answer);
        return;
    }
    if (kind == Kind::earliest || kind == Kind::earliest_local || kind == Kind::latest) {
        answer.offset = kind == Kind::latest ? upper : log_->start();
        const auto epoch = log_->epochs().epoch_of(answer.offset);
        // Of what the log knows, not what we lead in: a mirror's log holds the source's epochs, and
        // a consumer compares with the log.
        const auto latest = log_->epochs().latest();
        answer.epoch = kind != Kind::latest ? epoch.value_or(no_leader_epoch)
                       : latest             ? latest->epoch
                                            : no_leader_epoch;
        done(answer);
        return;
    }
    auto prepared =
        kind == Kind::max_timestamp ? log_->search_max_timestamp() : log_->search_timestamp(at);
    if (!prepared) {
        answer.error = KafkaError::kafka_storage_error;
        done(answer);
        return;
    }
    auto search = std::make_shared<storage::TimestampSearch>(*std::move(prepared));
    auto found = std::make_shared<Result<std::optional<storage::TimestampOffset>>>(
        std::optional<storage::TimestampOffset>{});
    shell_.pool->run(
        0, *shell_.loop, [search, found] { *found = search->run(); },
        [found, upper, done = std::move(done)]() mutable {
            OffsetAnswer late;
            if (!*found) {
                late.error = KafkaError::kafka_storage_error;
            } else if (const auto& hit = **found; hit && hit->offset < upper) {
                late.offset = hit->offset;
                late.timestamp = hit->timestamp;
                late.epoch = hit->epoch;
            }
            done(late);
        });
}

EpochEndAnswer Partition::epoch_end(LeaderEpoch current_epoch, LeaderEpoch asked) {
    EpochEndAnswer answer;
    answer.error = check_leader(current_epoch);
    if (answer.error == KafkaError::none) {
        const storage::EpochEnd end = log_->epochs().end_offset_for(asked, log_->end());
        answer.epoch = end.epoch;
        answer.end = end.end;
    }
    return answer;
}

std::pair<KafkaError, Offset> Partition::delete_records(Offset before) {
    if (!leader_) {
        return {KafkaError::not_leader_or_follower, no_offset};
    }
    const Offset target = before == no_offset ? leader_->high_watermark() : before;
    if (target < Offset{0} || target > leader_->high_watermark()) {
        return {KafkaError::offset_out_of_range, no_offset};
    }
    if (const auto moved = log_->advance_start(target); !moved) {
        return {KafkaError::kafka_storage_error, no_offset};
    }
    return {KafkaError::none, log_->start()};
}

ShardReplicas::View Partition::view() const {
    ShardReplicas::View view;
    view.id = state_.id;
    view.topic = state_.topic;
    view.leader = state_.leader;
    view.leader_epoch = state_.leader_epoch;
    view.is_leader = leader_.has_value();
    view.isr = state_.isr.size();
    view.replicas = state_.replicas.size();
    view.under_min_isr = leader_ && leader_->under_min_isr();
    view.high_watermark = high_watermark();
    view.last_stable = last_stable();
    if (log_) {
        view.start = log_->start();
        view.end = log_->end();
        view.synced_end = log_->synced_end();
        if (const auto latest = log_->epochs().epoch_of(log_->end() - 1)) {
            view.last_epoch = *latest;
        }
        view.size_bytes = log_->size_bytes();
        view.directory = log_->directory()->id();
        view.directory_path = log_->directory()->path();
        view.failure = log_->failure();
        view.future = future_view();
    }
    return view;
}

}  // namespace millrace::replication
