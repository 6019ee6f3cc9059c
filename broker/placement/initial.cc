#include "placement/initial.h"

#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <optional>
#include <tuple>

namespace millrace::placement {
namespace {

std::uint64_t mix(std::uint64_t x) {
    x += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

class Placer {
public:
    Placer(std::span<const Candidate> candidates, std::uint64_t seed)
        : brokers_(candidates.begin(), candidates.end()), seed_(seed) {
        // The answer must not depend on the order in which brokers are told.
        std::sort(brokers_.begin(), brokers_.end(),
                  [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
        std::map<std::optional<std::string>, std::size_t> racks;
        for (const Candidate& broker : brokers_) {
            rack_of_.push_back(racks.try_emplace(broker.rack, racks.size()).first->second);
        }
        in_rack_.resize(racks.size());
    }

    void place(std::int32_t partition, std::int16_t replication_factor) {
        std::fill(in_rack_.begin(), in_rack_.end(), 0);
        std::vector<std::size_t> chosen;
        for (std::int16_t i = 0; i < replication_factor; ++i) {
            const std::size_t next = pick(partition, chosen);
            chosen.push_back(next);
            ++in_rack_[rack_of_[next]];
            ++brokers_[next].replicas;
            ++brokers_[next].topic_replicas;
        }
        std::swap(chosen.front(), chosen[pick_leader(partition, chosen)]);
        ++brokers_[chosen.front()].preferred_leaders;
        ++brokers_[chosen.front()].topic_leaders;
        // Who is next in line when the leader falls should differ from partition to partition.
        std::sort(chosen.begin() + 1, chosen.end(), [&](std::size_t a, std::size_t b) {
            return std::tuple(brokers_[a].fenced, tie(partition, a)) <
                   std::tuple(brokers_[b].fenced, tie(partition, b));
        });
        placed_.push_back(std::move(chosen));
    }

    /// One partition after the other leaves a leader too many here and one too few there. Hands
    /// leadership on along chains of partitions while a broker that leads two more of the topic
    /// reaches one that leads two fewer.
    void even_leaders() {
        led_.assign(brokers_.size(), {});
        for (std::size_t partition = 0; partition < placed_.size(); ++partition) {
            led_[placed_[partition].front()].push_back(partition);
        }
        std::vector<std::size_t> by_leaders(brokers_.size());
        std::iota(by_leaders.begin(), by_leaders.end(), std::size_t{0});
        for (bool moved = true; moved;) {
            std::sort(by_leaders.begin(), by_leaders.end(), [&](std::size_t a, std::size_t b) {
                return std::tuple(-brokers_[a].topic_leaders, a) <
                       std::tuple(-brokers_[b].topic_leaders, b);
            });
            const std::int64_t least = brokers_[by_leaders.back()].topic_leaders;
            moved = std::any_of(by_leaders.begin(), by_leaders.end(), [&](std::size_t from) {
                return brokers_[from].topic_leaders >= least + 2 && hand_on_from(from);
            });
        }
    }

    std::vector<std::vector<BrokerId>> result() const {
        std::vector<std::vector<BrokerId>> result;
        result.reserve(placed_.size());
        for (const std::vector<std::size_t>& replicas : placed_) {
            auto& ids = result.emplace_back();
            for (const std::size_t at : replicas) {
                ids.push_back(brokers_[at].id);
            }
        }
        return result;
    }

private:
    struct Step {
        std::size_t from;
        std::size_t partition;
    };

    /// The nearest broker that leads at least two fewer gets one leadership more, `from` has one
    /// less, and those between as many as before.
    bool hand_on_from(std::size_t from) {
        std::vector<std::optional<Step>> reached(brokers_.size());
        std::deque<std::size_t> next{from};
        while (!next.empty()) {
            const std::size_t at = next.front();
            next.pop_front();
            if (brokers_[at].topic_leaders + 2 <= brokers_[from].topic_leaders) {
                hand_on(reached, from, at);
                return true;
            }
            for (const std::size_t partition : led_[at]) {
                for (const std::size_t replica : placed_[partition]) {
                    if (replica != from && !reached[replica] && !brokers_[replica].fenced) {
                        reached[replica] = Step{at, partition};
                        next.push_back(replica);
                    }
                }
            }
        }
        return false;
    }

    void hand_on(const std::vector<std::optional<Step>>& reached, std::size_t from,
                 std::size_t to) {
        --brokers_[from].topic_leaders;
        ++brokers_[to].topic_leaders;
        while (to != from) {
            const Step step = *reached[to];
            std::vector<std::size_t>& replicas = placed_[step.partition];
            std::swap(replicas.front(), *std::find(replicas.begin(), replicas.end(), to));
            std::erase(led_[step.from], step.partition);
            led_[to].push_back(step.partition);
            to = step.from;
        }
    }

    std::uint64_t tie(std::int32_t partition, std::size_t at) const {
        return mix(seed_ ^ mix(static_cast<std::uint64_t>(partition)) ^
                   (mix(static_cast<std::uint64_t>(brokers_[at].id.value)) << 1));
    }

    /// The first replica needs a broker that is up, so that somebody can lead.
    std::size_t pick(std::int32_t partition, const std::vector<std::size_t>& chosen) const {
        const auto cost = [&](std::size_t at) {
            const Candidate& broker = brokers_[at];
            return std::tuple(chosen.empty() && broker.fenced, in_rack_[rack_of_[at]],
                              broker.fenced, broker.topic_replicas, broker.replicas,
                              tie(partition, at));
        };
        std::size_t best = brokers_.size();
        for (std::size_t at = 0; at < brokers_.size(); ++at) {
            if (std::find(chosen.begin(), chosen.end(), at) == chosen.end() &&
                (best == brokers_.size() || cost(at) < cost(best))) {
                best = at;
            }
        }
        return best;
    }

    /// Position in `chosen`.
    std::size_t pick_leader(std::int32_t partition, const std::vector<std::size_t>& chosen) const {
        const auto cost = [&](std::size_t at) {
            const Candidate& broker = brokers_[at];
            return std::tuple(broker.fenced, broker.topic_leaders, broker.preferred_leaders,
                              tie(partition, at));
        };
        std::size_t best = 0;
        for (std::size_t i = 1; i < chosen.size(); ++i) {
            if (cost(chosen[i]) < cost(chosen[best])) {
                best = i;
            }
        }
        return best;
    }

    std::vector<Candidate> brokers_;
    std::vector<std::size_t> rack_of_;   ///< Index into in_rack_, by broker.
    std::vector<std::int32_t> in_rack_;  ///< Replicas of the partition at hand, by rack.
    std::uint64_t seed_;
    std::vector<std::vector<std::size_t>> placed_;  ///< By partition, the leader first.
    std::vector<std::vector<std::size_t>> led_;     ///< Partitions, by broker.
};

}  // namespace

Result<std::vector<std::vector<BrokerId>>> place_new(std::span<const Candidate> candidates,
                                                     std::int32_t partitions,
                                                     std::int16_t replication_factor,
                                                     std::uint64_t seed) {
    if (replication_factor < 1 || partitions < 0) {
        return Error::make(Code::invalid, "{} partitions of {} replicas", partitions,
                           replication_factor);
    }
    if (candidates.size() < static_cast<std::size_t>(replication_factor)) {
        return Error::make(Code::exhausted,
                           "{} replicas need as many brokers, and {} can take a replica",
                           replication_factor, candidates.size());
    }
    if (std::all_of(candidates.begin(), candidates.end(),
                    [](const Candidate& broker) { return broker.fenced; })) {
        return Error::make(Code::exhausted, "all {} brokers are fenced", candidates.size());
    }
    Placer placer(candidates, seed);
    for (std::int32_t partition = 0; partition < partitions; ++partition) {
        placer.place(partition, replication_factor);
    }
    placer.even_leaders();
    return placer.result();
}

}  // namespace millrace::placement
