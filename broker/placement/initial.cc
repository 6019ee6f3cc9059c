#include "placement/initial.h"

#include <algorithm>
#include <map>
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

    std::vector<BrokerId> place(std::int32_t partition, std::int16_t replication_factor) {
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
        std::vector<BrokerId> replicas;
        for (const std::size_t at : chosen) {
            replicas.push_back(brokers_[at].id);
        }
        return replicas;
    }

private:
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
    std::vector<std::vector<BrokerId>> placed;
    placed.reserve(static_cast<std::size_t>(partitions));
    for (std::int32_t partition = 0; partition < partitions; ++partition) {
        placed.push_back(placer.place(partition, replication_factor));
    }
    return placed;
}

}  // namespace millrace::placement
