// Which log a partition gets, and where its files go.
#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "replication/internal/shard_inside.h"
#include "runtime/shortage.h"

namespace millrace::replication {

const storage::FoundLog* ShardReplicas::Inside::found_for(const PartitionState& state) const {
    const storage::FoundLog* best = nullptr;
    for (const storage::FoundLog* found : store.named({state.topic, state.id.partition})) {
        if (found->topic_id == state.id.topic_id &&
            (best == nullptr || found->directory->id() == state.directory)) {
            best = found;
        }
    }
    return best != nullptr ? best : abandoned_for(state);
}

/// A copy was whole before the metadata had the replica in its directory.
const storage::FoundLog* ShardReplicas::Inside::abandoned_for(const PartitionState& state) const {
    const auto found = std::find_if(abandoned.begin(), abandoned.end(), [&](const auto* one) {
        return one->topic_id == state.id.topic_id &&
               one->partition.partition == state.id.partition &&
               one->directory->id() == state.directory;
    });
    return found == abandoned.end() ? nullptr : *found;
}

void ShardReplicas::Inside::open_log(const std::shared_ptr<Partition>& partition) {
    const storage::FoundLog* found = found_for(partition->state());
    if (found == nullptr || claimed.contains(found)) {
        create_log(partition);
        return;
    }
    if (auto ready = preloaded.extract(found)) {
        give(partition, *found, std::move(ready.mapped()));
    } else if (!options.logs_come_preloaded || short_of_room.contains(found) ||
               found->kind == storage::FoundLog::Kind::abandoned) {
        // Else preload() completes it.
        load_log(*found, partition);
    }
}

void ShardReplicas::Inside::give(const std::shared_ptr<Partition>& partition,
                                 const storage::FoundLog& found,
                                 std::unique_ptr<storage::PartitionLog> log) {
    claimed.insert(&found);
    waiting.erase(&found);
    log->set_limits(partition->settings().limits);
    partition->give_log(std::move(log), {.high_watermark = found.high_watermark,
                                         .recorded_end = found.recovery.recovery_point,
                                         .cleaned_end = found.cleaned_end});
    follow(partition);
    if (has_futures) {
        resume_move(partition);
    }
    readable(partition->state().id);
}

void ShardReplicas::Inside::load_log(const storage::FoundLog& found,
                                     const std::shared_ptr<Partition>& partition) {
    claimed.insert(&found);
    using Loaded = Result<std::unique_ptr<storage::PartitionLog>>;
    auto result = std::make_shared<std::optional<Loaded>>();
    pool.run(
        0, *shard.executor,
        [this, &found, result, limits = partition->settings().limits] {
            *result = store.load(found, limits);
        },
        [weak = weak_from_this(), result, &found, id = partition->state().id] {
            auto self = weak.lock();
            auto target = self ? self->find(id) : nullptr;
            if (!target || target->has_log()) {
                return;
            }
            if (!**result && runtime::is_shortage((**result).error())) {
                self->load_again_later(found, target, (**result).error());
                return;
            }
            if (!**result) {
                MR_LOG(self->log, error, "replication.log_not_loaded",
                       field("topic", target->state().topic), field("partition", id.partition),
                       field("reason", (**result).error().message()));
                return;
            }
            self->give(target, found, std::move(***result));
        });
}

/// Until then it is nobody's: the partition may leave meanwhile, and come back.
void ShardReplicas::Inside::load_again_later(const storage::FoundLog& found,
                                             const std::shared_ptr<Partition>& partition,
                                             const Error& shortage) {
    claimed.erase(&found);
    if (short_of_room.insert(&found).second) {
        MR_LOG(log, warn, "replication.log_waits_for_room",
               field("topic", partition->state().topic),
               field("partition", partition->state().id.partition),
               field("reason", shortage.message()));
    }
    shard.executor->after(runtime::shortage_pause,
                          [weak = weak_from_this(), &found, id = partition->state().id] {
                              auto self = weak.lock();
                              auto target = self ? self->find(id) : nullptr;
                              if (target && !target->has_log() && !self->claimed.contains(&found) &&
                                  self->found_for(target->state()) == &found) {
                                  self->load_log(found, target);
                              }
                          });
}

void ShardReplicas::Inside::create_log(const std::shared_ptr<Partition>& partition) {
    const PartitionState& state = partition->state();
    const TopicPartition name{state.topic, state.id.partition};
    // A topic of the same name may have been deleted while we were away, or a power cut has left a
    // folder without its identity: the new log needs the name.
    for (const storage::FoundLog* other : store.named(name)) {
        if (other->topic_id != state.id.topic_id && claimed.insert(other).second) {
            set_aside(*other);
        }
    }
    auto directory = choose_directory(state);
    if (!directory) {
        MR_LOG(log, error, "replication.directory_offline", field("topic", state.topic),
               field("partition", state.id.partition), field("directory", state.directory));
        return;
    }
    partition->give_log(storage::PartitionLog::create(std::move(directory), name, state.id.topic_id,
                                                      partition->settings().limits));
    follow(partition);
}

void ShardReplicas::Inside::set_aside(const storage::FoundLog& found) {
    preloaded.erase(&found);
    waiting.erase(&found);
    const auto aside = store.set_aside(found);
    if (aside) {
        MR_LOG(log, warn, "replication.stray_log", field("log", found.name),
               field("kept_as", *aside));
    } else if (aside.error().code() != Code::not_found) {  // else it is out of the way already
        MR_LOG(log, error, "replication.stray_log_in_the_way", field("log", found.name),
               field("reason", aside.error().message()));
    }
}

bool ShardReplicas::Inside::any_directory_offline() const {
    return !store.offline().empty() ||
           std::any_of(store.directories().begin(), store.directories().end(),
                       [](const auto& directory) { return directory->failed(); });
}

/// Null if the log may lie in a directory that is offline: an empty one in its place would count as
/// a replica that holds everything.
std::shared_ptr<storage::LogDirectory> ShardReplicas::Inside::choose_directory(
    const PartitionState& state) const {
    if (auto assigned = store.directory(state.directory); assigned && !assigned->failed()) {
        return assigned;
    }
    const bool is_new = state.directory.is_zero();
    if (!is_new && any_directory_offline()) {
        return nullptr;
    }
    if (auto wished = store.take_wish({state.topic, state.id.partition}); wished && is_new) {
        return wished;
    }
    // The one with the fewest replicas of this shard; of two, the one with more room. A cordoned
    // one only where all are: the controller had not heard of it yet.
    std::map<const storage::LogDirectory*, std::size_t> counts;
    for (const auto& [id, partition] : partitions) {  // unordered: only counted
        if (partition->has_log()) {
            ++counts[partition->log().directory().get()];
        }
    }
    std::shared_ptr<storage::LogDirectory> best;
    for (const auto& directory : store.directories()) {
        if (directory->failed()) {
            continue;
        }
        const auto rank = [&](const std::shared_ptr<storage::LogDirectory>& one) {
            return std::tuple(one->cordoned(), counts[one.get()], UINT64_MAX - one->free_bytes());
        };
        if (!best || rank(directory) < rank(best)) {
            best = directory;
        }
    }
    return best;
}

void ShardReplicas::Inside::retire_log(storage::PartitionLog& retiring, Duration delay) {
    auto retired = store.retire(retiring);
    if (!retired) {
        MR_LOG(log, warn, "replication.log_not_retired", field("log", retiring.path()),
               field("reason", retired.error().message()));
        return;
    }
    if (!retired->empty()) {  // else it never had a folder
        remove_later(*retired, delay, retiring.directory());
    }
}

void ShardReplicas::Inside::resume_move(const std::shared_ptr<Partition>& partition) {
    const PartitionState& state = partition->state();
    for (const storage::FoundLog& found : store.found()) {
        if (found.kind == storage::FoundLog::Kind::future && found.topic_id == state.id.topic_id &&
            found.partition.partition == state.id.partition &&
            found.directory != partition->log().directory()) {
            (void)partition->move_to(found.directory,
                                     store.future_folder_name(partition->log().partition()));
        }
    }
}

void ShardReplicas::Inside::remove_later(const std::string& path, Duration delay,
                                         const std::shared_ptr<storage::LogDirectory>& directory) {
    auto outcome = std::make_shared<Result<void>>();
    shard.executor->after(delay, [weak = weak_from_this(), path, directory, outcome] {
        auto self = weak.lock();
        if (!self) {
            return;
        }
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

}  // namespace millrace::replication
