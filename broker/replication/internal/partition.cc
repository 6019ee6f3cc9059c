#include "replication/internal/partition.h"

#include <algorithm>
#include <utility>

#include "base/mutants.h"
#include "base/overloaded.h"

namespace millrace::replication {
namespace {

constexpr Duration ask_again_after = 100ms;

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
        run(leader_->step(
            IsrDecided{state_.replicas, state_.isr, state_.partition_epoch, ineligible()}));
        return;
    }
    become_leader();
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
    } else {
        on_synced();  // to who waits for a sync that nobody asks for any more
    }
}

Offset Partition::high_watermark() const {
    return leader_ ? leader_->high_watermark() : known_high_watermark_;
}

Offset Partition::last_stable() const {
    return log_ ? log_->producers().last_stable(high_watermark()) : high_watermark();
}

KafkaError Partition::check_leader(LeaderEpoch current_epoch) const {
    // The epoch first, as in Kafka: it tells who asks which of the two is behind.
    const KafkaError of_epoch = check_epoch(current_epoch);
    return of_epoch != KafkaError::none || leader_ ? of_epoch : KafkaError::not_leader_or_follower;
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

// --- What the leader decided
// ------------------------------------------------------------------------

void Partition::run(const std::vector<LeaderEffect>& effects) {
    for (const LeaderEffect& effect : effects) {
        std::visit(Overloaded{[this](const AdvanceHighWatermark& e) { on_high_watermark(e.to); },
                              [this](const ProposeIsr& e) { propose(e); }},
                   effect);
    }
    if (leader_ && log_ && !deletions_.empty()) {
        answer_deletions();
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
    for (auto& [number, deletion] : std::exchange(deletions_, {})) {
        shell_.loop->cancel(deletion.timer);
        deletion.done(error, no_offset);
    }
    shell_.readable(*this);
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
