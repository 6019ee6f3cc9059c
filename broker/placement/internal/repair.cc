#include <algorithm>
#include <fmt/core.h>
#include <optional>
#include <tuple>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

std::string size_text(std::int64_t bytes) {
    constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit + 1 < std::size(units)) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} bytes", bytes)
                     : fmt::format("{:.1f} {}", value, units[unit]);
}

/// Finds receivers: of those that may have it, the one that lacks most, then the one that has least
/// of the topic.
class Receivers {
public:
    Receivers(const Model& model, const std::vector<std::int64_t>& goals)
        : model_(model), goals_(goals), queues_(model.racks.size()) {
        for (std::uint32_t rack = 0; rack < model.racks.size(); ++rack) {
            for (const BrokerIndex b : model.rack_members[rack]) {
                if (model.brokers[b].receives()) {
                    queues_[rack].push_back(b);
                }
            }
            sort(rack);
        }
    }

    /// `slot` == size asks for one more. The replica's own rack is preferred at equal need.
    BrokerIndex best(const Model::Partition& partition, std::size_t slot) {
        const bool replaces = slot < partition.size;
        const std::uint32_t home =
            replaces ? model_.brokers[model_.replica(partition, slot)].rack : 0;
        BrokerIndex found = nobody;
        std::optional<Rank> best_rank;
        for (std::uint32_t rack = 0; rack < queues_.size(); ++rack) {
            std::size_t looked_at = 0;
            for (const BrokerIndex b : queues_[rack]) {
                if (!model_.may_place(partition, slot, b)) {
                    continue;
                }
                const Rank rank = rank_of(partition, b, replaces && rack != home);
                if (!best_rank || rank < *best_rank) {
                    best_rank = rank;
                    found = b;
                }
                if (++looked_at == looked_at_most) {
                    break;
                }
            }
        }
        return found;
    }

    /// The broker got one: it moves back in its rack's queue.
    void took(BrokerIndex broker) {
        std::vector<BrokerIndex>& queue = queues_[model_.brokers[broker].rack];
        auto at = std::find(queue.begin(), queue.end(), broker);
        while (at + 1 != queue.end() && key(*(at + 1)) < key(*at)) {
            std::iter_swap(at, at + 1);
            ++at;
        }
    }

private:
    /// In a rack the queue is in order of need already.
    static constexpr std::size_t looked_at_most = 8;
    using Rank = std::tuple<bool, std::int64_t, bool, std::uint64_t>;

    double need(BrokerIndex b) const {
        const double goal = std::max<double>(1, static_cast<double>(goals_[b]));
        return (static_cast<double>(goals_[b] - model_.brokers[b].count)) / goal;
    }
    std::tuple<double, std::uint64_t> key(BrokerIndex b) const {
        return {-need(b), model_.brokers[b].hash};
    }
    Rank rank_of(const Model::Partition& partition, BrokerIndex b, bool leaves_rack) const {
        const auto score = static_cast<std::int64_t>(need(b) * 1e6);
        const std::int64_t of_topic = model_.topic_counts.of(partition.topic, b);
        return {score <= 0, of_topic * 1000 - score / 1000, leaves_rack,
                mixed(model_.brokers[b].hash ^ partition.hash)};
    }
    void sort(std::uint32_t rack) {
        std::sort(queues_[rack].begin(), queues_[rack].end(),
                  [&](BrokerIndex a, BrokerIndex b) { return key(a) < key(b); });
    }

    const Model& model_;
    const std::vector<std::int64_t>& goals_;
    std::vector<std::vector<BrokerIndex>> queues_;
};

struct Repair {
    Model& model;
    Receivers receivers;
    Complaints& complaints;

    std::string why_nobody(const Model::Partition& partition, std::size_t slot) const {
        std::size_t candidates = 0;
        std::size_t has_one = 0;
        std::size_t no_room = 0;
        BrokerIndex roomiest = nobody;
        for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
            if (!model.brokers[b].receives()) {
                continue;
            }
            ++candidates;
            if (model.holds(partition, b)) {
                ++has_one;
            } else if (!model.fits(b, partition.bytes)) {
                ++no_room;
                roomiest = roomiest == nobody || most_room(b) > most_room(roomiest) ? b : roomiest;
            }
        }
        const std::string subject = fmt::format(
            "{}-{} {}", model.topics[partition.topic], partition.index,
            slot < partition.size
                ? fmt::format("can't leave broker {}",
                              model.brokers[model.replica(partition, slot)].id.value)
                : fmt::format("has {} of {} replicas", partition.size, partition.factor));
        if (has_one == candidates) {
            return fmt::format("{}: it has {} replicas, and {} brokers are left to take them",
                               subject, partition.factor, candidates);
        }
        std::string reasons;
        const auto because = [&](std::size_t count, const std::string& reason) {
            if (count > 0) {
                reasons += fmt::format("{}{} {}", reasons.empty() ? "" : ", ", count, reason);
            }
        };
        because(has_one, "have one of it");
        because(no_room,
                roomiest == nobody
                    ? ""
                    : fmt::format("lack room for its {} (broker {} has most, {} of {})",
                                  size_text(partition.bytes), model.brokers[roomiest].id.value,
                                  size_text(most_room(roomiest)), size_text(all(roomiest))));
        because(candidates - has_one - no_room,
                fmt::format("are in racks that have {} of it", model.rack_cap(partition)));
        return fmt::format("{}: of {} brokers that are left, {}", subject, candidates, reasons);
    }

    /// Up to the share of a disk that may be filled.
    std::int64_t most_room(BrokerIndex broker) const {
        std::int64_t most = 0;
        for (const Disk& disk : model.brokers[broker].disks) {
            const std::int64_t usable = disk.capacity / 100 * model.limits.disk_percent;
            most = std::max(most, disk.cordoned ? 0 : usable - disk.used);
        }
        return most;
    }
    std::int64_t all(BrokerIndex broker) const {
        std::int64_t capacity = 0;
        for (const Disk& disk : model.brokers[broker].disks) {
            capacity += disk.capacity;
        }
        return capacity;
    }

    /// Two in a rack are better than one copy less: when nobody else is left, the rule bends.
    BrokerIndex anyone(const Model::Partition& partition) const {
        BrokerIndex found = nobody;
        std::tuple<std::size_t, std::int64_t, std::uint64_t> best{};
        for (BrokerIndex b = 0; b < model.brokers.size(); ++b) {
            const Model::Broker& broker = model.brokers[b];
            if (!broker.receives() || model.holds(partition, b) ||
                !model.fits(b, partition.bytes)) {
                continue;
            }
            const std::tuple rank{model.in_rack(partition, broker.rack), broker.count,
                                  mixed(broker.hash ^ partition.hash)};
            if (found == nobody || rank < best) {
                found = b;
                best = rank;
            }
        }
        return found;
    }

    BrokerIndex receiver_for(const Model::Partition& partition, std::size_t slot,
                             bool may_bend_rack) {
        const BrokerIndex best = receivers.best(partition, slot);
        if (best != nobody || !may_bend_rack) {
            return best;
        }
        const BrokerIndex any = anyone(partition);
        if (any != nobody) {
            complaints.add(
                model, partition, "rack",
                fmt::format("{}-{} gets more than {} replicas in rack '{}': no other "
                            "rack has a broker for it",
                            model.topics[partition.topic], partition.index,
                            model.rack_cap(partition), model.racks[model.brokers[any].rack]));
        }
        return any;
    }

    /// Off lost and draining brokers; the lost first, they are what is missing.
    void evacuate(Model::Partition& partition, Standing from, Reason reason) {
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            if (model.brokers[model.replica(partition, slot)].standing != from) {
                continue;
            }
            if (partition.size > partition.factor) {
                model.remove(partition, slot--, reason);
                continue;
            }
            const BrokerIndex to = receiver_for(partition, slot, true);
            if (to == nobody) {
                complaints.add(model, partition, from == Standing::lost ? "lost" : "drain",
                               why_nobody(partition, slot));
                continue;
            }
            model.replace(partition, slot, to, reason);
            receivers.took(to);
            if (from == Standing::draining) {
                complain_of_crowding(partition, model.brokers[to].rack);
            }
        }
    }

    /// Who empties the last brokers of a rack makes the others carry two of a partition.
    void complain_of_crowding(const Model::Partition& partition, std::uint32_t rack) {
        const std::size_t here = model.in_rack(partition, rack);
        if (here > model.rack_cap_before(partition)) {
            complaints.add(model, partition, "rack",
                           fmt::format("{}-{} would have {} replicas in rack '{}': {} racks are "
                                       "left for its {} replicas",
                                       model.topics[partition.topic], partition.index, here,
                                       model.racks[rack], model.live_racks(), partition.factor));
        }
    }

    void fit_factor(Model::Partition& partition) {
        while (partition.size > partition.factor) {
            model.remove(partition, worst_replica(partition), Reason::replication_factor);
        }
        while (partition.size < partition.factor) {
            const BrokerIndex to = receiver_for(partition, partition.size, true);
            if (to == nobody) {
                complaints.add(model, partition, "replication_factor",
                               why_nobody(partition, partition.size));
                return;
            }
            model.add(partition, to, Reason::replication_factor);
            receivers.took(to);
        }
    }

    /// The one that is missed least: where its rack has most of the partition, then where most is
    /// carried; the preferred leader last.
    std::size_t worst_replica(const Model::Partition& partition) const {
        std::size_t worst = partition.size - 1U;
        std::tuple<std::size_t, bool, std::int64_t> worst_rank{};
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            const Model::Broker& broker = model.brokers[model.replica(partition, slot)];
            const std::tuple rank{model.in_rack(partition, broker.rack), slot != 0, broker.count};
            if (slot == 0 || rank > worst_rank) {
                worst = slot;
                worst_rank = rank;
            }
        }
        return worst;
    }

    /// Its rack has too many, or a second one that another rack without any could have.
    bool is_crowded(const Model::Partition& partition, std::size_t slot) const {
        const std::uint32_t rack = model.brokers[model.replica(partition, slot)].rack;
        const std::size_t here = model.in_rack(partition, rack);
        return here > model.rack_cap(partition) ||
               (here > 1 && model.another_rack_is_free(partition, slot, rack));
    }

    void fit_racks(Model::Partition& partition) {
        for (std::size_t slot = partition.size; slot-- > 0;) {
            const std::uint32_t rack = model.brokers[model.replica(partition, slot)].rack;
            const std::size_t here = model.in_rack(partition, rack);
            if (!is_crowded(partition, slot)) {
                continue;
            }
            const BrokerIndex to = receivers.best(partition, slot);
            if (to == nobody) {
                complaints.add(model, partition, "rack",
                               fmt::format("{}-{} has {} replicas in rack '{}', {} are allowed, "
                                           "and no broker of another rack can take one",
                                           model.topics[partition.topic], partition.index, here,
                                           model.racks[rack], model.rack_cap(partition)));
                return;
            }
            model.replace(partition, slot, to, Reason::rack);
            receivers.took(to);
        }
    }

    void complain_of_frozen(const Model::Partition& partition) {
        const auto say = [&](const char* constraint, const std::string& what) {
            complaints.add(
                model, partition, constraint,
                fmt::format("{}-{} {}", model.topics[partition.topic], partition.index, what));
        };
        if (partition.is_beyond_help) {
            say("lost", fmt::format("had all of its {} replicas on lost brokers: nobody is left to "
                                    "copy them from",
                                    partition.factor));
        } else if (partition.is_pinned) {
            say("pinned", is_draining(partition)
                              ? "stays where it is: its topic is excluded from moves"
                              : "needs repair, and its topic is excluded from moves");
        } else if (partition.is_leaderless) {
            say(is_draining(partition) ? "drain" : "offline",
                "has no leader: nobody can copy its replicas now");
        }
    }

    bool is_draining(const Model::Partition& partition) const {
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            if (model.brokers[model.replica(partition, slot)].standing == Standing::draining) {
                return true;
            }
        }
        return false;
    }

    bool is_broken(const Model::Partition& partition) const {
        if (partition.size != partition.factor) {
            return true;
        }
        for (std::size_t slot = 0; slot < partition.size; ++slot) {
            const Model::Broker& broker = model.brokers[model.replica(partition, slot)];
            if (broker.must_be_empty() || is_crowded(partition, slot)) {
                return true;
            }
        }
        return false;
    }
};

}  // namespace

void repair(Model& model, const std::vector<std::int64_t>& goals, Complaints& complaints) {
    Repair repair{model, Receivers(model, goals), complaints};
    for (Model::Partition& partition : model.partitions) {
        if (!repair.is_broken(partition)) {
            continue;
        }
        if (partition.is_frozen) {
            repair.complain_of_frozen(partition);
            continue;
        }
        repair.evacuate(partition, Standing::lost, Reason::lost);
        repair.evacuate(partition, Standing::draining, Reason::drain);
        repair.fit_factor(partition);
        repair.fit_racks(partition);
    }
}

}  // namespace millrace::placement
