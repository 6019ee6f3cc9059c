// Clusters for tests of the planner: made by hand or from a seed, and what a plan makes of them.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "placement/plan.h"

namespace millrace::placement::testing {

inline Desired in_mode(Mode mode) {
    Desired desired;
    desired.mode = mode;
    return desired;
}

/// `racks` 0: without racks. Broker ids from 1.
inline Snapshot brokers(int count, int racks, int first = 1) {
    Snapshot snapshot;
    for (int i = 0; i < count; ++i) {
        BrokerState broker;
        broker.id = BrokerId{first + i};
        broker.rack = racks > 0 ? "rack-" + std::to_string(i % racks) : "";
        snapshot.brokers.push_back(broker);
    }
    return snapshot;
}

inline PartitionState partition(int index, const std::vector<int>& replicas,
                                std::int64_t bytes = 1000) {
    PartitionState state;
    state.index = index;
    for (const int id : replicas) {
        state.replicas.push_back({BrokerId{id}, -1, true});
    }
    state.leader = replicas.empty() ? no_broker : BrokerId{replicas.front()};
    state.bytes = bytes;
    return state;
}

inline TopicState topic(std::string name, const std::vector<std::vector<int>>& replicas,
                        std::int64_t bytes = 1000) {
    TopicState state;
    state.name = std::move(name);
    for (std::size_t i = 0; i < replicas.size(); ++i) {
        state.partitions.push_back(partition(static_cast<int>(i), replicas[i], bytes));
    }
    return state;
}

/// Replicas evenly and rack by rack, as a settled cluster has them.
inline void fill_evenly(Snapshot& snapshot, int topics, int partitions, int factor,
                        std::int64_t bytes = 1000) {
    std::map<std::string, std::vector<int>> by_rack;
    for (const BrokerState& broker : snapshot.brokers) {
        by_rack[broker.rack].push_back(broker.id.value);
    }
    std::vector<int> order;
    for (std::size_t i = 0; order.size() < snapshot.brokers.size(); ++i) {
        for (const auto& [rack, ids] : by_rack) {
            if (i < ids.size()) {
                order.push_back(ids[i]);
            }
        }
    }
    std::size_t next = 0;
    for (int t = 0; t < topics; ++t) {
        std::vector<std::vector<int>> lists;
        for (int p = 0; p < partitions; ++p, ++next) {
            std::vector<int> list;
            for (int r = 0; r < factor; ++r) {
                list.push_back(order[(next + static_cast<std::size_t>(r)) % order.size()]);
            }
            lists.push_back(list);
        }
        snapshot.topics.push_back(topic("topic-" + std::to_string(t), lists, bytes));
    }
}

inline int number(Random& random, int from, int to) {
    return from + static_cast<int>(random.next() % static_cast<std::uint64_t>(to - from + 1));
}

/// Anything: uneven, rack rules broken, brokers lost, draining, cordoned, partitions in flight.
inline Snapshot any_cluster(Random& random, bool with_trouble = true) {
    Snapshot snapshot = brokers(number(random, 3, 12), number(random, 0, 4));
    if (with_trouble) {
        for (BrokerState& broker : snapshot.brokers) {
            switch (number(random, 0, 11)) {
                case 0:
                    broker.standing = Standing::lost;
                    break;
                case 1:
                    broker.standing = Standing::draining;
                    break;
                case 2:
                    broker.standing = Standing::cordoned;
                    break;
                case 3:
                    broker.standing = Standing::maintenance;
                    break;
                default:
                    break;
            }
        }
    }
    const int topics = number(random, 1, 6);
    for (int t = 0; t < topics; ++t) {
        TopicState state;
        state.name = "topic-" + std::to_string(t);
        const int factor =
            number(random, 1, std::min<int>(3, static_cast<int>(snapshot.brokers.size())));
        const int partitions = number(random, 1, 30);
        for (int p = 0; p < partitions; ++p) {
            std::vector<int> ids;
            while (static_cast<int>(ids.size()) < factor) {
                // Low ids more often: uneven from the start.
                const int a = number(random, 1, static_cast<int>(snapshot.brokers.size()));
                const int b = number(random, 1, static_cast<int>(snapshot.brokers.size()));
                const int id = std::min(a, b);
                if (std::find(ids.begin(), ids.end(), id) == ids.end()) {
                    ids.push_back(id);
                }
            }
            state.partitions.push_back(partition(p, ids, number(random, 1, 100'000)));
            state.partitions.back().is_moving = with_trouble && number(random, 0, 30) == 0;
        }
        snapshot.topics.push_back(std::move(state));
    }
    return snapshot;
}

/// The cluster after the first `count` moves.
inline Snapshot after(Snapshot snapshot, const Plan& plan, std::size_t count) {
    std::map<std::string, TopicState*> topics;
    for (TopicState& topic : snapshot.topics) {
        topics[topic.name] = &topic;
    }
    for (std::size_t i = 0; i < std::min(count, plan.moves.size()); ++i) {
        const Move& move = plan.moves[i];
        for (PartitionState& state : topics.at(move.topic)->partitions) {
            if (state.index != move.partition) {
                continue;
            }
            state.replicas.clear();
            for (const BrokerId id : move.to) {
                state.replicas.push_back({id, -1, true});
            }
            state.leader = move.to.front();
        }
    }
    return snapshot;
}
inline Snapshot after(const Snapshot& snapshot, const Plan& plan) {
    return after(snapshot, plan, plan.moves.size());
}

struct View {
    explicit View(const Snapshot& snapshot) {
        for (const BrokerState& broker : snapshot.brokers) {
            by_id[broker.id] = &broker;
            const bool stays =
                broker.standing != Standing::lost && broker.standing != Standing::draining;
            if (stays) {
                racks.insert(broker.rack);
            }
            counts[broker.id] = 0;
        }
        for (const TopicState& topic : snapshot.topics) {
            for (const PartitionState& state : topic.partitions) {
                for (const Replica& replica : state.replicas) {
                    ++counts[replica.broker];
                }
            }
        }
    }
    std::size_t cap(const PartitionState& state) const {
        const std::size_t all = std::max<std::size_t>(1, racks.size());
        return (state.replicas.size() + all - 1) / all;
    }
    /// Replicas above what their racks may have.
    std::size_t rack_excess(const PartitionState& state) const {
        std::map<std::string, std::size_t> in;
        std::size_t excess = 0;
        for (const Replica& replica : state.replicas) {
            excess += ++in[by_id.at(replica.broker)->rack] > cap(state) ? 1 : 0;
        }
        return excess;
    }
    std::size_t on_leaving(const PartitionState& state) const {
        std::size_t count = 0;
        for (const Replica& replica : state.replicas) {
            const Standing standing = by_id.at(replica.broker)->standing;
            count += standing == Standing::lost || standing == Standing::draining ? 1 : 0;
        }
        return count;
    }
    bool is_distinct(const PartitionState& state) const {
        std::set<BrokerId> seen;
        for (const Replica& replica : state.replicas) {
            seen.insert(replica.broker);
        }
        return seen.size() == state.replicas.size();
    }

    std::map<BrokerId, const BrokerState*> by_id;
    std::map<BrokerId, int> counts;
    std::set<std::string> racks;
};

}  // namespace millrace::placement::testing
