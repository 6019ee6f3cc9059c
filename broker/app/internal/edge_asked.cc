#include "app/internal/edge_asked.h"

#include <algorithm>
#include <condition_variable>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "admin/offsets.h"
#include "handlers/fetch_session.h"
#include "replication/housekeeping.h"

namespace millrace::app {
namespace {

namespace metric = metrics::metric;
using Views = std::vector<replication::ShardReplicas::View>;
using HighWatermarks = std::map<TopicPartition, Offset>;

constexpr auto loop_timeout = std::chrono::seconds(2);
constexpr std::string_view asked_publisher = "asked";

/// An answer that another thread gives, or never.
template <typename Answer>
class Box {
public:
    void fill(Answer answer) {
        const std::lock_guard lock(mutex_);
        answer_ = std::move(answer);
        filled_.notify_one();
    }
    std::optional<Answer> wait() {
        std::unique_lock lock(mutex_);
        filled_.wait_for(lock, loop_timeout, [this] { return answer_.has_value(); });
        return std::move(answer_);
    }

private:
    std::mutex mutex_;
    std::condition_variable filled_;
    std::optional<Answer> answer_;
};

/// What `ask` returns when it has run on `loop`; none if the loop is too busy to be asked.
template <typename Ask>
auto ask_loop(runtime::Executor& loop, Ask ask) {
    auto box = std::make_shared<Box<decltype(ask())>>();
    loop.post([box, ask = std::move(ask)] { box->fill(ask()); });
    return box->wait();
}

/// What one shard says of itself.
struct ShardTold {
    Views views;
    std::vector<replication::LogMark> marks;
    Duration overdue{};  ///< Of the log that has waited longest for compaction.
    std::size_t fetch_sessions = 0;
};

std::optional<std::vector<ShardTold>> ask_shards(const handlers::Doors& doors) {
    const replication::Replicas& replicas = *doors.replicas;
    std::vector<ShardTold> all;
    for (std::size_t shard = 0; shard < replicas.size(); ++shard) {
        auto told = ask_loop(replicas.executor(shard), [&doors, &replicas, shard] {
            const replication::ShardReplicas& here = replicas.here(shard);
            const auto neediest = here.compaction_needs().neediest;
            return ShardTold{here.views(), here.marks(),
                             neediest ? neediest->need.overdue : Duration{0},
                             doors.fetch_sessions->at(shard).size()};
        });
        if (!told) {
            return std::nullopt;
        }
        all.push_back(*std::move(told));
    }
    return all;
}

void set_asked(metrics::Registry& registry, auto id, double value) {
    registry.publish(id, asked_publisher, {{{}, value}});
}

/// Who waits, and what compaction can't or doesn't do in time.
void publish_shards(metrics::Registry& registry, const std::vector<ShardTold>& shards) {
    std::vector<metrics::Sample> segments;
    std::map<std::string, double> uncleanable;
    double waiting_produces = 0, sessions = 0, overdue = 0;
    for (const ShardTold& shard : shards) {
        sessions += static_cast<double>(shard.fetch_sessions);
        overdue = std::max(overdue, to_seconds(shard.overdue));
        for (const replication::LogMark& mark : shard.marks) {
            uncleanable[mark.directory->path()] += mark.is_uncleanable ? 1 : 0;
            waiting_produces += static_cast<double>(mark.waiting_produces);
            if (mark.segments == 0) {
                continue;  // found on disk, not opened yet
            }
            segments.push_back(
                {{mark.partition.topic, std::to_string(mark.partition.partition.value)},
                 static_cast<double>(mark.segments)});
        }
    }
    std::vector<metrics::Sample> given_up;
    for (const auto& [directory, count] : uncleanable) {
        given_up.push_back({{directory}, count});
    }
    registry.publish(metric::log_segments, asked_publisher, std::move(segments));
    registry.publish(metric::cleaner_uncleanable_partitions, asked_publisher, std::move(given_up));
    set_asked(registry, metric::cleaner_lag_seconds_max, overdue);
    set_asked(registry, metric::waiting_produces, waiting_produces);
    set_asked(registry, metric::fetch_sessions, sessions);
}

void publish_quorum(metrics::Registry& registry, const BrokerView& view) {
    const auto told = ask_loop(*view.doors->control, [quorum = view.quorum] {
        return std::pair(quorum->log_end(), quorum->high_watermark());
    });
    if (!told) {
        return;
    }
    set_asked(registry, metric::quorum_end_offset, static_cast<double>(told->first.value));
    if (told->second) {
        set_asked(registry, metric::quorum_high_watermark,
                  static_cast<double>(told->second->value));
    }
}

void publish_logs(metrics::Registry& registry, const std::vector<ShardTold>& shards) {
    std::vector<metrics::Sample> bytes, start, end;
    for (const ShardTold& shard : shards) {
        for (const auto& view : shard.views) {
            const std::vector<std::string> labels{view.topic,
                                                  std::to_string(view.id.partition.value)};
            bytes.push_back({labels, static_cast<double>(view.size_bytes)});
            start.push_back({labels, static_cast<double>(view.start.value)});
            end.push_back({labels, static_cast<double>(view.end.value)});
        }
    }
    registry.publish(metric::log_bytes, asked_publisher, std::move(bytes));
    registry.publish(metric::log_start_offset, asked_publisher, std::move(start));
    registry.publish(metric::log_end_offset, asked_publisher, std::move(end));
}

/// Partitions without a replica here end where their leaders say.
void fill_ends(std::vector<groups::GroupLag>& lags, admin::AdminDoors& admin) {
    std::set<admin::PartitionKey> elsewhere;
    for (const groups::GroupLag& group : lags) {
        for (const groups::PartitionLag& one : group.partitions) {
            if (!one.end) {
                elsewhere.emplace(one.partition.topic, one.partition.partition.value);
            }
        }
    }
    if (elsewhere.empty()) {
        return;
    }
    auto box = std::make_shared<Box<admin::FoundOffsets>>();
    admin::find_offsets(admin, {}, admin::at(admin::latest, elsewhere),
                        [box](Result<admin::FoundOffsets> found) {
                            box->fill(found ? *std::move(found) : admin::FoundOffsets{});
                        });
    const std::optional<admin::FoundOffsets> found = box->wait();
    if (!found) {
        return;
    }
    for (groups::GroupLag& group : lags) {
        for (groups::PartitionLag& one : group.partitions) {
            const auto end = found->find({one.partition.topic, one.partition.partition.value});
            if (!one.end && end != found->end() && end->second.error == KafkaError::none) {
                one.end = Offset{end->second.offset};
                one.lag = std::max<std::int64_t>(0, end->second.offset - one.committed.value);
            }
        }
    }
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
    registry.publish(metric::group_lag_records, asked_publisher, std::move(samples));
}

void publish_members(metrics::Registry& registry, const std::vector<groups::GroupLag>& lags) {
    std::vector<metrics::Sample> samples;
    for (const groups::GroupLag& group : lags) {
        samples.push_back({{group.group}, static_cast<double>(group.members)});
    }
    registry.publish(metric::group_members, asked_publisher, std::move(samples));
}

/// Only what some group reads is remembered.
void publish_lag_times(metrics::Registry& registry, const std::vector<groups::GroupLag>& lags,
                       Instant now, LagClocks& clocks) {
    LagClocks kept;
    std::map<std::pair<std::string, std::string>, Duration> longest;
    for (const groups::GroupLag& group : lags) {
        for (const groups::PartitionLag& one : group.partitions) {
            if (!one.end) {
                continue;
            }
            const auto [clock, is_new] = kept.try_emplace(one.partition);
            if (is_new) {
                if (const auto before = clocks.find(one.partition); before != clocks.end()) {
                    clock->second = std::move(before->second);
                }
                clock->second.look(*one.end, now);
            }
            Duration& behind = longest[{group.group, one.partition.topic}];
            behind = std::max(behind, clock->second.behind(one.committed, now));
        }
    }
    clocks = std::move(kept);
    std::vector<metrics::Sample> samples;
    for (const auto& [of, behind] : longest) {
        samples.push_back({{of.first, of.second}, to_seconds(behind)});
    }
    registry.publish(metric::group_lag_seconds, asked_publisher, std::move(samples));
}

void publish_counts(metrics::Registry& registry, const groups::GroupCounts& counts) {
    std::vector<metrics::Sample> groups;
    for (const auto& [state, count] : counts.classic_by_state) {
        groups.push_back({{"classic", state}, static_cast<double>(count)});
    }
    for (const auto& [state, count] : counts.consumer_by_state) {
        groups.push_back({{"consumer", state}, static_cast<double>(count)});
    }
    registry.publish(metric::groups, asked_publisher, std::move(groups));
    registry.publish(metric::group_rebalances, asked_publisher,
                     {{{"classic"}, static_cast<double>(counts.classic_rebalances)},
                      {{"consumer"}, static_cast<double>(counts.consumer_rebalances)}});
    registry.publish(metric::offset_commits, asked_publisher,
                     {{{}, static_cast<double>(counts.commits)}});
    registry.publish(metric::offsets_expired, asked_publisher,
                     {{{}, static_cast<double>(counts.expired_offsets)}});
}

}  // namespace

void publish_asked(metrics::Registry& registry, const BrokerView& view, admin::AdminDoors& admin,
                   LagClocks& clocks) {
    const handlers::Doors& doors = *view.doors;
    publish_quorum(registry, view);
    if (!doors.is_broker || doors.groups == nullptr) {
        return;
    }
    const auto shards = ask_shards(doors);
    if (!shards) {
        return;
    }
    publish_logs(registry, *shards);
    publish_shards(registry, *shards);
    auto ends = std::make_shared<HighWatermarks>();
    for (const ShardTold& shard : *shards) {
        for (const auto& one : shard.views) {
            if (one.high_watermark != no_offset) {
                ends->emplace(TopicPartition{one.topic, one.id.partition}, one.high_watermark);
            }
        }
    }
    struct GroupsTold {
        std::vector<groups::GroupLag> lags;
        groups::GroupCounts counts;
        Instant now;
    };
    auto groups = ask_loop(*doors.control, [&doors, ends] {
        const auto end_of = [&](const TopicPartition& partition) {
            const auto found = ends->find(partition);
            return found == ends->end() ? std::nullopt : std::optional(found->second);
        };
        return GroupsTold{doors.groups->lags(end_of), doors.groups->counts(),
                          doors.control->clock().now()};
    });
    if (groups) {
        fill_ends(groups->lags, admin);
        publish_lags(registry, groups->lags);
        publish_members(registry, groups->lags);
        publish_lag_times(registry, groups->lags, groups->now, clocks);
        publish_counts(registry, groups->counts);
    }
}

}  // namespace millrace::app
