#include "app/internal/storage_keeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "app/internal/settings.h"
#include "replication/housekeeping.h"

namespace millrace::app {
namespace {

namespace option = config::broker_option;

constexpr Duration space_interval = 1s;
constexpr std::uint64_t reserve_most = std::uint64_t{1} << 30;

Duration interval_of(std::int64_t count) {
    // Kafka's "never" is the largest number there is.
    constexpr std::int64_t most = std::int64_t{365} * 24 * 3600 * 1000;
    return std::chrono::milliseconds{std::clamp<std::int64_t>(count, 1, most)};
}

replication::UpkeepTimes upkeep_times(const config::BrokerValues& values) {
    return {.first_after = interval_of(values.get(option::log_initial_task_delay_ms)),
            .retention = interval_of(values.get(option::log_retention_check_interval_ms)),
            .producers = interval_of(values.get(option::producer_id_expiration_check_interval_ms))};
}

replication::CheckpointTimes checkpoint_times(const config::BrokerValues& values) {
    return {
        .recovery_points = interval_of(values.get(option::log_flush_offset_checkpoint_interval_ms)),
        .log_starts =
            interval_of(values.get(option::log_flush_start_offset_checkpoint_interval_ms)),
        .high_watermarks =
            interval_of(values.get(option::replica_high_watermark_checkpoint_interval_ms))};
}

}  // namespace

StorageKeeper::StorageKeeper(runtime::Node& node, storage::LogStore& store,
                             const replication::Replicas& replicas, std::size_t compaction_bytes,
                             const Logger& log)
    : node_(node),
      control_(*node.control_shard().executor),
      store_(store),
      replicas_(replicas),
      compaction_bytes_(compaction_bytes),
      log_(log),
      checkpoints_(node, store, replicas, log),
      cleaner_(
          control_, replicas, *node.control_shard().random,
          [this] { checkpoints_.write_points_soon(); }, log) {}

void StorageKeeper::set(const config::BrokerValues& values) {
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.on_shard(i, [times = upkeep_times(values)](replication::ShardReplicas& shard) {
            shard.set_upkeep(times);
        });
    }
    cleaner_.set(cleaner_settings(values, compaction_bytes_));
    checkpoints_.set(checkpoint_times(values));
    reserve_bytes_ = values.get(option::millrace_disk_reserve_bytes);
    if (!std::exchange(checking_space_, true)) {
        check_space();
    }
}

void StorageKeeper::check_space() {
    node_.disk_pool().run(
        0, control_,
        [this, asked = reserve_bytes_] {
            for (const auto& directory : store_.directories()) {
                const auto usage = directory->failed()
                                       ? Result<runtime::DiskUsage>(*directory->failure())
                                       : node_.disk().usage(directory->path());
                if (!usage) {
                    continue;  // the directory's own calls fail it
                }
                const std::uint64_t reserve = asked >= 0
                                                  ? static_cast<std::uint64_t>(asked)
                                                  : std::min(reserve_most, usage->total_bytes / 50);
                (void)directory->check_space(reserve);  // notes what it finds in the directory
            }
        },
        [this] {
            look_for_failures();
            control_.after(space_interval, [this] { check_space(); });
        });
}

/// Wherever a directory has failed, who waits for it is told here, at the latest.
void StorageKeeper::look_for_failures() {
    const auto& all = store_.directories();
    const auto failed = static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [](const auto& one) { return one->failed(); }));
    if (failed == failed_known_) {
        return;
    }
    failed_known_ = failed;
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.on_shard(i, [](replication::ShardReplicas& shard) { shard.directory_failed(); });
    }
}

void StorageKeeper::on_metadata_current() {
    if (std::exchange(is_current_, true)) {
        return;
    }
    for (std::size_t i = 0; i < replicas_.size(); ++i) {
        replicas_.on_shard(i,
                           [](replication::ShardReplicas& shard) { shard.set_aside_unclaimed(); });
    }
    std::vector<std::string> leftovers = store_.leftovers();
    for (const storage::FoundLog& found : store_.found()) {
        if (found.kind == storage::FoundLog::Kind::future) {
            // A copy that was not complete; it has begun anew under another name.
            leftovers.push_back(found.directory->path() + "/" + found.name);
        }
    }
    for (const std::string& path : leftovers) {
        auto outcome = std::make_shared<Result<void>>();
        node_.disk_pool().run(
            0, control_, [this, path, outcome] { *outcome = node_.disk().remove_tree(path); },
            [this, path, outcome] {
                if (!*outcome) {
                    MR_LOG(log_, warn, "broker.leftover_not_removed", field("path", path),
                           field("reason", outcome->error().message()));
                }
            });
    }
}

}  // namespace millrace::app
