// Exchanges of two replicas between two brokers of one rack: counts stay as they are.
#include <algorithm>
#include <cstdlib>
#include <optional>
#include <tuple>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

constexpr std::size_t sample = 48;

struct Held {
    PartitionNumber partition = 0;
    std::size_t slot = 0;
};

std::optional<Held> movable(const Model& model, PartitionNumber number, BrokerIndex from) {
    const Model::Partition& partition = model.partitions[number];
    if (partition.is_frozen || partition.is_changed) {
        return std::nullopt;
    }
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        if (model.replica(partition, slot) == from) {
            return Held{number, slot};
        }
    }
    return std::nullopt;
}

bool may_exchange(const Model& model, const Held& a, BrokerIndex at_a, const Held& b,
                  BrokerIndex at_b) {
    return a.partition != b.partition &&
           model.may_place(model.partitions[a.partition], a.slot, at_b) &&
           model.may_place(model.partitions[b.partition], b.slot, at_a);
}

void exchange(Model& model, const Held& a, BrokerIndex at_a, const Held& b, BrokerIndex at_b,
              Reason reason) {
    model.replace(model.partitions[a.partition], a.slot, at_b, reason);
    model.replace(model.partitions[b.partition], b.slot, at_a, reason);
}

/// Topics that are one too many here and one too few there, even by one, stay: it isn't worth two
/// copies.
class TopicSpread {
public:
    explicit TopicSpread(Model& model) : model_(model), held_(model.partitions_by_broker()) {
        receivers_ = static_cast<std::int64_t>(
            std::count_if(model.brokers.begin(), model.brokers.end(),
                          [](const Model::Broker& broker) { return broker.receives(); }));
        totals_.resize(model.topics.size(), 0);
        for (const Model::Partition& partition : model.partitions) {
            totals_[partition.topic] += partition.size;
        }
    }

    void run() {
        for (BrokerIndex b = 0; b < model_.brokers.size(); ++b) {
            if (model_.brokers[b].receives()) {
                for (const PartitionNumber number : held_[b]) {
                    improve(number, b);
                }
            }
        }
    }

private:
    std::int64_t ceiling(std::uint32_t topic) const {
        return (totals_[topic] + receivers_ - 1) / std::max<std::int64_t>(1, receivers_);
    }
    std::int64_t excess(std::uint32_t topic, BrokerIndex b) const {
        return model_.topic_counts.of(topic, b) - ceiling(topic);
    }

    void improve(PartitionNumber number, BrokerIndex from) {
        const std::uint32_t topic = model_.partitions[number].topic;
        const auto mine = movable(model_, number, from);
        if (!mine || excess(topic, from) < 1) {
            return;
        }
        for (const BrokerIndex to : model_.rack_members[model_.brokers[from].rack]) {
            if (to == from || excess(topic, to) >= -1 + (excess(topic, from) > 1 ? 1 : 0) ||
                !model_.may_place(model_.partitions[number], mine->slot, to)) {
                continue;
            }
            if (const auto theirs = in_return(*mine, from, to, topic)) {
                exchange(model_, *mine, from, *theirs, to, Reason::topic);
                return;
            }
        }
    }

    /// A replica of another topic that is no more spread out where it is than where it goes.
    std::optional<Held> in_return(const Held& mine, BrokerIndex from, BrokerIndex to,
                                  std::uint32_t topic) const {
        std::size_t seen = 0;
        for (const PartitionNumber number : held_[to]) {
            const std::uint32_t other = model_.partitions[number].topic;
            if (other == topic || excess(other, from) >= 0) {
                continue;
            }
            const auto theirs = movable(model_, number, to);
            if (theirs && may_exchange(model_, mine, from, *theirs, to)) {
                return theirs;
            }
            if (++seen == sample) {
                break;
            }
        }
        return std::nullopt;
    }

    Model& model_;
    std::vector<std::vector<PartitionNumber>> held_;
    std::int64_t receivers_ = 0;
    std::vector<std::int64_t> totals_;
};

class ByteSwaps {
public:
    explicit ByteSwaps(Model& model) : model_(model), held_(model.partitions_by_broker()) {}

    void run() {
        for (std::uint32_t rack = 0; rack < model_.racks.size(); ++rack) {
            run(rack);
        }
    }

private:
    void run(std::uint32_t rack) {
        std::vector<BrokerIndex> members;
        double bytes = 0;
        double weight = 0;
        for (const BrokerIndex b : model_.rack_members[rack]) {
            if (model_.brokers[b].receives()) {
                members.push_back(b);
                bytes += static_cast<double>(model_.brokers[b].bytes);
                weight += model_.brokers[b].weight;
            }
        }
        if (members.size() < 2 || bytes <= 0) {
            return;
        }
        const auto ratio = [&](BrokerIndex b) {
            const Model::Broker& broker = model_.brokers[b];
            return static_cast<double>(broker.bytes) / (bytes * broker.weight / weight);
        };
        const double band = model_.limits.bytes_band_percent / 100.0;
        for (std::size_t swaps = 0; swaps < 2 * members.size(); ++swaps) {
            std::sort(members.begin(), members.end(), [&](BrokerIndex a, BrokerIndex b) {
                return std::pair(ratio(a), model_.brokers[a].hash) <
                       std::pair(ratio(b), model_.brokers[b].hash);
            });
            if (ratio(members.back()) - 1 <= band && 1 - ratio(members.front()) <= band) {
                return;
            }
            if (!swap(members.back(), members.front())) {
                return;
            }
        }
    }

    /// The pair whose difference comes nearest to half of what is between the two brokers.
    bool swap(BrokerIndex high, BrokerIndex low) {
        const std::int64_t between = model_.brokers[high].bytes - model_.brokers[low].bytes;
        std::optional<std::tuple<std::int64_t, Held, Held>> best;
        for (const Held& big : some_of(high)) {
            for (const Held& small : some_of(low)) {
                const std::int64_t difference = model_.partitions[big.partition].bytes -
                                                model_.partitions[small.partition].bytes;
                const std::int64_t miss = std::abs(between / 2 - difference);
                if (difference <= 0 || difference >= between ||
                    (best && std::get<0>(*best) <= miss) || !is_neutral(big, high, small, low) ||
                    !may_exchange(model_, big, high, small, low)) {
                    continue;
                }
                best.emplace(miss, big, small);
            }
        }
        if (!best) {
            return false;
        }
        exchange(model_, std::get<1>(*best), high, std::get<2>(*best), low, Reason::bytes);
        return true;
    }

    /// No topic piles up by it.
    bool is_neutral(const Held& a, BrokerIndex at_a, const Held& b, BrokerIndex at_b) const {
        const std::uint32_t one = model_.partitions[a.partition].topic;
        const std::uint32_t other = model_.partitions[b.partition].topic;
        return one == other ||
               (model_.topic_counts.of(one, at_b) <= model_.topic_counts.of(one, at_a) &&
                model_.topic_counts.of(other, at_a) <= model_.topic_counts.of(other, at_b));
    }

    std::vector<Held> some_of(BrokerIndex broker) const {
        std::vector<Held> found;
        for (const PartitionNumber number : held_[broker]) {
            if (const auto one = movable(model_, number, broker)) {
                found.push_back(*one);
                if (found.size() == sample) {
                    break;
                }
            }
        }
        return found;
    }

    Model& model_;
    std::vector<std::vector<PartitionNumber>> held_;
};

}  // namespace

void spread_topics(Model& model) {
    TopicSpread(model).run();
}

void even_bytes(Model& model) {
    ByteSwaps(model).run();
}

}  // namespace millrace::placement
