// replication/internal/shard_inside.h
//
// What a ShardReplicas is made of.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "replication/housekeeping.h"
#include "replication/internal/fetcher.h"
#include "replication/internal/partition.h"
#include "replication/internal/upkeep.h"
#include "replication/shard_replicas.h"
#include "storage/log_store.h"

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
        shell.peers = &peers;
        shell.log = &log;
        shell.counts = &counts;
        shell.throttles = options.throttles.get();
        shell.retire = [this](storage::PartitionLog& log_out, Duration delay) {
            retire_log(log_out, delay);
        };
        shell.placed = [this](Partition& partition) {
            if (options.placed && partition.has_log()) {
                options.placed(partition.state().id, partition.log().directory()->id());
            }
        };
        shell.changes_lane = [this](Partition& partition) {
            // In a turn of its own: a fetcher is in the middle of an answer.
            shard.executor->post([weak = weak_from_this(), id = partition.state().id] {
                auto self = weak.lock();
                auto changed = self ? self->find(id) : nullptr;
                if (changed && self->followed.contains(id)) {
                    self->follow(changed);
                }
            });
        };
        shell.flush_soon = [this](Partition& partition) { flush_soon(partition); };
        shell.sync = [this](Partition& partition, storage::SyncJob job, SyncGroup::Done done) {
            syncs_of(partition).sync(std::move(job), partition.state().id, std::move(done));
        };
        shell.file = [this](Partition& partition, storage::SyncJob job, SyncGroup::Done done) {
            syncs_of(partition).file(std::move(job), partition.state().id, std::move(done));
        };
        shell.file_soon = [this](Partition& partition) {
            syncs_of(partition).file_soon(partition.state().id);
        };
        shell.readable = [this](Partition& partition) { readable(partition.state().id); };
    }

    void start() {
        // The shell outlives its callers' turns: completions find partitions through a weak door.
        shell.find = [weak = weak_from_this()](const TopicIdPartition& id) {
            auto self = weak.lock();
            return self ? self->find(id) : nullptr;
        };
        for (const storage::FoundLog* found : options.found) {
            if (found->kind == storage::FoundLog::Kind::abandoned) {
                abandoned.push_back(found);
            } else {
                waiting.insert(found);
            }
        }
        has_futures = std::any_of(store.found().begin(), store.found().end(),
                                  [](const storage::FoundLog& found) {
                                      return found.kind == storage::FoundLog::Kind::future;
                                  });
        upkeep = std::make_shared<Upkeep>(Upkeep::Doors{
            .loop = shard.executor,
            .all = [this] { return ids(); },
            .find = shell.find,
        });
        arm_tick();
    }

    SyncGroup& syncs_of(Partition& partition) {
        const auto& directory = partition.log().directory();
        auto& group = sync_groups[directory.get()];
        if (!group) {
            group = std::make_shared<SyncGroup>(
                SyncGroup::Doors{.loop = shard.executor,
                                 .pool = &pool,
                                 .counts = &counts,
                                 .log = &log,
                                 .file =
                                     [this](const TopicIdPartition& id) {
                                         auto filed = find(id);
                                         return filed && filed->file_log();
                                     }},
                options.journal, directory);
        }
        return *group;
    }

    std::vector<TopicIdPartition> ids() const {
        std::vector<TopicIdPartition> all;
        all.reserve(partitions.size());
        // unordered: a snapshot for whoever asks partition by partition
        for (const auto& [id, partition] : partitions) {
            all.push_back(id);
        }
        return all;
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
        counts.waiting_fetches.store(watches.size(), std::memory_order_relaxed);
    }

    /// Where a follower's turn begins: always at its first, unless copies are throttled.
    std::size_t first_to_read(const std::vector<FetchPosition>& positions) {
        const Throttles& throttles = *options.throttles;
        const bool any = throttles.leader.is_limited() || throttles.moves_out.is_limited();
        return any && !positions.empty() ? turn++ % positions.size() : 0;
    }

    // --- Logs (shard_logs.cc) ---

    void open_log(const std::shared_ptr<Partition>& partition);
    /// What the directories hold for a partition; null if nothing.
    const storage::FoundLog* found_for(const PartitionState& state) const;
    const storage::FoundLog* abandoned_for(const PartitionState& state) const;
    void load_log(const storage::FoundLog& found, const std::shared_ptr<Partition>& partition);
    void load_again_later(const storage::FoundLog& found,
                          const std::shared_ptr<Partition>& partition, const Error& shortage);
    void give(const std::shared_ptr<Partition>& partition, const storage::FoundLog& found,
              std::unique_ptr<storage::PartitionLog> log);
    void create_log(const std::shared_ptr<Partition>& partition);
    std::shared_ptr<storage::LogDirectory> choose_directory(const PartitionState& state) const;
    void retire_log(storage::PartitionLog& log, Duration delay);
    /// A copy into another directory that a stop interrupted begins anew.
    void resume_move(const std::shared_ptr<Partition>& partition);
    bool any_directory_offline() const;
    void remove_later(const std::string& path, Duration delay,
                      const std::shared_ptr<storage::LogDirectory>& directory);
    void set_aside(const storage::FoundLog& found);

    // --- Fetchers ---

    struct FetcherKey {
        BrokerId leader;
        Durability durability = Durability::synced;
        bool keeps_up = false;
        friend auto operator<=>(const FetcherKey&, const FetcherKey&) = default;
    };

    /// Puts a partition where its state says it belongs: with a fetcher of its leader, or with
    /// none.
    void follow(const std::shared_ptr<Partition>& partition) {
        const TopicIdPartition& id = partition->state().id;
        const BrokerId leader = partition->state().leader;
        std::optional<FetcherKey> wanted;
        if (leader != no_broker && leader != options.self && partition->follows()) {
            wanted = FetcherKey{leader, partition->settings().durability, partition->keeps_up()};
        }
        const auto now = followed.find(id);
        const bool is_known = now != followed.end();
        if (is_known && wanted && has_caught_up(now->second, *wanted)) {
            const FetcherKey behind = now->second;
            leaving.insert_or_assign(id, behind);
            now->second = *wanted;
            fetcher_of(*wanted).join(id, [this, id] { leave(id, leaving); });
            return;
        }
        if (is_known && wanted != now->second) {
            unfollow(id);
        }
        if (wanted) {
            followed.insert_or_assign(id, *wanted);
            fetcher_of(*wanted).add(id);
        }
    }

    /// The other lane of the same leader: no fetch is broken off for it, and none is missed.
    static bool has_caught_up(const FetcherKey& was, const FetcherKey& wanted) {
        return !was.keeps_up && wanted.keeps_up && was.leader == wanted.leader &&
               was.durability == wanted.durability;
    }

    Fetcher& fetcher_of(const FetcherKey& key) {
        auto& fetcher = fetchers[key];
        if (!fetcher) {
            Fetcher::Options fetcher_options;
            fetcher_options.self = options.self;
            fetcher_options.leader = key.leader;
            fetcher_options.durability = key.durability;
            fetcher_options.fetch = options.follower_fetch;
            fetcher = std::make_shared<Fetcher>(fetcher_options, shard, peers, shell.find, log);
        }
        return *fetcher;
    }

    void unfollow(const TopicIdPartition& id) {
        leave(id, followed);
        leave(id, leaving);
    }

    void leave(const TopicIdPartition& id, std::map<TopicIdPartition, FetcherKey>& from) {
        const auto at = from.find(id);
        if (at == from.end()) {
            return;
        }
        const auto fetcher = fetchers.find(at->second);
        from.erase(at);
        fetcher->second->remove(id);
        if (fetcher->second->idle()) {
            fetcher->second->stop();
            fetchers.erase(fetcher);
        }
    }

    void when_quiet(UniqueFunction<void()> done) {
        const bool quiet =
            // unordered: whether there is any
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
                int healing = 0;
                int under_min_isr = 0;
                // unordered: one partition's tick says nothing of another's
                for (const auto& [id, partition] : self->partitions) {
                    partition->tick(now);
                    healing += partition->healing(now);
                    under_min_isr += partition->is_under_min_isr() ? 1 : 0;
                }
                self->counts.healing.store(healing, std::memory_order_relaxed);
                self->counts.under_min_isr.store(under_min_isr, std::memory_order_relaxed);
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
    ShardCounts counts;
    std::unordered_map<TopicIdPartition, std::shared_ptr<Partition>> partitions;
    std::set<const storage::FoundLog*> waiting;  ///< Neither a partition's yet nor set aside.
    std::set<const storage::FoundLog*> claimed;  ///< A partition's or about to be, or set aside.
    /// Could not be recovered for want of room or of a file: loaded here once it is wanted.
    std::set<const storage::FoundLog*> short_of_room;
    std::map<const storage::FoundLog*, std::unique_ptr<storage::PartitionLog>> preloaded;
    bool has_futures = false;
    std::vector<const storage::FoundLog*> abandoned;  ///< Seldom any.
    std::shared_ptr<Upkeep> upkeep;
    std::set<TopicIdPartition> to_flush;
    std::set<TopicIdPartition> to_wake;
    std::map<const storage::LogDirectory*, std::shared_ptr<SyncGroup>> sync_groups;
    bool turn_end_posted = false;
    Watches watches;
    std::multimap<TopicIdPartition, std::uint64_t> watched;
    std::uint64_t last_watch = 0;
    std::size_t turn = 0;
    std::map<FetcherKey, std::shared_ptr<Fetcher>> fetchers;
    std::map<TopicIdPartition, FetcherKey> followed;
    /// Who has caught up, and is fetched with the others behind until the other lane asks for it.
    std::map<TopicIdPartition, FetcherKey> leaving;
};

}  // namespace millrace::replication
