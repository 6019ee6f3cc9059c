#include "operator/planner/members.h"

#include <algorithm>
#include <optional>
#include <tuple>

namespace millrace::planner {

namespace {

/// Ids of dedicated controllers: far from brokers, which begin at 0.
constexpr int first_controller_id = 1000;

/// Known ids of a pool that may stay; those named for removal may not.
std::vector<int> candidates(const Known& known, const api::PoolSpec& pool,
                            const std::set<int>& removed) {
    std::vector<int> ids;
    for (const auto& [id, name] : known.pool_by_id) {
        if (name == pool.name && !removed.contains(id)) {
            ids.push_back(id);
        }
    }
    return ids;
}

using Racks = std::map<int, std::string>;

/// Takes out of `ids` who leaves, until `count` are left. Rounds later, with some of them gone
/// already, the same ones are chosen: who is on the way out goes on.
void choose_who_stays(std::vector<int>& ids, std::size_t count, const Known& known,
                      const Racks& racks) {
    while (ids.size() > count) {
        std::map<std::string, int> in_rack;
        for (const int id : ids) {
            const auto rack = racks.find(id);
            ++in_rack[rack == racks.end() ? "" : rack->second];
        }
        const auto rank = [&](int id) {
            const auto rack = racks.find(id);
            return std::tuple(known.idle.contains(id), known.draining.contains(id),
                              in_rack.at(rack == racks.end() ? "" : rack->second), id);
        };
        ids.erase(std::max_element(ids.begin(), ids.end(),
                                   [&](int a, int b) { return rank(a) < rank(b); }));
    }
}

std::string rack_of(const render::Member& member, const Racks& racks) {
    const auto found = racks.find(member.id);
    return member.pool.rack.value_or(found == racks.end() ? "" : found->second);
}

/// Those that vote already stay; the rest come from the racks with the fewest voters, and rather
/// from those that are new, which need no restart for it.
std::vector<int> choose_voters(const Membership& membership, const std::vector<int>& voting,
                               const Racks& racks) {
    const auto count =
        static_cast<std::size_t>(wanted_voters(static_cast<int>(membership.wanted.size())));
    std::vector<int> chosen;
    std::map<std::string, int> in_rack;
    const auto take_best = [&](const auto& may_be) {
        std::optional<std::tuple<int, bool, int>> best;
        for (const auto& [id, member] : membership.wanted) {
            if (may_be(id) && std::find(chosen.begin(), chosen.end(), id) == chosen.end()) {
                const std::tuple rank{in_rack[rack_of(member, racks)],
                                      !membership.joining.contains(id), id};
                best = best ? std::min(*best, rank) : rank;
            }
        }
        if (best) {
            const int id = std::get<2>(*best);
            ++in_rack[rack_of(membership.wanted.at(id), racks)];
            chosen.push_back(id);
        }
        return best.has_value();
    };
    const auto votes = [&](int id) {
        return std::find(voting.begin(), voting.end(), id) != voting.end();
    };
    while (chosen.size() < count && take_best(votes)) {
    }
    while (chosen.size() < count && take_best([](int) { return true; })) {
    }
    std::sort(chosen.begin(), chosen.end());
    return chosen;
}

/// Who makes up one pool; new ones get the lowest free ids from `first_id` on.
void fill_pool(Membership& membership, const Known& known, const Racks& racks,
               const api::PoolSpec& pool, int first_id, std::set<int>& taken) {
    const std::set<int> removed(pool.remove.begin(), pool.remove.end());
    std::vector<int> ids = candidates(known, pool, removed);
    const auto count = static_cast<std::size_t>(std::max(pool.replicas, 0));
    choose_who_stays(ids, count, known, racks);
    for (int next = first_id; ids.size() < count; ++next) {
        if (!taken.contains(next) && !removed.contains(next)) {
            taken.insert(next);
            membership.joining.insert(next);
            ids.push_back(next);
        }
    }
    for (const int id : ids) {
        membership.wanted[id] = {id, pool, false, pool.name != api::controllers_name};
    }
}

}  // namespace

int wanted_voters(int brokers) {
    if (brokers < 3) {
        return 1;
    }
    return brokers < 9 ? 3 : 5;
}

Membership members_of(const api::ClusterSpec& spec, const Known& known,
                      const std::vector<int>& voters, const std::map<int, std::string>& racks) {
    Membership membership;
    std::set<int> taken;
    for (const auto& [id, pool] : known.pool_by_id) {
        taken.insert(id);
    }
    for (const api::PoolSpec& pool : api::all_pools(spec)) {
        fill_pool(membership, known, racks, pool, 0, taken);
    }
    const auto dedicated = api::controllers_pool(spec);
    if (dedicated) {
        fill_pool(membership, known, racks, *dedicated, first_controller_id, taken);
    }
    for (const auto& [id, pool] : known.pool_by_id) {
        if (!membership.wanted.contains(id)) {
            membership.leaving[id] = pool;
        }
    }
    if (dedicated) {
        for (const auto& [id, member] : membership.wanted) {
            if (!member.broker) {
                membership.wanted_voters.push_back(id);
            }
        }
    } else {
        membership.wanted_voters = choose_voters(membership, voters, racks);
    }
    keep_voting(membership, {});
    return membership;
}

void keep_voting(Membership& membership, const std::vector<int>& voting) {
    std::set<int> all(membership.wanted_voters.begin(), membership.wanted_voters.end());
    all.insert(voting.begin(), voting.end());
    membership.voters.assign(all.begin(), all.end());
    for (auto& [id, member] : membership.wanted) {
        member.controller = all.contains(id) || !member.broker;
    }
}

}  // namespace millrace::planner
