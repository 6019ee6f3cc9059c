#include "app/internal/group_metrics.h"

#include <map>
#include <vector>

#include "groups/group_coordinator.h"

namespace millrace::app {
namespace {

namespace metric = metrics::metric;
constexpr std::string_view publisher = "groups";
constexpr Duration period = 5s;

using Ends = std::map<TopicPartition, Offset>;

std::vector<metrics::Sample> samples_of(const std::vector<groups::GroupLag>& lags) {
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
    return samples;
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
}

}  // namespace

struct GroupMetrics::Inside : std::enable_shared_from_this<GroupMetrics::Inside> {
    Inside(const handlers::Doors& doors_in, std::shared_ptr<metrics::Registry> registry_in)
        : doors(doors_in), registry(std::move(registry_in)) {}

    /// One round: which partitions have commits, where those end, and so who lags. On control.
    void round();
    void publish(const Ends& ends);
    void next_round();
    /// What the groups read, by the shard that would hold our replica of it.
    std::vector<std::vector<std::pair<TopicIdPartition, TopicPartition>>> wanted() const;

    const handlers::Doors& doors;
    const std::shared_ptr<metrics::Registry> registry;
};

std::vector<std::vector<std::pair<TopicIdPartition, TopicPartition>>> GroupMetrics::Inside::wanted()
    const {
    std::vector<std::vector<std::pair<TopicIdPartition, TopicPartition>>> by_shard(
        doors.replicas->size());
    const metadata::ImagePtr image = doors.image->current();
    std::map<TopicPartition, bool> seen;
    const auto lags =
        doors.groups->lags([](const TopicPartition&) { return std::optional<Offset>{}; });
    for (const groups::GroupLag& group : lags) {
        for (const groups::PartitionLag& one : group.partitions) {
            const metadata::Topic* topic = image->topics.find(one.partition.topic);
            if (topic != nullptr && seen.emplace(one.partition, true).second) {
                const TopicIdPartition id{topic->id, one.partition.partition};
                by_shard[doors.replicas->shard_of(id)].emplace_back(id, one.partition);
            }
        }
    }
    return by_shard;
}

void GroupMetrics::Inside::round() {
    struct Gathered {
        Ends ends;
        std::size_t missing;
    };
    auto by_shard = wanted();
    auto gathered = std::make_shared<Gathered>(Gathered{{}, by_shard.size()});
    for (std::size_t shard = 0; shard < by_shard.size(); ++shard) {
        doors.replicas->on_shard(
            shard, [weak = weak_from_this(), control = doors.control, gathered,
                    asked = std::move(by_shard[shard])](replication::ShardReplicas& replicas) {
                Ends found;
                for (const auto& [id, partition] : asked) {
                    if (const auto view = replicas.view(id);
                        view && view->high_watermark != no_offset) {
                        found.emplace(partition, view->high_watermark);
                    }
                }
                control->post([weak, gathered, found = std::move(found)]() mutable {
                    gathered->ends.merge(found);
                    const auto self = weak.lock();
                    if (--gathered->missing == 0 && self) {
                        self->publish(gathered->ends);
                        self->next_round();
                    }
                });
            });
    }
}

void GroupMetrics::Inside::publish(const Ends& ends) {
    registry->publish(metric::group_lag_records, publisher,
                      samples_of(doors.groups->lags([&ends](const TopicPartition& partition) {
                          const auto found = ends.find(partition);
                          return found == ends.end() ? std::optional<Offset>{} : found->second;
                      })));
    publish_counts(*registry, doors.groups->counts());
}

void GroupMetrics::Inside::next_round() {
    doors.control->after(period, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) {
            self->round();
        }
    });
}

GroupMetrics::GroupMetrics(const handlers::Doors& doors,
                           std::shared_ptr<metrics::Registry> registry) {
    if (doors.groups == nullptr || doors.replicas == nullptr) {
        return;  // a controller alone coordinates nothing
    }
    inside_ = std::make_shared<Inside>(doors, std::move(registry));
    doors.control->post([weak = std::weak_ptr(inside_)] {
        if (const auto self = weak.lock()) {
            self->next_round();
        }
    });
}

GroupMetrics::~GroupMetrics() = default;

}  // namespace millrace::app
