#include <algorithm>

#include "groups/internal/assignor.h"

namespace millrace::groups {

Assignments assign_range(const AssignorSpec& spec) {
    std::vector<std::size_t> order(spec.members.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
        const AssignorMember& left = spec.members[a];
        const AssignorMember& right = spec.members[b];
        if (left.instance.has_value() != right.instance.has_value()) {
            return left.instance.has_value();  // Static members come first.
        }
        return std::pair{left.instance, left.id} < std::pair{right.instance, right.id};
    });

    struct Split {
        std::int32_t partitions = 0;
        std::int32_t takers = 0;
        std::int32_t taken = 0;
        std::int32_t next = 0;
    };
    std::map<Uuid, Split> splits;
    for (const AssignorMember& member : spec.members) {
        for (const Uuid& topic : member.topics) {
            Split& split = splits[topic];
            split.partitions = spec.topics.at(topic);
            ++split.takers;
        }
    }
    Assignments out(spec.members.size());
    for (const std::size_t index : order) {
        for (const Uuid& topic : spec.members[index].topics) {
            Split& split = splits[topic];
            const std::int32_t each = split.partitions / split.takers;
            const std::int32_t rest = split.partitions % split.takers;
            const std::int32_t count = each + (split.taken < rest ? 1 : 0);
            ++split.taken;
            for (std::int32_t i = 0; i < count; ++i) {
                out[index][topic].push_back(split.next++);
            }
        }
    }
    return out;
}

Assignor find_assignor(std::string_view name) {
    return name == "uniform" ? assign_uniform : name == "range" ? assign_range : nullptr;
}

}  // namespace millrace::groups
