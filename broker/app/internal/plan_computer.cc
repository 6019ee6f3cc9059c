#include "app/internal/plan_computer.h"

#include <algorithm>

#include "app/internal/placement_snapshot.h"
#include "app/internal/plan_intent.h"
#include "config/options.h"
#include "handlers/topic_names.h"
#include "metadata/standing.h"

namespace millrace::app {
namespace {

constexpr std::uint64_t pool_lane = 0;

bool contains(const std::vector<BrokerId>& list, BrokerId broker) {
    return std::find(list.begin(), list.end(), broker) != list.end();
}

bool takes_replicas(const metadata::Image& image, const metadata::Broker& broker) {
    return broker.is_active() && !metadata::is_cordoned(image, broker);
}

void compute_now(ComputedPlan& made, const ReplicaSizes& sizes) {
    const admin::PlanWish& wish = made.wish;
    const placement::Snapshot snapshot =
        snapshot_of(*made.image, sizes, {wish.drain.begin(), wish.drain.end()},
                    {wish.lost.begin(), wish.lost.end()});
    placement::Desired desired;
    desired.mode = wish.mode;
    desired.replication_factors = wish.replication_factors;
    desired.empty_cordoned_disks = wish.empty_cordoned_disks;
    for (const placement::TopicState& topic : snapshot.topics) {
        for (const std::string& glob : wish.exclude_topics) {
            if (matches(glob, topic.name)) {
                desired.pinned_topics.insert(topic.name);
            }
        }
    }
    made.plan = placement::plan(snapshot, desired, wish.limits);
    made.name = plan_name(made.plan.fingerprint, wish);
}

}  // namespace

void PlanComputer::all_sizes(UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done) {
    std::vector<BrokerId> up;
    for (const auto& [id, broker] : image()->cluster.brokers) {
        if (!broker->fenced) {
            up.push_back(id);
        }
    }
    gather_sizes(doors_, std::move(up), std::nullopt, std::move(done));
}

void PlanComputer::sizes_of(std::vector<BrokerId> brokers, const Partitions& partitions,
                            UniqueFunction<void(std::shared_ptr<const ReplicaSizes>)> done) {
    gather_sizes(doors_, std::move(brokers), partitions,
                 [&control = control_,
                  done = std::move(done)](std::shared_ptr<const ReplicaSizes> sizes) mutable {
                     control.post([sizes = std::move(sizes), done = std::move(done)]() mutable {
                         done(std::move(sizes));
                     });
                 });
}

void PlanComputer::compute(admin::PlanWish wish,
                           UniqueFunction<void(std::shared_ptr<ComputedPlan>)> done) {
    fit_offsets_topic(*image(),
                      view_.doors->topics->current()->config().broker().get(
                          config::broker_option::offsets_topic_replication_factor),
                      wish);
    all_sizes([self = shared_from_this(), wish = std::move(wish),
               done = std::move(done)](std::shared_ptr<const ReplicaSizes> sizes) mutable {
        auto made = std::make_shared<ComputedPlan>();
        made->image = self->image();
        made->wish = std::move(wish);
        self->pool_.run(
            pool_lane, self->control_,
            [made, sizes = std::move(sizes)] { compute_now(*made, *sizes); },
            [made, done = std::move(done)]() mutable { done(made); });
    });
}

void fit_offsets_topic(const metadata::Image& image, int wished, admin::PlanWish& wish) {
    const metadata::Topic* topic = image.topics.find(handlers::offsets_topic);
    if (topic == nullptr || wish.mode == placement::Mode::repair) {
        return;
    }
    int takers = 0;
    for (const auto& [id, broker] : image.cluster.brokers) {
        takers += takes_replicas(image, *broker) && !contains(wish.drain, id) ? 1 : 0;
    }
    const int fit = std::clamp(takers, 1, std::max(1, wished));
    const bool is_out = wish.mode == placement::Mode::scale_out;
    for (const auto& [index, partition] : topic->partitions) {
        const int has = static_cast<int>(partition->replicas.size());
        if (is_out ? has < fit : has > fit) {
            wish.replication_factors.emplace(std::string(handlers::offsets_topic), fit);
            return;
        }
    }
}

Result<void> check_wish(const metadata::Image& image, const admin::PlanWish& wish) {
    for (const auto* brokers : {&wish.drain, &wish.lost}) {
        for (const BrokerId id : *brokers) {
            if (image.cluster.broker(id) == nullptr) {
                return Error::make(Code::not_found, "broker {} is not registered", id.value);
            }
        }
    }
    int takers = 0;
    int leaving = 0;
    int others = 0;
    for (const auto& [id, broker] : image.cluster.brokers) {
        const bool leaves = contains(wish.drain, id) || contains(wish.lost, id);
        ++(leaves ? leaving : takes_replicas(image, *broker) ? takers : others);
    }
    for (const auto& [name, factor] : wish.replication_factors) {
        if (image.topics.find(std::string_view(name)) == nullptr) {
            return Error::make(Code::not_found, "there is no topic {}", name);
        }
        if (factor > takers) {
            return Error::make(Code::fenced,
                               "topic {} can't have {} replicas: {} brokers take replicas, {} "
                               "leave, {} are down or cordoned",
                               name, factor, takers, leaving, others);
        }
    }
    return {};
}

Result<void> check_begin(const ComputedPlan& computed) {
    if (computed.wish.mode != placement::Mode::drain) {
        return {};
    }
    for (const placement::Unmet& unmet : computed.plan.unmet) {
        if (unmet.constraint == "drain" || unmet.constraint == "pinned") {
            return Error::make(Code::fenced, "{} partitions can't leave: {}", unmet.count,
                               unmet.reason);
        }
    }
    return {};
}

}  // namespace millrace::app
