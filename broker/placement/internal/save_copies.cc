// Cycles of steps that leave every count as it is and need fewer copies: what repairs and evening,
// each right on its own, cost together too much. Only where the cluster is small enough to look at
// every step; in a large one the odd copy doesn't matter.
#include <algorithm>
#include <optional>
#include <set>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

constexpr std::size_t steps_at_most = 1'000'000;
constexpr int rounds_at_most = 200;

/// The cheapest step from one broker to another.
struct CopyStep {
    int cost = 2;  ///< 2: there is none.
    PartitionNumber partition = 0;
    std::size_t slot = 0;
};

class Cycles {
public:
    explicit Cycles(Model& model) : model_(model), size_(model.brokers.size()) {}

    bool cancel_one() {
        look();
        std::vector<int> distance(size_, 0);
        std::vector<std::size_t> by(size_, size_);
        std::size_t last = size_;
        for (std::size_t round = 0; round <= size_; ++round) {
            last = size_;
            for (std::size_t from = 0; from < size_; ++from) {
                for (std::size_t to = 0; to < size_; ++to) {
                    const int cost = step(from, to).cost;
                    if (cost <= 1 && distance[from] + cost < distance[to]) {
                        distance[to] = distance[from] + cost;
                        by[to] = from;
                        last = to;
                    }
                }
            }
        }
        return last != size_ && take_cycle(by, last);
    }

private:
    CopyStep& step(std::size_t from, std::size_t to) { return steps_[from * size_ + to]; }

    void look() {
        steps_.assign(size_ * size_, {});
        for (PartitionNumber n = 0; n < model_.partitions.size(); ++n) {
            const Model::Partition& partition = model_.partitions[n];
            for (std::size_t slot = 0; slot < partition.size; ++slot) {
                const BrokerIndex from = model_.replica(partition, slot);
                if (partition.is_frozen || avoided_.contains(n) ||
                    !model_.brokers[from].receives()) {
                    continue;
                }
                for (BrokerIndex to = 0; to < size_; ++to) {
                    const int cost = (model_.held_before(partition, to) ? 0 : 1) -
                                     (model_.held_before(partition, from) ? 0 : 1);
                    if (cost < step(from, to).cost && model_.may_place(partition, slot, to)) {
                        step(from, to) = {cost, n, slot};
                    }
                }
            }
        }
    }

    bool take_cycle(const std::vector<std::size_t>& by, std::size_t at) {
        for (std::size_t i = 0; i < size_; ++i) {
            at = by[at];  // from anywhere behind a cycle into it
        }
        std::vector<CopyStep> cycle;
        std::vector<BrokerIndex> targets;
        std::set<PartitionNumber> used;
        std::size_t to = at;
        do {
            const CopyStep& found = step(by[to], to);
            if (!used.insert(found.partition).second) {
                avoided_.insert(found.partition);  // checked for one step only; another cycle, then
                return true;
            }
            cycle.push_back(found);
            targets.push_back(static_cast<BrokerIndex>(to));
            to = by[to];
        } while (to != at);
        for (std::size_t i = 0; i < cycle.size(); ++i) {
            model_.replace(model_.partitions[cycle[i].partition], cycle[i].slot, targets[i],
                           Reason::count);
        }
        return true;
    }

    Model& model_;
    std::size_t size_;
    std::vector<CopyStep> steps_;
    std::set<PartitionNumber> avoided_;
};

}  // namespace

void save_copies(Model& model) {
    std::size_t replicas = 0;
    for (const Model::Broker& broker : model.brokers) {
        replicas += static_cast<std::size_t>(broker.count);
    }
    if (replicas * model.brokers.size() > steps_at_most) {
        return;
    }
    Cycles cycles(model);
    for (int round = 0; round < rounds_at_most && cycles.cancel_one(); ++round) {
    }
}

}  // namespace millrace::placement
