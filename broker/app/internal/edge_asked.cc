#include "app/internal/edge_asked.h"

#include <condition_variable>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace millrace::app {
namespace {

namespace metric = metrics::metric;
using Views = std::vector<replication::ShardReplicas::View>;
using HighWatermarks = std::map<TopicPartition, Offset>;

constexpr auto patience = std::chrono::seconds(2);
constexpr std::string_view publisher = "asked";

/// What `ask` returns when it has run on `loop`; none if the loop is too busy to be asked.
template <typename Ask>
auto ask_loop(runtime::Executor& loop, Ask ask) {
    struct Box {
        std::mutex mutex;
        std::condition_variable filled;
        std::optional<decltype(ask())> answer;
    };
    auto box = std::make_shared<Box>();
    loop.post([box, ask = std::move(ask)] {
        auto answer = ask();
        const std::lock_guard lock(box->mutex);
        box->answer = std::move(answer);
        box->filled.notify_one();
    });
    std::unique_lock lock(box->mutex);
    box->filled.wait_for(lock, patience, [&] { return box->answer.has_value(); });
    return std::move(box->answer);
}

std::optional<Views> all_views(const replication::Replicas& replicas) {
    Views all;
    for (std::size_t shard = 0; shard < replicas.size(); ++shard) {
        auto views = ask_loop(replicas.executor(shard),
                              [&replicas, shard] { return replicas.here(shard).views(); });
        if (!views) {
            return std::nullopt;
        }
        std::move(views->begin(), views->end(), std::back_inserter(all));
    }
    return all;
}

void publish_logs(metrics::Registry& registry, const Views& views) {
    std::vector<metrics::Sample> bytes, start, end;
    for (const auto& view : views) {
        const std::vector<std::string> labels{view.topic, std::to_string(view.id.partition.value)};
        bytes.push_back({labels, static_cast<double>(view.size_bytes)});
        start.push_back({labels, static_cast<double>(view.start.value)});
        end.push_back({labels, static_cast<double>(view.end.value)});
    }
    registry.publish(metric::log_bytes, publisher, std::move(bytes));
    registry.publish(metric::log_start_offset, publisher, std::move(start));
    registry.publish(metric::log_end_offset, publisher, std::move(end));
}

void publish_lags(metrics::Registry& registry, const std::vector<groups::GroupLag>& lags) {
    std::vector<metrics::Sample> samples;
    for (const groups::GroupLag& group : lags) {
        for (const groups::PartitionLag& one : group.partitions) {
            if (one.lag) {
                samples.push_back({{group.group, one.partition.topic,
                                    std::to_string(one.partition.partition.value)},
                                   static_cast<double>(*one.lag)});
            }
        }
    }
    registry.publish(metric::group_lag_records, publisher, std::move(samples));
}

void publish_counts(metrics::Registry& registry, const groups::GroupCounts& counts) {
    std::vector<metrics::Sample> groups;
    for (const auto& [state, count] : counts.classic_by_state) {
        groups.push_back({{"classic", state}, static_cast<double>(count)});
    }
    for (const auto& [state, count] : counts.consumer_by_state) {
        groups.push_back({{"consumer", state}, static_cast<double>(count)});
    }
    registry.publish(metric::groups, publisher, std::move(groups));
    registry.publish(metric::group_rebalances, publisher,
                     {{{"classic"}, static_cast<double>(counts.classic_rebalances)},
                      {{"consumer"}, static_cast<double>(counts.consumer_rebalances)}});
    registry.publish(metric::offset_commits, publisher,
                     {{{}, static_cast<double>(counts.commits)}});
    registry.publish(metric::offsets_expired, publisher,
                     {{{}, static_cast<double>(counts.expired_offsets)}});
}

}  // namespace

void publish_asked(metrics::Registry& registry, const BrokerView& view) {
    const handlers::Doors& doors = *view.doors;
    if (!doors.is_broker || doors.groups == nullptr) {
        return;
    }
    const std::optional<Views> views = all_views(*doors.replicas);
    if (!views) {
        return;
    }
    publish_logs(registry, *views);
    auto ends = std::make_shared<HighWatermarks>();
    for (const auto& one : *views) {
        if (one.high_watermark != no_offset) {
            ends->emplace(TopicPartition{one.topic, one.id.partition}, one.high_watermark);
        }
    }
    const auto groups = ask_loop(*doors.control, [&doors, ends] {
        return std::pair(doors.groups->lags([&](const TopicPartition& partition) {
            const auto found = ends->find(partition);
            return found == ends->end() ? std::nullopt : std::optional(found->second);
        }),
                         doors.groups->counts());
    });
    if (groups) {
        publish_lags(registry, groups->first);
        publish_counts(registry, groups->second);
    }
}

}  // namespace millrace::app
