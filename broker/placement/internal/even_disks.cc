#include <algorithm>
#include <fmt/core.h>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "placement/internal/passes.h"

namespace millrace::placement {
namespace {

/// Disks within this of their share are even enough: copies are not for free.
constexpr std::int64_t band_percent = 10;
/// Counted for a replica beside its bytes: empty ones will not stay empty.
constexpr std::int64_t of_each = std::int64_t{1} << 20;

struct Resident {
    std::uint32_t topic = 0;  ///< Index into the snapshot's topics.
    std::int32_t partition = 0;
    std::int64_t bytes = 0;
    std::uint64_t hash = 0;
};

/// The disks of one broker and what lies on them.
class Disks {
public:
    explicit Disks(const BrokerState& broker) : broker_(broker), at_(broker.disks.size()) {}

    void add(std::int16_t disk, const Resident& resident) {
        Shelf& shelf = at_[static_cast<std::size_t>(disk)];
        shelf.load += resident.bytes + of_each;
        ++shelf.of_topic[resident.topic];
        shelf.residents.push_back(resident);
    }

    void even(const Snapshot& snapshot, int disk_percent, std::vector<DiskMove>& moves) {
        set_shares();
        for (auto next = best(disk_percent); next; next = best(disk_percent)) {
            move(*next, snapshot, moves);
        }
    }

    /// Nothing stays on a cordoned disk that finds room on another.
    void empty_cordoned(const Snapshot& snapshot, int disk_percent, std::vector<DiskMove>& moves,
                        Complaints& complaints) {
        for (std::size_t from = 0; from < at_.size(); ++from) {
            if (takes_part(from)) {
                continue;
            }
            std::vector<Resident>& here = at_[from].residents;
            // Small ones last, and taken from the end: what doesn't fit is then of the largest.
            std::sort(here.begin(), here.end(), [](const Resident& a, const Resident& b) {
                return std::tuple(-a.bytes, a.hash) < std::tuple(-b.bytes, b.hash);
            });
            for (std::size_t left = here.size(); left-- > 0;) {
                if (const auto to = roomiest(here[left].bytes, disk_percent)) {
                    move({from, *to, left}, snapshot, moves);
                }
            }
            for (const Resident& stays : here) {
                complaints.add(
                    "disk", fmt::format("{}-{} can't leave {} of broker {}: its {} bytes fit on no "
                                        "other directory of this broker",
                                        snapshot.topics[stays.topic].name, stays.partition,
                                        broker_.disks[from].path, broker_.id, stays.bytes));
            }
        }
    }

private:
    struct Shelf {
        std::vector<Resident> residents;  ///< Those that were here before.
        std::map<std::uint32_t, std::int64_t> of_topic;
        std::int64_t load = 0;
        std::int64_t share = 0;
        std::int64_t arrived = 0;
    };
    struct Step {
        std::size_t from = 0;
        std::size_t to = 0;
        std::size_t resident = 0;
    };

    bool takes_part(std::size_t disk) const { return !broker_.disks[disk].cordoned; }

    void move(const Step& step, const Snapshot& snapshot, std::vector<DiskMove>& moves) {
        Shelf& from = at_[step.from];
        Shelf& to = at_[step.to];
        const Resident moved = from.residents[step.resident];
        moves.push_back({snapshot.topics[moved.topic].name, moved.partition, broker_.id,
                         broker_.disks[step.from].path, broker_.disks[step.to].path, moved.bytes});
        from.residents.erase(from.residents.begin() + static_cast<std::ptrdiff_t>(step.resident));
        from.load -= moved.bytes + of_each;
        --from.of_topic[moved.topic];
        to.load += moved.bytes + of_each;
        to.arrived += moved.bytes;
        ++to.of_topic[moved.topic];
    }

    std::int64_t room_on(std::size_t disk, int disk_percent) const {
        const Disk& one = broker_.disks[disk];
        return one.capacity > 0 ? one.capacity / 100 * disk_percent - one.used - at_[disk].arrived
                                : std::numeric_limits<std::int64_t>::max();
    }

    /// Where this finds room, the disk that is emptiest for its size.
    std::optional<std::size_t> roomiest(std::int64_t bytes, int disk_percent) const {
        std::optional<std::size_t> found;
        double least = 0;
        for (std::size_t disk = 0; disk < at_.size(); ++disk) {
            const std::int64_t capacity = std::max<std::int64_t>(1, broker_.disks[disk].capacity);
            const double load = static_cast<double>(at_[disk].load) / static_cast<double>(capacity);
            if (takes_part(disk) && room_on(disk, disk_percent) >= bytes &&
                (!found || load < least)) {
                found = disk;
                least = load;
            }
        }
        return found;
    }

    /// By capacity, as far as all are known.
    void set_shares() {
        std::int64_t total = 0;
        double weights = 0;
        const bool known = std::all_of(broker_.disks.begin(), broker_.disks.end(),
                                       [](const Disk& disk) { return disk.capacity > 0; });
        const auto weight = [&](std::size_t disk) {
            return !takes_part(disk) ? 0
                   : known           ? static_cast<double>(broker_.disks[disk].capacity)
                                     : 1;
        };
        for (std::size_t disk = 0; disk < at_.size(); ++disk) {
            total += takes_part(disk) ? at_[disk].load : 0;
            weights += weight(disk);
        }
        for (std::size_t disk = 0; disk < at_.size() && weights > 0; ++disk) {
            at_[disk].share =
                static_cast<std::int64_t>(static_cast<double>(total) * weight(disk) / weights);
        }
    }

    /// From the disk with most above its share to the one with most below: what a topic has too
    /// much of there, then what fits the gap best, and never more than the gap.
    std::optional<Step> best(int disk_percent) const {
        std::size_t from = 0;
        std::size_t to = 0;
        const auto above = [&](std::size_t disk) {
            return takes_part(disk) ? at_[disk].load - at_[disk].share : 0;
        };
        for (std::size_t disk = 0; disk < at_.size(); ++disk) {
            from = above(disk) > above(from) ? disk : from;
            to = above(disk) < above(to) ? disk : to;
        }
        const std::int64_t gap = std::min(above(from), -above(to));
        if (gap <= at_[from].share * band_percent / 100 &&
            gap <= at_[to].share * band_percent / 100) {
            return std::nullopt;
        }
        const std::int64_t room = room_on(to, disk_percent);
        std::optional<Step> found;
        std::tuple<std::int64_t, std::int64_t, std::uint64_t> best_rank;
        for (std::size_t i = 0; i < at_[from].residents.size(); ++i) {
            const Resident& one = at_[from].residents[i];
            const std::int64_t size = one.bytes + of_each;
            if (size > gap || one.bytes > room) {
                continue;
            }
            const auto there = at_[to].of_topic.find(one.topic);
            const std::int64_t spread = (there == at_[to].of_topic.end() ? 0 : there->second) -
                                        at_[from].of_topic.at(one.topic);
            const std::tuple rank{spread, gap - size, one.hash};
            if (!found || rank < best_rank) {
                found = Step{from, to, i};
                best_rank = rank;
            }
        }
        return found;
    }

    const BrokerState& broker_;
    std::vector<Shelf> at_;
};

}  // namespace

void even_disks(const Snapshot& snapshot, const Desired& desired, const Limits& limits, Plan& plan,
                Complaints& complaints) {
    std::map<BrokerId, std::pair<const BrokerState*, Disks>> brokers;
    for (const BrokerState& broker : snapshot.brokers) {
        const bool known = std::none_of(broker.disks.begin(), broker.disks.end(),
                                        [](const Disk& disk) { return disk.path.empty(); });
        if (broker.standing == Standing::active && broker.disks.size() > 1 && known) {
            brokers.emplace(broker.id, std::pair(&broker, Disks(broker)));
        }
    }
    if (brokers.empty()) {
        return;
    }
    std::set<std::pair<std::string_view, std::int32_t>> touched;
    for (const Move& move : plan.moves) {
        touched.emplace(move.topic, move.partition);
    }
    for (std::uint32_t t = 0; t < snapshot.topics.size(); ++t) {
        const TopicState& topic = snapshot.topics[t];
        for (const PartitionState& state : topic.partitions) {
            if (state.is_moving || desired.pinned_topics.contains(topic.name) ||
                touched.contains({topic.name, state.index})) {
                continue;
            }
            for (const Replica& replica : state.replicas) {
                const auto at = brokers.find(replica.broker);
                if (at != brokers.end() && replica.disk >= 0) {
                    at->second.second.add(
                        replica.disk,
                        {t, state.index, state.bytes,
                         mixed(hash_of(topic.name) + static_cast<std::uint64_t>(state.index))});
                }
            }
        }
    }
    for (auto& [id, broker] : brokers) {
        if (desired.empty_cordoned_disks) {
            broker.second.empty_cordoned(snapshot, limits.disk_percent, plan.disk_moves,
                                         complaints);
        }
        broker.second.even(snapshot, limits.disk_percent, plan.disk_moves);
    }
}

}  // namespace millrace::placement
