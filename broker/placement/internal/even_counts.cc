#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>
#include <set>
#include <tuple>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

/// So many replicas of a donor are compared at a time, and so many receivers for each.
constexpr std::size_t window = 16;
constexpr std::size_t receivers_at_most = 4;
/// Steps that are looked at, in all, where no single one is left.
constexpr std::size_t detour_limit = 30'000'000;

struct CountStep {
    PartitionNumber partition = 0;
    std::size_t slot = 0;
    BrokerIndex to = nobody;
    std::tuple<std::int64_t, std::int64_t, std::uint64_t> rank{};
};

class Evening {
public:
    Evening(Model& model, const std::vector<std::int64_t>& goals)
        : model_(model), goals_(goals), rack_surplus_(model.racks.size(), 0) {
        for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
            rack_surplus_[model.brokers[b].rack] += surplus(b);
        }
    }

    void run() {
        const auto held = model_.partitions_by_broker();
        for (const bool changed_too : {false, true}) {
            for (const BrokerIndex donor : donors()) {
                empty_surplus(donor, held[donor], changed_too);
            }
        }
        for (const BrokerIndex donor : donors()) {
            avoided_.clear();
            while (surplus(donor) > 0 && detour(donor)) {
            }
        }
    }

private:
    std::int64_t surplus(BrokerIndex b) const { return model_.brokers[b].count - goals_[b]; }

    std::vector<BrokerIndex> donors() const {
        std::vector<BrokerIndex> found;
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            if (model_.brokers[b].receives() && surplus(b) > 0) {
                found.push_back(b);
            }
        }
        std::sort(found.begin(), found.end(), [&](BrokerIndex a, BrokerIndex b) {
            return std::pair(-surplus(a), model_.brokers[a].hash) <
                   std::pair(-surplus(b), model_.brokers[b].hash);
        });
        return found;
    }

    /// Those that lack replicas: of the donor's rack, and of others that lack some as long as the
    /// donor's has too many.
    std::vector<BrokerIndex> receivers_for(BrokerIndex donor) const {
        const std::uint32_t home = model_.brokers[donor].rack;
        std::vector<BrokerIndex> found;
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            const Model::Broker& broker = model_.brokers[b];
            const bool reachable =
                broker.rack == home || (rack_surplus_[home] > 0 && rack_surplus_[broker.rack] < 0);
            if (broker.receives() && surplus(b) < 0 && reachable) {
                found.push_back(b);
            }
        }
        std::sort(found.begin(), found.end(), [&](BrokerIndex a, BrokerIndex b) {
            return std::tuple(model_.brokers[a].rack != home, surplus(a), model_.brokers[a].hash) <
                   std::tuple(model_.brokers[b].rack != home, surplus(b), model_.brokers[b].hash);
        });
        return found;
    }

    std::size_t slot_of(const Model::Partition& partition, BrokerIndex broker) const {
        std::size_t slot = 0;
        while (slot < partition.size && model_.replica(partition, slot) != broker) {
            ++slot;
        }
        return slot;
    }

    /// Topics are evened out first; among equals the size that the donor's surplus asks for, so
    /// that bytes follow counts.
    CountStep rated(PartitionNumber number, std::size_t slot, BrokerIndex from, BrokerIndex to,
                    std::int64_t wanted_bytes) const {
        const Model::Partition& partition = model_.partitions[number];
        const std::int64_t gain = model_.topic_counts.of(partition.topic, from) -
                                  model_.topic_counts.of(partition.topic, to);
        return {number,
                slot,
                to,
                {-std::min<std::int64_t>(gain, 8), std::abs(partition.bytes - wanted_bytes),
                 mixed(partition.hash ^ model_.brokers[to].hash)}};
    }

    std::int64_t wanted_bytes(BrokerIndex donor) const {
        const Model::Broker& broker = model_.brokers[donor];
        const std::int64_t mean = broker.count > 0 ? broker.bytes / broker.count : 0;
        const std::int64_t after = mean * goals_[donor];
        return std::max<std::int64_t>(
            0, (broker.bytes - after) / std::max<std::int64_t>(1, surplus(donor)));
    }

    void take(const CountStep& step, BrokerIndex from, Reason reason) {
        Model::Partition& partition = model_.partitions[step.partition];
        model_.replace(partition, step.slot, step.to, reason);
        --rack_surplus_[model_.brokers[from].rack];
        ++rack_surplus_[model_.brokers[step.to].rack];
    }

    void empty_surplus(BrokerIndex donor, const std::vector<PartitionNumber>& held,
                       bool changed_too) {
        std::vector<BrokerIndex> receivers = receivers_for(donor);
        std::size_t turn = model_.brokers[donor].hash % std::max<std::size_t>(1, receivers.size());
        std::vector<CountStep> steps;
        std::size_t at = 0;
        while (surplus(donor) > 0 && at < held.size() && !receivers.empty()) {
            steps.clear();
            const std::int64_t bytes = wanted_bytes(donor);
            for (std::size_t seen = 0; seen < window && at < held.size(); ++at, ++seen) {
                const Model::Partition& partition = model_.partitions[held[at]];
                const std::size_t slot = slot_of(partition, donor);
                if (partition.is_frozen || slot == partition.size ||
                    (partition.is_changed && !changed_too)) {
                    continue;
                }
                CountStep best;
                const std::size_t tries = std::min(receivers_at_most, receivers.size());
                for (std::size_t i = 0, tried = 0; i < receivers.size() && tried < tries; ++i) {
                    const BrokerIndex to = receivers[(turn + i) % receivers.size()];
                    if (!model_.may_place(partition, slot, to)) {
                        continue;
                    }
                    ++tried;
                    CountStep step = rated(held[at], slot, donor, to, bytes);
                    if (best.to == nobody || step.rank < best.rank) {
                        best = step;
                    }
                }
                turn = (turn + 1) % receivers.size();
                if (best.to != nobody) {
                    steps.push_back(best);
                }
            }
            take_best(donor, steps, receivers,
                      changed_too ? steps.size() : share(at, held.size(), donor));
        }
    }

    /// How many of the window's steps to take, so that the best of each go: four replicas are
    /// looked at for one that moves, as far as the donor has so many.
    std::size_t share(std::size_t at, std::size_t all, BrokerIndex donor) const {
        const auto left = static_cast<std::size_t>(surplus(donor));
        const std::size_t windows = std::min(all - at, 4 * left) / window + 1;
        return (left + windows - 1) / windows;
    }

    void take_best(BrokerIndex donor, std::vector<CountStep>& steps,
                   std::vector<BrokerIndex>& receivers, std::size_t most) {
        std::sort(steps.begin(), steps.end(),
                  [](const CountStep& a, const CountStep& b) { return a.rank < b.rank; });
        for (const CountStep& step : steps) {
            if (most == 0 || surplus(donor) <= 0) {
                return;
            }
            const bool leaves_rack = model_.brokers[donor].rack != model_.brokers[step.to].rack;
            if (surplus(step.to) >= 0 ||
                (leaves_rack && (rack_surplus_[model_.brokers[donor].rack] <= 0 ||
                                 rack_surplus_[model_.brokers[step.to].rack] >= 0)) ||
                !model_.may_place(model_.partitions[step.partition], step.slot, step.to)) {
                continue;
            }
            take(step, donor, Reason::count);
            --most;
            if (surplus(step.to) >= 0) {
                receivers = receivers_for(donor);
            }
        }
    }

    /// One of the donor's surplus on its way over other brokers to who lacks one: the cheapest
    /// chain of steps, where a step back to who held the replica before costs nothing.
    bool detour(BrokerIndex donor) {
        const auto held = model_.partitions_by_broker();
        Ways ways(model_.brokers.size());
        ways.distance[donor] = 0;
        std::deque<BrokerIndex> queue{donor};
        for (std::size_t rounds = 0; !queue.empty(); ++rounds) {
            const BrokerIndex from = queue.front();
            queue.pop_front();
            ways.is_queued[from] = false;
            if (rounds > model_.brokers.size() * model_.brokers.size() ||
                !look_from(from, held[from], ways, queue)) {
                break;  // what was found so far has to do
            }
        }
        BrokerIndex end = nobody;
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            if (surplus(b) < 0 && ways.distance[b] < unreached &&
                (end == nobody || ways.distance[b] < ways.distance[end])) {
                end = b;
            }
        }
        if (end == nobody) {
            return false;
        }
        if (const auto twice = walk(donor, end, ways)) {
            // A chain that meets itself was only checked for one of its steps: another way, then.
            avoided_.insert(*twice);
            return avoided_.size() <= avoided_at_most;
        }
        return true;
    }

    static constexpr int unreached = 1'000'000;
    struct Ways {
        explicit Ways(std::size_t brokers)
            : distance(brokers, unreached),
              by(brokers),
              from(brokers, nobody),
              is_queued(brokers, false) {}
        std::vector<int> distance;
        std::vector<CountStep> by;
        std::vector<BrokerIndex> from;
        std::vector<bool> is_queued;
    };

    bool look_from(BrokerIndex from, const std::vector<PartitionNumber>& held, Ways& ways,
                   std::deque<BrokerIndex>& queue) {
        for (const PartitionNumber number : held) {
            const Model::Partition& partition = model_.partitions[number];
            const std::size_t slot = slot_of(partition, from);
            if (partition.is_frozen || slot == partition.size || avoided_.contains(number)) {
                continue;
            }
            const int saved = model_.held_before(partition, from) ? 0 : 1;
            for (BrokerIndex to = 0; to < model_.brokers.size(); ++to) {
                if (++looked_at_ > detour_limit) {
                    return false;
                }
                // What a step would save is not counted: then no chain is endless.
                const int cost = model_.held_before(partition, to) ? 0 : 1 - saved;
                if (ways.distance[from] + cost < ways.distance[to] &&
                    model_.may_place(partition, slot, to)) {
                    ways.distance[to] = ways.distance[from] + cost;
                    ways.by[to] = {number, slot, to, {}};
                    ways.from[to] = from;
                    if (!ways.is_queued[to]) {
                        ways.is_queued[to] = true;
                        queue.push_back(to);
                    }
                }
            }
        }
        return true;
    }

    /// The partition that stands in the way of it, if one does.
    std::optional<PartitionNumber> walk(BrokerIndex donor, BrokerIndex end, const Ways& ways) {
        std::vector<BrokerIndex> path;
        std::set<PartitionNumber> used;
        for (BrokerIndex at = end; at != donor; at = ways.from[at]) {
            if (!used.insert(ways.by[at].partition).second) {
                return ways.by[at].partition;
            }
            path.push_back(at);
        }
        for (const BrokerIndex at : path) {
            take(ways.by[at], ways.from[at], Reason::count);
        }
        return std::nullopt;
    }

    static constexpr std::size_t avoided_at_most = 64;
    std::set<PartitionNumber> avoided_;
    std::size_t looked_at_ = 0;
    Model& model_;
    const std::vector<std::int64_t>& goals_;
    std::vector<std::int64_t> rack_surplus_;
};

}  // namespace

void even_counts(Model& model, const std::vector<std::int64_t>& goals) {
    Evening(model, goals).run();
}

}  // namespace millrace::placement
