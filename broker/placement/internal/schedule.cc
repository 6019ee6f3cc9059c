#include <algorithm>
#include <fmt/core.h>
#include <iterator>
#include <tuple>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

struct Change {
    PartitionNumber partition = 0;
    std::vector<BrokerIndex> in;
    std::vector<BrokerIndex> out;
};

bool is_same(const Model& model, const Model::Partition& partition) {
    if (partition.size != partition.size_before) {
        return false;
    }
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        if (model.replica(partition, slot) != model.replica_before(partition, slot)) {
            return false;
        }
    }
    return true;
}

Change change_of(const Model& model, PartitionNumber number) {
    const Model::Partition& partition = model.partitions[number];
    Change change{number, {}, {}};
    for (std::size_t slot = 0; slot < partition.size; ++slot) {
        if (!model.held_before(partition, model.replica(partition, slot))) {
            change.in.push_back(model.replica(partition, slot));
        }
    }
    for (std::size_t slot = 0; slot < partition.size_before; ++slot) {
        if (!model.holds(partition, model.replica_before(partition, slot))) {
            change.out.push_back(model.replica_before(partition, slot));
        }
    }
    return change;
}

/// Next free place of each broker, in waves of so many.
class Places {
public:
    Places(std::size_t brokers, int cap) : cap_(std::max(1, cap)), taken_(brokers, 0) {}
    std::int64_t wave(BrokerIndex broker) const { return taken_[broker] / cap_; }
    /// In that wave, or later if it is full.
    void take(BrokerIndex broker, std::int64_t wave) {
        taken_[broker] = std::max(taken_[broker], wave * cap_) + 1;
    }

private:
    std::int64_t cap_;
    std::vector<std::int64_t> taken_;
};

std::vector<BrokerId> ids(const Model& model, const Model::Partition& partition, bool before) {
    std::vector<BrokerId> found;
    const std::size_t size = before ? partition.size_before : partition.size;
    for (std::size_t slot = 0; slot < size; ++slot) {
        found.push_back(model
                            .brokers[before ? model.replica_before(partition, slot)
                                            : model.replica(partition, slot)]
                            .id);
    }
    return found;
}

Move move_of(const Model& model, const Change& change, std::int64_t wave) {
    const Model::Partition& partition = model.partitions[change.partition];
    Move move;
    move.topic = model.topics[partition.topic];
    move.partition = partition.index;
    move.from = ids(model, partition, true);
    move.to = ids(model, partition, false);
    move.bytes = partition.bytes * static_cast<std::int64_t>(change.in.size());
    move.reason = change.in.empty() && change.out.empty() ? Reason::leaders : partition.reason;
    move.wave = static_cast<int>(wave);
    return move;
}

/// Changes in the order of their urgency; among equals so that neighbours use different brokers.
std::vector<Change> ordered_changes(const Model& model) {
    std::vector<Change> changes;
    for (PartitionNumber n = 0; n < model.partitions.size(); ++n) {
        if (model.partitions[n].is_changed && !is_same(model, model.partitions[n])) {
            changes.push_back(change_of(model, n));
        }
    }
    const auto rank = [&](const Change& change) {
        const Model::Partition& partition = model.partitions[change.partition];
        const bool order_only = change.in.empty() && change.out.empty();
        return std::tuple(order_only, partition.reason, partition.hash, change.partition);
    };
    std::sort(changes.begin(), changes.end(),
              [&](const Change& a, const Change& b) { return rank(a) < rank(b); });
    return changes;
}

}  // namespace

void schedule(Model& model, Plan& plan, Complaints& complaints) {
    const std::vector<Change> changes = ordered_changes(model);
    Places in(model.brokers.size(), model.limits.max_moves_per_broker);
    Places out(model.brokers.size(), model.limits.max_moves_per_broker);
    std::vector<std::vector<Move>> waves;
    std::int64_t last_wave = -1;
    for (const Change& change : changes) {
        Model::Partition& partition = model.partitions[change.partition];
        const std::int64_t bytes = partition.bytes * static_cast<std::int64_t>(change.in.size());
        if (model.limits.max_bytes > 0 && plan.move_bytes + bytes > model.limits.max_bytes) {
            complaints.add(model, partition, "budget",
                           fmt::format("{}-{} and more stay: the budget of {} bytes is used up",
                                       model.topics[partition.topic], partition.index,
                                       model.limits.max_bytes));
            model.revert(partition);
            continue;
        }
        std::int64_t wave = change.in.empty() ? std::max<std::int64_t>(0, last_wave) : 0;
        for (const BrokerIndex b : change.in) {
            wave = std::max(wave, in.wave(b));
        }
        for (const BrokerIndex b : change.out) {
            wave = std::max(wave, out.wave(b));
        }
        for (const BrokerIndex b : change.in) {
            in.take(b, wave);
        }
        for (const BrokerIndex b : change.out) {
            out.take(b, wave);
        }
        last_wave = std::max(last_wave, wave);
        waves.resize(std::max(waves.size(), static_cast<std::size_t>(wave) + 1));
        waves[static_cast<std::size_t>(wave)].push_back(move_of(model, change, wave));
        const Move& move = waves[static_cast<std::size_t>(wave)].back();
        plan.replica_moves += static_cast<std::int64_t>(change.in.size());
        plan.move_bytes += move.bytes;
        plan.leader_changes += !move.from.empty() && move.from.front() != move.to.front() ? 1 : 0;
    }
    plan.waves = static_cast<int>(last_wave + 1);
    plan.moves.reserve(changes.size());
    for (std::vector<Move>& wave : waves) {
        std::move(wave.begin(), wave.end(), std::back_inserter(plan.moves));
    }
}

}  // namespace millrace::placement
