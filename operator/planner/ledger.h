// operator/planner/ledger.h
//
// Who is down, and who may be taken down next: the one place that decides. Rolls, drains and volume
// work ask it, and the PodDisruptionBudget follows it. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

namespace millrace::planner {

struct Standing {
    int id = 0;
    std::string rack;         ///< Empty: unknown, which counts as a rack of its own.
    bool up = false;          ///< Its pod is ready and its broker runs.
    bool caught_up = false;   ///< Its replicas are in sync again.
    bool recovering = false;  ///< It checks its logs: never to be interrupted.
    std::string why;          ///< What it is waiting for, while not up or not caught up.
};

class Ledger {
public:
    Ledger(std::vector<Standing> brokers, int max_unavailable_per_rack);

    /// Empty: `id` may be taken down now, as far as numbers go. Else what is to be waited for.
    std::string refusal(int id) const;
    /// For the PodDisruptionBudget: 1 while everybody is well.
    int budget() const;
    const std::set<int>& down() const { return down_; }
    bool is_down(int id) const { return down_.contains(id); }
    const Standing* find(int id) const;

private:
    std::map<int, Standing> brokers_;
    std::set<int> down_;
    int max_unavailable_per_rack_;
};

}  // namespace millrace::planner
