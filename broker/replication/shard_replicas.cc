#include "replication/shard_replicas.h"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "base/mutants.h"
#include "replication/housekeeping.h"
#include "replication/internal/log_closing.h"
#include "replication/internal/shard_inside.h"

namespace millrace::replication {

ShardReplicas::ShardReplicas(Options options, runtime::Shard shard, runtime::DiskPool& pool,
                             storage::LogStore& store, IsrProposer& proposer, const Peers& peers,
                             const Logger& log)
    : inside_(std::make_shared<Inside>(options, shard, pool, store, proposer, peers, log)) {
    inside_->start();
}

ShardReplicas::~ShardReplicas() = default;

void ShardReplicas::assign(const PartitionState& state, const PartitionSettings& settings) {
    if (auto known = inside_->find(state.id)) {
        known->change_state(state);
        inside_->follow(known);
        inside_->readable(state.id);
        return;
    }
    auto partition = std::make_shared<Partition>(inside_->shell, state, settings);
    inside_->partitions.emplace(state.id, partition);
    inside_->open_log(partition);
}

void ShardReplicas::preload(const storage::FoundLog& found,
                            std::unique_ptr<storage::PartitionLog> log) {
    auto partition = inside_->find({found.topic_id, found.partition.partition});
    const bool is_wanted =
        partition && !partition->has_log() && inside_->found_for(partition->state()) == &found;
    if (log == nullptr) {
        inside_->short_of_room.insert(&found);
        if (is_wanted) {
            inside_->load_log(found, partition);
        }
    } else if (is_wanted) {
        inside_->give(partition, found, std::move(log));
    } else {
        inside_->preloaded.insert_or_assign(&found, std::move(log));
    }
}

void ShardReplicas::set_aside_unclaimed() {
    for (const storage::FoundLog* log : inside_->options.found) {
        auto partition = inside_->find({log->topic_id, log->partition.partition});
        const bool wanted = partition && inside_->found_for(partition->state()) == log;
        if (!wanted && inside_->claimed.insert(log).second) {
            inside_->set_aside(*log);
        }
    }
}

void ShardReplicas::change_settings(const TopicIdPartition& id, const PartitionSettings& settings) {
    if (auto partition = inside_->find(id)) {
        partition->change_settings(settings);
        inside_->follow(partition);
    }
}

void ShardReplicas::unassign(const TopicIdPartition& id) {
    auto partition = inside_->find(id);
    if (!partition) {
        return;
    }
    inside_->unfollow(id);
    inside_->partitions.erase(id);
    inside_->readable(id);
    if (!partition->has_log()) {
        return;
    }
    const auto log = partition->take_log();
    inside_->retire_log(*log, partition->settings().limits.file_delete_delay);
}

KafkaError ShardReplicas::move_log(const TopicIdPartition& id, const std::string& directory_path) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return KafkaError::replica_not_available;
    }
    const auto& directories = inside_->store.directories();
    const auto to = std::find_if(directories.begin(), directories.end(),
                                 [&](const auto& one) { return one->path() == directory_path; });
    if (to == directories.end()) {
        return KafkaError::log_dir_not_found;
    }
    return partition->move_to(*to, inside_->store.future_folder_name(partition->log().partition()));
}

void ShardReplicas::directory_failed() {
    for (const TopicIdPartition& id : inside_->ids()) {
        if (auto partition = inside_->find(id)) {
            partition->look_at_failure();
            inside_->follow(partition);
        }
    }
}

void ShardReplicas::append(Append request) {
    auto partition = inside_->find(request.id);
    if (!partition || !partition->has_log()) {
        AppendResult result;
        result.error = KafkaError::not_leader_or_follower;
        request.done(result);
        return;
    }
    partition->append(std::move(request));
}

std::vector<FetchResult> ShardReplicas::fetch(const std::vector<FetchPosition>& positions,
                                              const Reader& reader, std::size_t budget_bytes) {
    std::vector<FetchResult> results;
    results.resize(positions.size());
    bool any = false;
    // Throttled copies take turns: else the first would have all that its throttle lets through.
    std::size_t at = reader.level == ReadLevel::replica ? inside_->first_to_read(positions) : 0;
    for (std::size_t i = 0; i < positions.size(); ++i, ++at) {
        at = at == positions.size() ? 0 : at;
        const FetchPosition& position = positions[at];
        FetchResult& result = results[at];
        auto partition = inside_->find(position.id);
        if (!partition || !partition->has_log()) {
            result.id = position.id;
            result.error = KafkaError::not_leader_or_follower;
            continue;
        }
        result = partition->read(position, reader, budget_bytes, !any);
        if (reader.level == ReadLevel::replica && result.error == KafkaError::none &&
            (!result.diverging || MR_PLANTED(counts_diverging_fetches))) {
            // Only now is it known that what the follower has is what we have (case 6).
            partition->follower_fetched(position, reader);
            result.high_watermark = partition->high_watermark();
            partition->note_sent(reader.replica, result.slice.length);
        }
        any = any || result.slice.length > 0;
        budget_bytes -= std::min(budget_bytes, result.slice.length);
    }
    return results;
}

WatchId ShardReplicas::watch(const std::vector<FetchPosition>& positions, const Reader& reader,
                             std::int64_t min_bytes, WakeUp wake) {
    const std::uint64_t id = ++inside_->last_watch;
    for (const FetchPosition& position : positions) {
        inside_->watched.emplace(position.id, id);
    }
    inside_->watches.emplace(id, Inside::Watch{positions, reader, min_bytes, std::move(wake)});
    inside_->counts.waiting_fetches.store(inside_->watches.size(), std::memory_order_relaxed);
    // Something may have come between the caller's read and now.
    if (!positions.empty()) {
        inside_->to_wake.insert(positions.front().id);
        inside_->turn_end_soon();
    }
    return {id};
}

void ShardReplicas::unwatch(WatchId watch) {
    const auto at = inside_->watches.find(watch.value);
    if (at != inside_->watches.end()) {
        inside_->forget(at);
    }
}

void ShardReplicas::find_offset(const TopicIdPartition& id, OffsetKind kind, Timestamp at,
                                LeaderEpoch current_epoch, ReadLevel level,
                                UniqueFunction<void(OffsetAnswer)> done) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        OffsetAnswer answer;
        answer.error = KafkaError::not_leader_or_follower;
        done(answer);
        return;
    }
    partition->find_offset(kind, at, current_epoch, level, std::move(done));
}

EpochEndAnswer ShardReplicas::epoch_end(const TopicIdPartition& id, LeaderEpoch current_epoch,
                                        LeaderEpoch asked) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return {.error = KafkaError::not_leader_or_follower};
    }
    return partition->epoch_end(current_epoch, asked);
}

void ShardReplicas::delete_records(const TopicIdPartition& id, Offset before, Duration timeout,
                                   std::function<bool(BrokerId)> is_up,
                                   UniqueFunction<void(KafkaError, Offset)> done) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        done(KafkaError::not_leader_or_follower, no_offset);
        return;
    }
    partition->delete_records(before, timeout, std::move(is_up), std::move(done));
}

MirrorAppended ShardReplicas::append_mirrored(const TopicIdPartition& id, LeaderEpoch as_epoch,
                                              ByteView batches) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return {.error = KafkaError::not_leader_or_follower};
    }
    return partition->append_mirrored(as_epoch, batches);
}

KafkaError ShardReplicas::truncate_mirrored(const TopicIdPartition& id, LeaderEpoch as_epoch,
                                            Offset end) {
    auto partition = inside_->find(id);
    return partition && partition->has_log() ? partition->truncate_mirrored(as_epoch, end)
                                             : KafkaError::not_leader_or_follower;
}

Result<storage::ReadSlice> ShardReplicas::read_mirrored(const TopicIdPartition& id,
                                                        LeaderEpoch as_epoch, Offset from,
                                                        std::size_t max_bytes) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return Error(Code::not_leader, "the partition has no log here");
    }
    return partition->read_mirrored(as_epoch, from, max_bytes);
}

KafkaError ShardReplicas::start_mirrored_at(const TopicIdPartition& id, LeaderEpoch as_epoch,
                                            Offset start) {
    auto partition = inside_->find(id);
    return partition && partition->has_log() ? partition->start_mirrored_at(as_epoch, start)
                                             : KafkaError::not_leader_or_follower;
}

void ShardReplicas::raise_epoch(const TopicIdPartition& id, LeaderEpoch to) {
    if (auto partition = inside_->find(id)) {
        partition->raise_epoch(to);
    }
}

ClosingEnd ShardReplicas::closing_end(const TopicIdPartition& id, LeaderEpoch current_epoch) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return {.error = partition ? KafkaError::not_leader_or_follower
                                   : KafkaError::unknown_topic_or_partition};
    }
    return partition->closing_end(current_epoch);
}

const storage::PartitionLog* ShardReplicas::mirrored_log(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition && partition->leads() ? &partition->log() : nullptr;
}

std::optional<ShardReplicas::View> ShardReplicas::view(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition ? std::optional(partition->view()) : std::nullopt;
}

const ShardCounts& ShardReplicas::counts() const {
    return inside_->counts;
}

std::vector<CopyUnderWay> ShardReplicas::copies_under_way() const {
    std::vector<CopyUnderWay> copies;
    // unordered: sorted below
    for (const auto& [id, partition] : inside_->partitions) {
        if (auto copy = partition->copy_under_way()) {
            copies.push_back(*copy);
        }
    }
    std::sort(copies.begin(), copies.end(),
              [](const CopyUnderWay& a, const CopyUnderWay& b) { return a.id < b.id; });
    return copies;
}

void ShardReplicas::hold_copies(const std::set<TopicIdPartition>& held) {
    // unordered: one is held or let go without regard to another
    for (const auto& [id, partition] : inside_->partitions) {
        partition->hold_copy(held.contains(id));
    }
}

std::vector<ShardReplicas::View> ShardReplicas::views() const {
    std::vector<View> views;
    views.reserve(inside_->partitions.size());
    // unordered: sorted below
    for (const auto& [id, partition] : inside_->partitions) {
        views.push_back(partition->view());
    }
    std::sort(views.begin(), views.end(), [](const View& a, const View& b) {
        return std::tie(a.topic, a.id) < std::tie(b.topic, b.id);
    });
    return views;
}

const storage::LeaderEpochCache* ShardReplicas::epochs(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition && partition->has_log() ? &partition->log().epochs() : nullptr;
}

const std::map<BrokerId, LeaderCore::Follower>* ShardReplicas::followers(
    const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition ? partition->followers() : nullptr;
}

const storage::ProducerState* ShardReplicas::producers(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition && partition->has_log() ? &partition->log().producers() : nullptr;
}

void ShardReplicas::watch_high_watermark(const TopicIdPartition& id,
                                         std::function<void(Offset)> listener) {
    if (auto partition = inside_->find(id)) {
        partition->watch_high_watermark(std::move(listener));
    }
}

void ShardReplicas::quiesce(UniqueFunction<void()> done) {
    inside_->shell.closing = true;
    for (const auto& [key, fetcher] : inside_->fetchers) {
        fetcher->stop();
    }
    inside_->when_quiet([inside = inside_, done = std::move(done)]() mutable {
        LogClosing::run(inside->ids(), inside->shell.find, std::move(done));
    });
}

// --- Upkeep --------------------------------------------------------------------------------------

void ShardReplicas::set_upkeep(const UpkeepTimes& times) {
    inside_->upkeep->set(times);
}

std::vector<LogMark> ShardReplicas::marks() const {
    std::vector<LogMark> marks;
    // unordered: who records or adds them up goes by their names
    for (const auto& [id, partition] : inside_->partitions) {
        if (partition->has_log() && partition->log().has_files()) {
            marks.push_back(partition->mark());
        }
    }
    for (const storage::FoundLog* found : inside_->waiting) {
        // Nobody leads or follows it yet: what the checkpoints said of it stays true.
        marks.push_back({.id = {found->topic_id, found->partition.partition},
                         .partition = found->partition,
                         .directory = found->directory,
                         .path = found->directory->path() + "/" + found->name,
                         .first_base = Offset{0},
                         .start = found->recovery.log_start,
                         .recovery_point = found->recovery.recovery_point,
                         .high_watermark = found->high_watermark,
                         .cleaned_end = found->cleaned_end});
    }
    return marks;
}

std::vector<LogMark> ShardReplicas::marks_with_facts() {
    std::vector<LogMark> marks = this->marks();
    for (LogMark& mark : marks) {
        if (auto partition = inside_->find(mark.id); partition && partition->has_log()) {
            mark.facts = partition->take_facts();
        }
    }
    return marks;
}

void ShardReplicas::note_recorded(const std::vector<std::pair<TopicIdPartition, Offset>>& points) {
    for (const auto& [id, point] : points) {
        if (auto partition = inside_->find(id)) {
            partition->note_recorded(point);
        }
    }
}

CompactionNeeds ShardReplicas::compaction_needs() const {
    const Timestamp now = inside_->shard.executor->clock().wall();
    CompactionNeeds needs;
    auto& neediest = needs.neediest;
    // unordered: of those that need it as much the least id counts
    for (const auto& [id, partition] : inside_->partitions) {
        const auto need = partition->compaction_need(now);
        needs.any_held = needs.any_held || (need && need->held);
        if (need && need->due &&
            (!neediest || is_needier(*need, neediest->need) ||
             (!is_needier(neediest->need, *need) && id < neediest->id))) {
            neediest = CompactionCandidate{id, *need};
        }
    }
    return needs;
}

void ShardReplicas::compact(const TopicIdPartition& id, const storage::CompactionBudget& budget,
                            const CompactionPace& pace,
                            UniqueFunction<void(CompactionOutcome)> done) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        done({Error(Code::cancelled, "the log is gone"), {}});
        return;
    }
    partition->compact(budget, pace, std::move(done));
}

Result<std::vector<LogMark>> ShardReplicas::close_cleanly() {
    for (const auto& [key, fetcher] : inside_->fetchers) {
        fetcher->stop();
    }
    std::vector<LogMark> marks = this->marks();
    std::map<std::string, std::pair<Offset, std::optional<storage::LogFacts>>> ends;
    Result<void> outcome;
    const auto close = [&](storage::PartitionLog& log) {
        if (log.directory()->failed()) {
            return;  // the others end in order; this one is recovered if it ever comes back
        }
        if (auto closed = log.close_cleanly(); !closed) {
            outcome = closed;
        }
        ends[log.path()] = {log.recovery_point(), log.take_facts()};
    };
    for (auto& [found, log] : std::exchange(inside_->preloaded, {})) {
        close(*log);
    }
    // unordered: each log is closed on its own; of several that fail any one is told
    for (const auto& [id, partition] : inside_->partitions) {
        if (partition->has_log()) {
            close(*partition->take_log());
        }
    }
    if (!outcome) {
        return outcome.error();
    }
    for (LogMark& mark : marks) {
        if (const auto end = ends.find(mark.path); end != ends.end()) {
            std::tie(mark.recovery_point, mark.facts) = std::move(end->second);
        }
    }
    return marks;
}

}  // namespace millrace::replication
