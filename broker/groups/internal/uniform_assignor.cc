#include <algorithm>
#include <deque>
#include <set>

#include "base/assert.h"
#include "groups/internal/assignor.h"

namespace millrace::groups {

namespace {

constexpr int nobody = -1;

/// All partitions in one row, with the member that has each.
struct Row {
    struct Topic {
        Uuid id;
        std::size_t begin;
        std::size_t end;
    };
    std::vector<Topic> topics;
    std::vector<int> owner;
    std::vector<std::size_t> held;  ///< By member.

    explicit Row(const AssignorSpec& spec) : held(spec.members.size()) {
        for (const auto& [id, partitions] : spec.topics) {
            const std::size_t begin = owner.size();
            owner.resize(begin + static_cast<std::size_t>(partitions), nobody);
            topics.push_back({id, begin, owner.size()});
        }
        for (std::size_t m = 0; m < spec.members.size(); ++m) {
            keep_present(spec.members[m], static_cast<int>(m));
        }
    }

    void give(std::size_t at, int member) {
        MR_ASSERT(owner[at] == nobody);
        owner[at] = member;
        ++held[static_cast<std::size_t>(member)];
    }
    void take(std::size_t at) {
        --held[static_cast<std::size_t>(owner[at])];
        owner[at] = nobody;
    }

    Assignments assignments() const {
        Assignments out(held.size());
        for (const Topic& topic : topics) {
            for (std::size_t at = topic.begin; at < topic.end; ++at) {
                if (owner[at] != nobody) {
                    out[static_cast<std::size_t>(owner[at])][topic.id].push_back(
                        static_cast<std::int32_t>(at - topic.begin));
                }
            }
        }
        return out;
    }

private:
    void keep_present(const AssignorMember& member, int index) {
        for (const auto& [id, partitions] : *member.present) {
            if (!std::binary_search(member.topics.begin(), member.topics.end(), id)) {
                continue;
            }
            const auto topic =
                std::lower_bound(topics.begin(), topics.end(), id,
                                 [](const Topic& t, const Uuid& wanted) { return t.id < wanted; });
            if (topic == topics.end() || topic->id != id) {
                continue;
            }
            for (const std::int32_t partition : partitions) {
                const std::size_t at = topic->begin + static_cast<std::size_t>(partition);
                if (partition >= 0 && at < topic->end && owner[at] == nobody) {
                    give(at, index);
                }
            }
        }
    }
};

/// How many each may have: the total divided, the rest to those who hold more already.
std::vector<std::size_t> quotas(const Row& row) {
    const std::size_t members = row.held.size();
    const std::size_t each = row.owner.size() / members;
    std::size_t rest = row.owner.size() % members;
    std::vector<std::size_t> out(members, each);
    for (const bool holds_more : {true, false}) {
        for (std::size_t m = 0; m < members && rest > 0; ++m) {
            if ((row.held[m] > each) == holds_more && out[m] == each) {
                ++out[m];
                --rest;
            }
        }
    }
    return out;
}

Assignments assign_homogeneous(const AssignorSpec& spec) {
    Row row{spec};
    const std::vector<std::size_t> quota = quotas(row);
    for (std::size_t at = row.owner.size(); at-- > 0;) {
        const int owner = row.owner[at];
        if (owner != nobody &&
            row.held[static_cast<std::size_t>(owner)] > quota[static_cast<std::size_t>(owner)]) {
            row.take(at);
        }
    }
    // Round and round, so that the partitions of a topic spread over members.
    std::deque<int> wanting;
    for (std::size_t m = 0; m < quota.size(); ++m) {
        if (row.held[m] < quota[m]) {
            wanting.push_back(static_cast<int>(m));
        }
    }
    for (std::size_t at = 0; at < row.owner.size(); ++at) {
        if (row.owner[at] == nobody) {
            const int member = wanting.front();
            wanting.pop_front();
            row.give(at, member);
            if (row.held[static_cast<std::size_t>(member)] <
                quota[static_cast<std::size_t>(member)]) {
                wanting.push_back(member);
            }
        }
    }
    return row.assignments();
}

using Load = std::pair<std::size_t, int>;  ///< Partitions held, member.

/// One topic with those who may have its partitions.
class Balancer {
public:
    Balancer(Row& row, const Row::Topic& topic, const std::vector<int>& subscribers)
        : row_(row), topic_(topic) {
        for (const int member : subscribers) {
            loads_.emplace(held(member), member);
        }
    }

    void fill() {
        for (std::size_t at = topic_.begin; at < topic_.end; ++at) {
            if (row_.owner[at] == nobody) {
                const int member = loads_.begin()->second;
                change(member, [&] { row_.give(at, member); });
            }
        }
    }

    /// Moves partitions to those who hold least, as long as that evens things out.
    bool even_out() {
        std::map<int, std::vector<std::size_t>> mine;
        std::set<Load> owners;
        for (std::size_t at = topic_.begin; at < topic_.end; ++at) {
            mine[row_.owner[at]].push_back(at);
        }
        for (const auto& [member, partitions] : mine) {
            owners.emplace(held(member), member);
        }
        bool moved = false;
        while (!owners.empty()) {
            const auto [most, from] = *owners.rbegin();
            const auto [least, to] = *loads_.begin();
            if (most <= least + 1) {
                break;
            }
            owners.erase({most, from});
            owners.erase({least, to});
            const std::size_t at = mine[from].back();
            mine[from].pop_back();
            change(from, [&] { row_.take(at); });
            change(to, [&] { row_.give(at, to); });
            mine[to].push_back(at);
            if (!mine[from].empty()) {
                owners.emplace(held(from), from);
            }
            owners.emplace(held(to), to);
            moved = true;
        }
        return moved;
    }

private:
    std::size_t held(int member) const { return row_.held[static_cast<std::size_t>(member)]; }
    template <typename F>
    void change(int member, F how) {
        loads_.erase({held(member), member});
        how();
        loads_.emplace(held(member), member);
    }

    Row& row_;
    const Row::Topic& topic_;
    std::set<Load> loads_;
};

Assignments assign_heterogeneous(const AssignorSpec& spec) {
    Row row{spec};
    std::map<Uuid, std::vector<int>> subscribers;
    for (std::size_t m = 0; m < spec.members.size(); ++m) {
        for (const Uuid& topic : spec.members[m].topics) {
            subscribers[topic].push_back(static_cast<int>(m));
        }
    }
    // Topics with few takers first: the others have more choice.
    std::vector<const Row::Topic*> order;
    for (const Row::Topic& topic : row.topics) {
        if (subscribers.contains(topic.id)) {
            order.push_back(&topic);
        }
    }
    std::sort(order.begin(), order.end(), [&](const Row::Topic* a, const Row::Topic* b) {
        return std::pair{subscribers[a->id].size(), a->id} <
               std::pair{subscribers[b->id].size(), b->id};
    });
    for (const Row::Topic* topic : order) {
        Balancer{row, *topic, subscribers[topic->id]}.fill();
    }
    // Every move lowers the sum of squares, so this ends; in practice after two or three rounds.
    for (bool moved = true; moved;) {
        moved = false;
        for (const Row::Topic* topic : order) {
            moved = Balancer{row, *topic, subscribers[topic->id]}.even_out() || moved;
        }
    }
    return row.assignments();
}

}  // namespace

Assignments assign_uniform(const AssignorSpec& spec) {
    if (spec.members.empty()) {
        return {};
    }
    return spec.is_homogeneous ? assign_homogeneous(spec) : assign_heterogeneous(spec);
}

}  // namespace millrace::groups
