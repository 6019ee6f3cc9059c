#include "operator/planner/members.h"

#include <algorithm>

namespace millrace::planner {

namespace {

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

/// Voters spread over racks as far as pools say something about racks: one of each pool in turn.
std::vector<int> choose_voters(const std::map<int, render::Member>& wanted) {
    std::map<std::string, std::vector<int>> by_rack;
    for (const auto& [id, member] : wanted) {
        by_rack[member.pool.rack.value_or("")].push_back(id);
    }
    const auto count = static_cast<std::size_t>(wanted_voters(static_cast<int>(wanted.size())));
    std::vector<int> voters;
    for (std::size_t round = 0; voters.size() < count && round < wanted.size(); ++round) {
        for (const auto& [rack, ids] : by_rack) {
            if (round < ids.size() && voters.size() < count) {
                voters.push_back(ids[round]);
            }
        }
    }
    std::sort(voters.begin(), voters.end());
    return voters;
}

}  // namespace

int wanted_voters(int brokers) {
    if (brokers < 3) {
        return 1;
    }
    return brokers < 9 ? 3 : 5;
}

Membership members_of(const api::ClusterSpec& spec, const Known& known,
                      const std::vector<int>& fixed_voters) {
    Membership membership;
    std::set<int> taken;
    for (const auto& [id, pool] : known.pool_by_id) {
        taken.insert(id);
    }
    for (const api::PoolSpec& pool : api::all_pools(spec)) {
        const std::set<int> removed(pool.remove.begin(), pool.remove.end());
        std::vector<int> ids = candidates(known, pool, removed);
        const auto count = static_cast<std::size_t>(std::max(pool.replicas, 0));
        // Those that vote stay before those that don't: a quorum isn't moved without need.
        const auto votes = [&](int id) {
            return std::find(fixed_voters.begin(), fixed_voters.end(), id) != fixed_voters.end();
        };
        std::sort(ids.begin(), ids.end(),
                  [&](int a, int b) { return std::pair(!votes(a), a) < std::pair(!votes(b), b); });
        if (ids.size() > count) {
            ids.resize(count);
        }
        for (int next = 0; ids.size() < count; ++next) {
            if (!taken.contains(next) && !removed.contains(next)) {
                taken.insert(next);
                membership.joining.insert(next);
                ids.push_back(next);
            }
        }
        for (const int id : ids) {
            membership.wanted[id] = {id, pool, false};
        }
    }
    for (const auto& [id, pool] : known.pool_by_id) {
        if (!membership.wanted.contains(id)) {
            membership.leaving[id] = pool;
        }
    }
    membership.voters = fixed_voters.empty() ? choose_voters(membership.wanted) : fixed_voters;
    for (const int id : membership.voters) {
        if (const auto found = membership.wanted.find(id); found != membership.wanted.end()) {
            found->second.controller = true;
        }
    }
    return membership;
}

}  // namespace millrace::planner
