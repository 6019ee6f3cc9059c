#include <algorithm>
#include <deque>

#include "placement/internal/goals.h"
#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

class Leaders {
public:
    explicit Leaders(Model& model) : model_(model), leads_(model.brokers.size()) {
        for (PartitionNumber n = 0; n < model.partitions.size(); ++n) {
            if (model.partitions[n].size > 0) {
                leads_[model.replica(model.partitions[n], 0)].push_back(n);
            }
        }
        for (auto& list : leads_) {
            std::sort(list.begin(), list.end(), [&](PartitionNumber a, PartitionNumber b) {
                return std::pair(model.partitions[a].hash, a) <
                       std::pair(model.partitions[b].hash, b);
            });
        }
    }

    /// Off brokers that must not lead, whatever that does to the evenness.
    void relieve_the_unfit() {
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            if (model_.brokers[b].may_lead()) {
                continue;
            }
            for (const PartitionNumber number : led_by(b)) {
                if (leads(b, number)) {
                    give_to_least(number);
                }
            }
        }
    }

    void even(const std::vector<std::int64_t>& goals) {
        goals_ = goals;
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            for (const PartitionNumber number : led_by(b)) {
                if (surplus(b) <= 0) {
                    break;
                }
                if (leads(b, number)) {
                    give_to_neediest(number);
                }
            }
        }
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            while (surplus(b) > 0 && give_through_others(b)) {
            }
        }
    }

private:
    struct Step {
        PartitionNumber partition = 0;
        std::size_t slot = 0;
        BrokerIndex from = nobody;
    };

    /// As of now: the lists keep what was given away until they are asked for.
    std::vector<PartitionNumber> led_by(BrokerIndex b) {
        std::erase_if(leads_[b], [&](PartitionNumber number) { return !leads(b, number); });
        return leads_[b];
    }
    bool leads(BrokerIndex b, PartitionNumber number) const {
        return model_.replica(model_.partitions[number], 0) == b;
    }

    std::int64_t surplus(BrokerIndex b) const { return model_.brokers[b].leaders - goals_[b]; }

    void give(PartitionNumber number, std::size_t slot) {
        Model::Partition& partition = model_.partitions[number];
        leads_[model_.replica(partition, slot)].push_back(number);
        model_.make_first(partition, slot, Reason::leaders);
    }

    void give_to_least(PartitionNumber number) {
        const Model::Partition& partition = model_.partitions[number];
        std::size_t best = 0;
        for (std::size_t slot = 1; slot < partition.size && !partition.is_frozen; ++slot) {
            const Model::Broker& other = model_.brokers[model_.replica(partition, slot)];
            if (other.may_lead() &&
                (best == 0 ||
                 other.leaders < model_.brokers[model_.replica(partition, best)].leaders)) {
                best = slot;
            }
        }
        if (best != 0) {
            give(number, best);
        }
    }

    void give_to_neediest(PartitionNumber number) {
        const Model::Partition& partition = model_.partitions[number];
        std::size_t best = 0;
        std::int64_t need = 0;
        for (std::size_t slot = 1; slot < partition.size && !partition.is_frozen; ++slot) {
            const BrokerIndex other = model_.replica(partition, slot);
            if (model_.brokers[other].may_lead() && -surplus(other) > need) {
                need = -surplus(other);
                best = slot;
            }
        }
        if (best != 0) {
            give(number, best);
        }
    }

    /// The shortest chain of handovers from who leads too much to who leads too little.
    bool give_through_others(BrokerIndex start) {
        std::vector<Step> came_by(model_.brokers.size());
        std::vector<bool> seen(model_.brokers.size(), false);
        std::deque<BrokerIndex> queue{start};
        seen[start] = true;
        while (!queue.empty()) {
            const BrokerIndex from = queue.front();
            queue.pop_front();
            for (const PartitionNumber number : led_by(from)) {
                if (++looked_at_ > looked_at_most) {
                    return false;
                }
                const Model::Partition& partition = model_.partitions[number];
                for (std::size_t slot = 1; slot < partition.size && !partition.is_frozen; ++slot) {
                    const BrokerIndex to = model_.replica(partition, slot);
                    if (seen[to] || !model_.brokers[to].may_lead()) {
                        continue;
                    }
                    seen[to] = true;
                    came_by[to] = {number, slot, from};
                    if (surplus(to) < 0) {
                        walk_back(came_by, start, to);
                        return true;
                    }
                    queue.push_back(to);
                }
            }
        }
        return false;
    }

    void walk_back(const std::vector<Step>& came_by, BrokerIndex start, BrokerIndex end) {
        for (BrokerIndex at = end; at != start;) {
            const Step step = came_by[at];
            give(step.partition, step.slot);
            at = step.from;
        }
    }

    static constexpr std::size_t looked_at_most = 20'000'000;

    Model& model_;
    std::vector<std::vector<PartitionNumber>> leads_;
    std::vector<std::int64_t> goals_;
    std::size_t looked_at_ = 0;
};

}  // namespace

void even_leaders(Model& model) {
    Leaders leaders(model);
    leaders.relieve_the_unfit();
    const std::vector<std::int64_t> goals = leader_goals(model);
    std::vector<std::int64_t> now;
    for (const Model::Broker& broker : model.brokers) {
        now.push_back(broker.leaders);
    }
    if (out_of_band(now, goals, model.limits.count_band_percent)) {
        leaders.even(goals);
    }
}

}  // namespace millrace::placement
