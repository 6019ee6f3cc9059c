// The fewest copies that lead from a snapshot to given counts, with the rack rule: exact, by a flow
// of least cost; for small clusters.
#pragma once

#include <limits>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <vector>

#include "tests/unit/placement/clusters.h"

namespace millrace::placement::testing {

class LeastCostFlow {
public:
    explicit LeastCostFlow(std::size_t nodes) : out_(nodes) {}
    void edge(std::size_t from, std::size_t to, int capacity, int cost) {
        out_[from].push_back(edges_.size());
        edges_.push_back({to, capacity, cost});
        out_[to].push_back(edges_.size());
        edges_.push_back({from, 0, -cost});
    }
    /// Cost of `wanted` units from 0 to 1; none if that many don't get through.
    std::optional<int> run(int wanted) {
        int cost = 0;
        while (wanted > 0) {
            constexpr int far = std::numeric_limits<int>::max() / 2;
            std::vector<int> distance(out_.size(), far);
            std::vector<std::size_t> by(out_.size(), edges_.size());
            distance[0] = 0;
            for (bool changed = true; changed;) {
                changed = false;
                for (std::size_t node = 0; node < out_.size(); ++node) {
                    for (const std::size_t e : out_[node]) {
                        if (distance[node] < far && edges_[e].capacity > 0 &&
                            distance[node] + edges_[e].cost < distance[edges_[e].to]) {
                            distance[edges_[e].to] = distance[node] + edges_[e].cost;
                            by[edges_[e].to] = e;
                            changed = true;
                        }
                    }
                }
            }
            if (distance[1] >= far) {
                return std::nullopt;
            }
            for (std::size_t node = 1; node != 0; node = edges_[by[node] ^ 1U].to) {
                --edges_[by[node]].capacity;
                ++edges_[by[node] ^ 1U].capacity;
            }
            cost += distance[1];
            --wanted;
        }
        return cost;
    }

private:
    struct Edge {
        std::size_t to;
        int capacity;
        int cost;
    };
    std::vector<Edge> edges_;
    std::vector<std::vector<std::size_t>> out_;
};

inline std::optional<int> fewest_copies(const Snapshot& snapshot,
                                        const std::map<BrokerId, int>& counts) {
    const View view(snapshot);
    std::map<std::string, std::size_t> racks;
    for (const BrokerState& broker : snapshot.brokers) {
        racks.emplace(broker.rack, racks.size());
    }
    std::map<BrokerId, std::size_t> broker_nodes;
    std::size_t partitions = 0;
    for (const TopicState& topic : snapshot.topics) {
        partitions += topic.partitions.size();
    }
    for (const BrokerState& broker : snapshot.brokers) {
        broker_nodes.emplace(broker.id, 2 + broker_nodes.size());
    }
    const std::size_t first = 2 + snapshot.brokers.size();
    LeastCostFlow flow(first + partitions * (1 + racks.size()));
    int wanted = 0;
    std::size_t node = first;
    for (const TopicState& topic : snapshot.topics) {
        for (const PartitionState& state : topic.partitions) {
            const std::size_t at = node;
            node += 1 + racks.size();
            wanted += static_cast<int>(state.replicas.size());
            flow.edge(0, at, static_cast<int>(state.replicas.size()), 0);
            for (const auto& [rack, number] : racks) {
                flow.edge(at, at + 1 + number, static_cast<int>(view.cap(state)), 0);
            }
            for (const BrokerState& broker : snapshot.brokers) {
                bool holds = false;
                for (const Replica& replica : state.replicas) {
                    holds = holds || replica.broker == broker.id;
                }
                flow.edge(at + 1 + racks.at(broker.rack), broker_nodes.at(broker.id), 1,
                          holds ? 0 : 1);
            }
        }
    }
    for (const auto& [id, count] : counts) {
        flow.edge(broker_nodes.at(id), 1, count, 0);
    }
    return flow.run(wanted);
}

}  // namespace millrace::placement::testing
