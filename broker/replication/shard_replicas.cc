#include "replication/shard_replicas.h"

#include <algorithm>
#include <set>
#include <utility>

#include "replication/internal/fetcher.h"
#include "replication/internal/partition.h"

namespace millrace::replication {

struct ShardReplicas::Inside : std::enable_shared_from_this<ShardReplicas::Inside> {
    Inside(Options options_in, runtime::Shard shard_in, runtime::DiskPool& pool_in,
           storage::LogStore& store_in, IsrProposer& proposer, const Peers& peers_in,
           const Logger& log_in)
        : options(options_in),
          shard(shard_in),
          pool(pool_in),
          store(store_in),
          peers(peers_in),
          log(log_in) {
        shell.self = options.self;
        shell.lag_max = options.lag_max;
        shell.loop = shard.executor;
        shell.pool = &pool;
        shell.proposer = &proposer;
        shell.log = &log;
        shell.flush_soon = [this](Partition& partition) { flush_soon(partition); };
        shell.readable = [this](Partition& partition) { readable(partition.state().id); };
    }

    void start() {
        // The shell outlives its callers' turns: completions find partitions through a weak door.
        shell.find = [weak = weak_from_this()](const TopicIdPartition& id) {
            auto self = weak.lock();
            return self ? self->find(id) : nullptr;
        };
        arm_tick();
    }

    std::shared_ptr<Partition> find(const TopicIdPartition& id) const {
        const auto at = partitions.find(id);
        return at == partitions.end() ? nullptr : at->second;
    }

    // --- One write and one look at the readers per turn ---

    void turn_end_soon() {
        if (turn_end_posted) {
            return;
        }
        turn_end_posted = true;
        shard.executor->post([weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                self->turn_end();
            }
        });
    }

    void flush_soon(Partition& partition) {
        to_flush.insert(partition.state().id);
        turn_end_soon();
    }

    void readable(const TopicIdPartition& id) {
        if (watched.contains(id)) {
            to_wake.insert(id);
            turn_end_soon();
        }
    }

    void turn_end() {
        turn_end_posted = false;
        for (const TopicIdPartition& id : std::exchange(to_flush, {})) {
            if (auto partition = find(id)) {
                partition->flush();
            }
        }
        std::set<std::uint64_t> candidates;
        for (const TopicIdPartition& id : std::exchange(to_wake, {})) {
            const auto [from, to] = watched.equal_range(id);
            for (auto at = from; at != to; ++at) {
                candidates.insert(at->second);
            }
        }
        for (const std::uint64_t id : candidates) {
            const auto at = watches.find(id);
            if (at != watches.end() && satisfied(at->second)) {
                WakeUp wake = std::move(at->second.wake);
                forget(at);
                wake();
            }
        }
    }

    // --- Watches ---

    struct Watch {
        std::vector<FetchPosition> positions;
        Reader reader;
        std::int64_t min_bytes = 1;
        WakeUp wake;
    };
    using Watches = std::unordered_map<std::uint64_t, Watch>;

    bool satisfied(const Watch& watch) {
        std::int64_t bytes = 0;
        for (const FetchPosition& position : watch.positions) {
            auto partition = find(position.id);
            if (!partition || !partition->has_log()) {
                return true;
            }
            bytes += partition->readable_bytes(position, watch.reader);
            if (bytes >= watch.min_bytes) {
                return true;
            }
        }
        return false;
    }

    void forget(Watches::iterator at) {
        for (const FetchPosition& position : at->second.positions) {
            auto [from, to] = watched.equal_range(position.id);
            for (; from != to; ++from) {
                if (from->second == at->first) {
                    watched.erase(from);
                    break;
                }
            }
        }
        watches.erase(at);
    }

    // --- Logs ---

    void open_log(const std::shared_ptr<Partition>& partition) {
        const PartitionState& state = partition->state();
        if (auto ready = preloaded.extract(state.id)) {
            ready.mapped()->set_limits(partition->settings().limits);
            partition->give_log(std::move(ready.mapped()));
            follow(partition);
            return;
        }
        const auto found = std::find_if(
            store.found().begin(), store.found().end(), [&](const storage::FoundLog& candidate) {
                return candidate.kind == storage::FoundLog::Kind::current &&
                       candidate.topic_id == state.id.topic_id &&
                       candidate.partition.partition == state.id.partition;
            });
        if (found == store.found().end() || loaded.contains(state.id)) {
            const auto directory = choose_directory(state);
            if (!directory) {
                MR_LOG(log, warn, "replication.no_directory", field("topic", state.topic),
                       field("partition", state.id.partition));
                return;  // every directory has failed; the broker is about to end
            }
            partition->give_log(
                storage::PartitionLog::create(directory, {state.topic, state.id.partition},
                                              state.id.topic_id, partition->settings().limits));
            follow(partition);
            return;
        }
        if (options.logs_come_preloaded) {
            return;  // preload() completes it
        }
        loaded.insert(state.id);
        using Loaded = Result<std::unique_ptr<storage::PartitionLog>>;
        auto result = std::make_shared<std::optional<Loaded>>();
        pool.run(
            0, *shard.executor,
            [this, found, result, limits = partition->settings().limits] {
                *result = store.load(*found, limits);
            },
            [weak = weak_from_this(), result, id = state.id] {
                auto self = weak.lock();
                auto target = self ? self->find(id) : nullptr;
                if (!target || target->has_log()) {
                    return;
                }
                if (!**result) {
                    MR_LOG(self->log, error, "replication.log_not_loaded",
                           field("topic", target->state().topic), field("partition", id.partition),
                           field("reason", (**result).error().message()));
                    return;
                }
                target->give_log(std::move(***result));
                self->follow(target);
                self->readable(id);
            });
    }

    /// Null if every directory has failed.
    std::shared_ptr<storage::LogDirectory> choose_directory(const PartitionState& state) {
        if (auto assigned = store.directory(state.directory); assigned && !assigned->failed()) {
            return assigned;
        }
        // The one with the fewest replicas of this shard.
        std::map<std::string, std::size_t> counts;
        for (const auto& [id, partition] : partitions) {
            if (partition->has_log()) {
                ++counts[partition->log().directory()->path()];
            }
        }
        std::shared_ptr<storage::LogDirectory> best;
        for (const auto& directory : store.directories()) {
            if (!directory->failed() &&
                (!best || counts[directory->path()] < counts[best->path()])) {
                best = directory;
            }
        }
        return best;
    }

    // --- Fetchers ---

    /// Puts a partition where its state says it belongs: with the fetcher of its leader, or with
    /// none.
    void follow(const std::shared_ptr<Partition>& partition) {
        const TopicIdPartition& id = partition->state().id;
        const BrokerId leader = partition->state().leader;
        std::optional<FetcherKey> wanted;
        if (leader != no_broker && leader != options.self && partition->follows()) {
            wanted = FetcherKey{leader, partition->settings().durability};
        }
        const auto now = followed.find(id);
        if (now != followed.end() && wanted != now->second) {
            unfollow(id);
        }
        if (!wanted) {
            return;
        }
        auto& fetcher = fetchers[*wanted];
        if (!fetcher) {
            Fetcher::Options fetcher_options;
            fetcher_options.self = options.self;
            fetcher_options.leader = wanted->first;
            fetcher_options.durability = wanted->second;
            fetcher_options.fetch = options.follower_fetch;
            fetcher = std::make_shared<Fetcher>(fetcher_options, shard, peers, shell.find, log);
        }
        followed.insert_or_assign(id, *wanted);
        fetcher->add(id);
    }

    void unfollow(const TopicIdPartition& id) {
        const auto at = followed.find(id);
        if (at == followed.end()) {
            return;
        }
        const auto fetcher = fetchers.find(at->second);
        fetcher->second->remove(id);
        if (fetcher->second->idle()) {
            fetcher->second->stop();
            fetchers.erase(fetcher);
        }
        followed.erase(at);
    }

    void when_quiet(UniqueFunction<void()> done) {
        const bool quiet =
            std::none_of(partitions.begin(), partitions.end(), [](const auto& entry) {
                return entry.second->has_log() && entry.second->log().sync_under_way();
            });
        if (quiet) {
            done();
            return;
        }
        constexpr Duration look_again = 5ms;
        shard.executor->after(look_again,
                              [weak = weak_from_this(), done = std::move(done)]() mutable {
                                  if (auto self = weak.lock()) {
                                      self->when_quiet(std::move(done));
                                  }
                              });
    }

    void arm_tick() {
        shard.executor->after(options.tick, [weak = weak_from_this()] {
            if (auto self = weak.lock()) {
                const Instant now = self->shard.executor->clock().now();
                for (const auto& [id, partition] : self->partitions) {
                    partition->tick(now);
                }
                self->arm_tick();
            }
        });
    }

    Options options;
    runtime::Shard shard;
    runtime::DiskPool& pool;
    storage::LogStore& store;
    const Peers& peers;
    const Logger& log;
    Partition::Shell shell;
    std::unordered_map<TopicIdPartition, std::shared_ptr<Partition>> partitions;
    std::set<TopicIdPartition> loaded;
    std::map<TopicIdPartition, std::unique_ptr<storage::PartitionLog>> preloaded;
    std::set<TopicIdPartition> to_flush;
    std::set<TopicIdPartition> to_wake;
    bool turn_end_posted = false;
    Watches watches;
    std::multimap<TopicIdPartition, std::uint64_t> watched;
    std::uint64_t last_watch = 0;
    using FetcherKey = std::pair<BrokerId, Durability>;
    std::map<FetcherKey, std::shared_ptr<Fetcher>> fetchers;
    std::map<TopicIdPartition, FetcherKey> followed;
};

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

void ShardReplicas::preload(const TopicIdPartition& id,
                            std::unique_ptr<storage::PartitionLog> log) {
    auto partition = inside_->find(id);
    if (!partition) {
        inside_->preloaded.insert_or_assign(id, std::move(log));
    } else if (!partition->has_log()) {
        log->set_limits(partition->settings().limits);
        partition->give_log(std::move(log));
        inside_->follow(partition);
        inside_->readable(id);
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
    std::shared_ptr<storage::PartitionLog> log = partition->take_log();
    auto retired = inside_->store.retire(*log);
    if (!retired) {
        MR_LOG(inside_->log, warn, "replication.log_not_retired",
               field("topic", partition->state().topic), field("partition", id.partition),
               field("reason", retired.error().message()));
        return;
    }
    if (retired->empty()) {
        return;  // it never had a directory
    }
    inside_->shard.executor->after(
        partition->settings().limits.file_delete_delay,
        [weak = std::weak_ptr(inside_), path = *retired, directory = log->directory()] {
            auto self = weak.lock();
            if (!self) {
                return;
            }
            auto outcome = std::make_shared<Result<void>>();
            self->pool.run(
                0, *self->shard.executor,
                [outcome, path, directory] { *outcome = directory->disk().remove_tree(path); },
                [weak, outcome, path] {
                    auto owner = weak.lock();
                    if (owner && !*outcome) {
                        MR_LOG(owner->log, warn, "replication.log_not_removed", field("path", path),
                               field("reason", outcome->error().message()));
                    }
                });
        });
}

void ShardReplicas::append(Append request) {
    auto partition = inside_->find(request.id);
    if (!partition || !partition->has_log()) {
        AppendResult result;
        result.error =
            partition ? KafkaError::not_leader_or_follower : KafkaError::unknown_topic_or_partition;
        request.done(result);
        return;
    }
    partition->append(std::move(request));
}

std::vector<FetchResult> ShardReplicas::fetch(const std::vector<FetchPosition>& positions,
                                              const Reader& reader, std::size_t budget_bytes) {
    std::vector<FetchResult> results;
    results.reserve(positions.size());
    bool any = false;
    for (const FetchPosition& position : positions) {
        auto partition = inside_->find(position.id);
        if (!partition || !partition->has_log()) {
            FetchResult missing;
            missing.id = position.id;
            missing.error = partition ? KafkaError::not_leader_or_follower
                                      : KafkaError::unknown_topic_or_partition;
            results.push_back(std::move(missing));
            continue;
        }
        FetchResult result = partition->read(position, reader, budget_bytes, !any);
        if (reader.level == ReadLevel::replica && result.error == KafkaError::none &&
            !result.diverging) {
            // Only now is it known that what the follower has is what we have (case 6).
            partition->follower_fetched(position, reader);
            result.high_watermark = partition->high_watermark();
        }
        any = any || result.slice.length > 0;
        budget_bytes -= std::min(budget_bytes, result.slice.length);
        results.push_back(std::move(result));
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
        answer.error =
            partition ? KafkaError::not_leader_or_follower : KafkaError::unknown_topic_or_partition;
        done(answer);
        return;
    }
    partition->find_offset(kind, at, current_epoch, level, std::move(done));
}

EpochEndAnswer ShardReplicas::epoch_end(const TopicIdPartition& id, LeaderEpoch current_epoch,
                                        LeaderEpoch asked) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        return {.error = partition ? KafkaError::not_leader_or_follower
                                   : KafkaError::unknown_topic_or_partition};
    }
    return partition->epoch_end(current_epoch, asked);
}

void ShardReplicas::delete_records(const TopicIdPartition& id, Offset before, Duration,
                                   UniqueFunction<void(KafkaError, Offset)> done) {
    auto partition = inside_->find(id);
    if (!partition || !partition->has_log()) {
        done(
            partition ? KafkaError::not_leader_or_follower : KafkaError::unknown_topic_or_partition,
            no_offset);
        return;
    }
    const auto [error, start] = partition->delete_records(before);
    done(error, start);
}

std::optional<ShardReplicas::View> ShardReplicas::view(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition ? std::optional(partition->view()) : std::nullopt;
}

std::vector<ShardReplicas::View> ShardReplicas::views() const {
    std::vector<View> views;
    views.reserve(inside_->partitions.size());
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

const storage::ProducerState* ShardReplicas::producers(const TopicIdPartition& id) const {
    auto partition = inside_->find(id);
    return partition && partition->leads() ? &partition->log().producers() : nullptr;
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
    inside_->when_quiet(std::move(done));
}

Result<void> ShardReplicas::close_cleanly() {
    for (const auto& [key, fetcher] : inside_->fetchers) {
        fetcher->stop();
    }
    Result<void> outcome;
    for (auto& [id, log] : std::exchange(inside_->preloaded, {})) {
        if (auto closed = log->close_cleanly(); !closed) {
            outcome = closed;
        }
    }
    for (const auto& [id, partition] : inside_->partitions) {
        if (!partition->has_log()) {
            continue;
        }
        auto log = partition->take_log();
        if (auto closed = log->close_cleanly(); !closed) {
            outcome = closed;
        }
    }
    return outcome;
}

}  // namespace millrace::replication
