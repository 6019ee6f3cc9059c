#include <algorithm>
#include <fmt/core.h>

#include "placement/internal/goals.h"
#include "placement/internal/passes.h"
#include "placement/plan.h"

namespace millrace::placement {
namespace {

/// Two halves that are mixed differently: an id, not a proof.
class Digest {
public:
    void add(std::uint64_t value) {
        a_ = mixed(a_ ^ value);
        b_ = mixed(b_ * 0x9e3779b97f4a7c15ULL + value + 1);
    }
    void add(std::string_view text) { add(hash_of(text) + text.size()); }
    std::string to_string() const { return fmt::format("{:016x}{:016x}", a_, b_); }

private:
    std::uint64_t a_ = 0x6d696c6c72616365ULL;
    std::uint64_t b_ = 0x706c616e6e657221ULL;
};

std::string hash_of_moves(const std::vector<Move>& moves, std::string_view snapshot) {
    Digest digest;
    digest.add(snapshot);
    for (const Move& move : moves) {
        digest.add(move.topic);
        digest.add(static_cast<std::uint64_t>(move.partition));
        digest.add(static_cast<std::uint64_t>(move.wave));
        for (const auto* list : {&move.from, &move.to}) {
            digest.add(list->size());
            for (const BrokerId broker : *list) {
                digest.add(static_cast<std::uint64_t>(broker.value));
            }
        }
    }
    return digest.to_string();
}

/// Replicas that have to leave or to be added, whatever else is done.
std::int64_t forced_copies(const Model& model) {
    std::int64_t forced = 0;
    for (const Model::Partition& partition : model.partitions) {
        std::int64_t stay = 0;
        for (std::size_t slot = 0; slot < partition.size_before; ++slot) {
            const Model::Broker& broker = model.brokers[model.replica_before(partition, slot)];
            stay += broker.must_be_empty() ? 0 : 1;
        }
        forced += partition.is_frozen ? 0 : std::max<std::int64_t>(0, partition.factor - stay);
    }
    return forced;
}

std::vector<std::int64_t> counts(const Model& model) {
    std::vector<std::int64_t> now;
    for (const Model::Broker& broker : model.brokers) {
        now.push_back(broker.count);
    }
    return now;
}

/// Somebody has nothing and should have something: with few replicas that is within every band, and
/// yet what who added the broker doesn't expect.
bool is_idle_one(const std::vector<std::int64_t>& now, const std::vector<std::int64_t>& goals) {
    for (std::size_t i = 0; i < goals.size(); ++i) {
        if (now[i] == 0 && goals[i] > 0) {
            return true;
        }
    }
    return false;
}

void run_passes(Model& model, const Snapshot& snapshot, const Desired& desired, Plan& plan,
                Complaints& complaints) {
    if (desired.mode == Mode::leaders_only) {
        even_leaders(model);
        return;
    }
    if (desired.mode == Mode::relieve) {
        relieve(model, snapshot, desired.relieve, complaints);
        return;
    }
    repair(model, count_goals(model), complaints);
    plan.lower_bound = forced_copies(model);
    if (desired.mode == Mode::repair || desired.mode == Mode::drain) {
        return;
    }
    // Anew: repairs have taken replicas off brokers that get none in return.
    const std::vector<std::int64_t> goals = count_goals(model);
    const std::vector<std::int64_t> now = counts(model);
    if (out_of_band(now, goals, model.limits.count_band_percent) || is_idle_one(now, goals)) {
        plan.lower_bound = std::max(plan.lower_bound, lower_bound_of(model, goals));
        even_counts(model, goals);
        save_copies(model);
    }
    if (desired.mode == Mode::full) {
        spread_topics(model);
        even_bytes(model);
    }
    even_leaders(model);
}

void forecast(const Model& model, Plan& plan) {
    for (const Model::Broker& broker : model.brokers) {
        plan.brokers.push_back({broker.id, broker.count_before, broker.count, broker.leaders_before,
                                broker.leaders, broker.bytes_before, broker.bytes});
    }
}

}  // namespace

const char* to_string(Reason reason) {
    switch (reason) {
        case Reason::lost:
            return "its broker is lost";
        case Reason::rack:
            return "too many replicas in one rack";
        case Reason::replication_factor:
            return "another replication factor is wanted";
        case Reason::drain:
            return "its broker is being emptied";
        case Reason::disk:
            return "its disk is too full";
        case Reason::count:
            return "even counts";
        case Reason::topic:
            return "a topic spread out";
        case Reason::bytes:
            return "even bytes";
        case Reason::leaders:
            return "even leaders";
    }
    return "unknown";
}

int Move::arrivals() const {
    return static_cast<int>(std::count_if(to.begin(), to.end(), [&](BrokerId broker) {
        return std::find(from.begin(), from.end(), broker) == from.end();
    }));
}

void Complaints::add(const Model& model, const Model::Partition& partition, std::string constraint,
                     std::string reason) {
    Unmet& unmet = by_constraint_[constraint];
    if (unmet.count++ == 0) {
        unmet.constraint = std::move(constraint);
        unmet.reason = std::move(reason);
        unmet.topic = model.topics[partition.topic];
        unmet.partition = partition.index;
    }
}

void Complaints::add(std::string constraint, std::string reason) {
    Unmet& unmet = by_constraint_[constraint];
    if (unmet.count++ == 0) {
        unmet.constraint = std::move(constraint);
        unmet.reason = std::move(reason);
    }
}

std::vector<Unmet> Complaints::all() const {
    std::vector<Unmet> found;
    for (const auto& [constraint, unmet] : by_constraint_) {
        found.push_back(unmet);
    }
    return found;
}

std::string fingerprint(const Snapshot& snapshot) {
    const Model model(snapshot, {}, {});
    Digest digest;
    for (const Model::Broker& broker : model.brokers) {
        digest.add(static_cast<std::uint64_t>(broker.id.value));
        digest.add(model.racks[broker.rack]);
        digest.add(static_cast<std::uint64_t>(broker.standing));
    }
    for (const Model::Partition& partition : model.partitions) {
        digest.add(partition.hash);
        digest.add(partition.is_frozen ? 1U : 0U);
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            digest.add(
                static_cast<std::uint64_t>(model.brokers[model.replica(partition, slot)].id.value));
        }
    }
    return digest.to_string();
}

Plan plan(const Snapshot& snapshot, const Desired& desired, const Limits& limits) {
    Model model(snapshot, desired, limits);
    Plan plan;
    Complaints complaints;
    run_passes(model, snapshot, desired, plan, complaints);
    schedule(model, plan, complaints);
    if (desired.mode == Mode::scale_out || desired.mode == Mode::full) {
        even_disks(snapshot, desired, limits, plan, complaints);
    }
    forecast(model, plan);
    plan.unmet = complaints.all();
    plan.fingerprint = fingerprint(snapshot);
    plan.hash = hash_of_moves(plan.moves, plan.fingerprint);
    return plan;
}

}  // namespace millrace::placement
