#include "placement/internal/goals.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace millrace::placement {
namespace {

constexpr double hair = 1e-6;

/// What the rack rule leaves a rack to choose: the least and the most replicas, beside those that
/// its brokers can't give away.
struct RackRoom {
    double weight = 0;
    double fixed = 0;
    std::size_t members = 0;
    double least = 0;
    double most = 0;
};

std::vector<RackRoom> rooms_of(const Model& model) {
    std::vector<RackRoom> rooms(model.racks.size());
    for (std::uint32_t rack = 0; rack < model.racks.size(); ++rack) {
        for (const BrokerIndex b : model.rack_members[rack]) {
            const Model::Broker& broker = model.brokers[b];
            rooms[rack].members += broker.must_be_empty() ? 0 : 1;
            rooms[rack].weight += broker.receives() ? broker.weight : 0;
            rooms[rack].fixed +=
                broker.receives() || broker.must_be_empty() ? 0 : static_cast<double>(broker.count);
        }
    }
    std::map<std::uint16_t, double> by_factor;
    for (const Model::Partition& partition : model.partitions) {
        by_factor[partition.factor] += partition.is_beyond_help ? 0 : 1;
    }
    for (const auto& [factor, partitions] : by_factor) {
        Model::Partition example;
        example.factor = factor;
        const std::size_t cap = model.rack_cap(example);
        std::size_t everywhere = 0;
        std::size_t racks = 0;
        for (const RackRoom& room : rooms) {
            everywhere += std::min(room.members, cap);
            racks += room.members > 0 ? 1 : 0;
        }
        for (RackRoom& room : rooms) {
            const std::size_t here = std::min(room.members, cap);
            const std::size_t elsewhere = everywhere - here;
            room.most += partitions * static_cast<double>(here);
            const std::size_t forced = factor > elsewhere ? factor - elsewhere : 0;
            // With a replica for each rack no rack stays without one.
            const std::size_t least = std::max<std::size_t>(forced, factor >= racks ? 1 : 0);
            room.least += partitions * static_cast<double>(std::min(here, least));
        }
    }
    for (RackRoom& room : rooms) {
        room.least = room.weight > 0 ? std::max(0.0, room.least - room.fixed) : 0;
        room.most = room.weight > 0 ? std::max(0.0, room.most - room.fixed) : 0;
    }
    return rooms;
}

/// The rack's replicas among those of its brokers that take some; no broker has two of a partition.
void share_rack(const Model& model, std::uint32_t rack, std::int64_t replicas,
                std::vector<std::int64_t>& goals) {
    std::vector<BrokerIndex> members;
    std::vector<double> weights;
    std::vector<std::int64_t> now;
    for (const BrokerIndex b : model.rack_members[rack]) {
        if (model.brokers[b].receives()) {
            members.push_back(b);
            weights.push_back(model.brokers[b].weight);
            now.push_back(model.brokers[b].count);
        }
    }
    const std::vector<double> least(members.size(), 0);
    const std::vector<double> most(members.size(), static_cast<double>(model.partitions.size()));
    const auto each = whole(level(static_cast<double>(replicas), weights, least, most), now, most);
    for (std::size_t i = 0; i < members.size(); ++i) {
        goals[members[i]] = each[i];
    }
}

}  // namespace

std::vector<double> level(double total, const std::vector<double>& weights,
                          const std::vector<double>& minima, const std::vector<double>& maxima) {
    const auto shares_at = [&](double height) {
        std::vector<double> shares;
        for (std::size_t i = 0; i < weights.size(); ++i) {
            shares.push_back(std::max(minima[i], std::min(maxima[i], height * weights[i])));
        }
        return shares;
    };
    const auto sum_at = [&](double height) {
        const auto shares = shares_at(height);
        return std::accumulate(shares.begin(), shares.end(), 0.0);
    };
    double low = 0;
    double high = 1;
    constexpr int doublings = 60;
    for (int i = 0; i < doublings && sum_at(high) < total; ++i) {
        high *= 2;
    }
    constexpr int halvings = 80;
    for (int i = 0; i < halvings; ++i) {
        const double middle = (low + high) / 2;
        (sum_at(middle) < total ? low : high) = middle;
    }
    return shares_at(high);
}

std::vector<std::int64_t> whole(const std::vector<double>& shares,
                                const std::vector<std::int64_t>& now,
                                const std::vector<double>& maxima) {
    std::vector<std::int64_t> goals;
    for (const double share : shares) {
        goals.push_back(static_cast<std::int64_t>(std::floor(share + hair)));
    }
    const auto total =
        static_cast<std::int64_t>(std::llround(std::accumulate(shares.begin(), shares.end(), 0.0)));
    std::int64_t left = total - std::accumulate(goals.begin(), goals.end(), std::int64_t{0});
    std::vector<std::size_t> order(shares.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto rank = [&](std::size_t i) {
        return std::tuple(now[i] > goals[i] ? 0 : 1, -(shares[i] - static_cast<double>(goals[i])),
                          i);
    };
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    for (const bool with_whole_shares : {false, true}) {
        for (const std::size_t i : order) {
            const bool has_part = shares[i] - static_cast<double>(goals[i]) > hair;
            if (left > 0 && (has_part || with_whole_shares) &&
                static_cast<double>(goals[i] + 1) <= maxima[i] + hair) {
                ++goals[i];
                --left;
            }
        }
    }
    return goals;
}

std::vector<std::int64_t> count_goals(const Model& model) {
    double total = 0;
    for (const Model::Partition& partition : model.partitions) {
        total += partition.is_beyond_help ? 0 : partition.factor;
    }
    std::vector<std::int64_t> goals(model.brokers.size(), 0);
    for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
        const Model::Broker& broker = model.brokers[b];
        if (broker.receives()) {
            continue;
        }
        goals[b] = broker.count;  // After repairs: what has to go and can't is nobody's surplus.
        if (!broker.must_be_empty()) {
            total -= static_cast<double>(broker.count);
        }
    }
    std::vector<double> weights;
    std::vector<double> least;
    std::vector<double> most;
    std::vector<std::int64_t> now;
    for (const RackRoom& room : rooms_of(model)) {
        weights.push_back(room.weight);
        least.push_back(room.least);
        most.push_back(room.most);
    }
    for (const auto& members : model.rack_members) {
        std::int64_t count = 0;
        for (const BrokerIndex b : members) {
            count += model.brokers[b].receives() ? model.brokers[b].count : 0;
        }
        now.push_back(count);
    }
    const auto rack_goals = whole(level(total, weights, least, most), now, most);
    for (std::uint32_t rack = 0; rack < model.racks.size(); ++rack) {
        share_rack(model, rack, rack_goals[rack], goals);
    }
    return goals;
}

std::vector<std::int64_t> leader_goals(const Model& model) {
    std::vector<double> weights;
    std::vector<double> most;
    std::vector<std::int64_t> now;
    double total = 0;
    for (const Model::Broker& broker : model.brokers) {
        weights.push_back(broker.may_lead() ? broker.weight : 0);
        most.push_back(broker.may_lead() ? static_cast<double>(broker.count) : 0);
        now.push_back(broker.leaders);
        total += static_cast<double>(broker.leaders);
    }
    const std::vector<double> least(weights.size(), 0);
    return whole(level(total, weights, least, most), now, most);
}

std::int64_t lower_bound_of(const Model& model, const std::vector<std::int64_t>& goals) {
    std::int64_t missing = 0;
    for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
        missing += std::max<std::int64_t>(0, goals[b] - model.brokers[b].count_before);
    }
    return missing;
}

bool out_of_band(const std::vector<std::int64_t>& now, const std::vector<std::int64_t>& goals,
                 int percent) {
    for (std::size_t i = 0; i < goals.size(); ++i) {
        const std::int64_t band = std::max<std::int64_t>(1, goals[i] * percent / 100);
        if (std::abs(now[i] - goals[i]) > band) {
            return true;
        }
    }
    return false;
}

}  // namespace millrace::placement
