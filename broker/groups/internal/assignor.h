// groups/internal/assignor.h
//
// Which member of a consumer group shall have which partition. Pure and deterministic: the same
// members, topics and present assignment give the same answer, on every broker.
#pragma once

#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "groups/internal/values.h"

namespace millrace::groups {

struct AssignorMember {
    std::string_view id;
    std::optional<std::string_view> instance;
    std::vector<Uuid> topics;               ///< Subscribed and existing; sorted.
    const PartitionSet* present = nullptr;  ///< Its target so far; never null.
};

struct AssignorSpec {
    std::vector<AssignorMember> members;  ///< By id.
    std::map<Uuid, std::int32_t> topics;  ///< Partition counts.
    bool is_homogeneous = false;          ///< All members want the same topics.
};

/// One set per member, in the order of the spec.
using Assignments = std::vector<PartitionSet>;

/// Everybody gets the same number of partitions, give or take one; what is assigned stays where it
/// is as far as that allows. Where subscriptions differ: until no single move makes it more even.
Assignments assign_uniform(const AssignorSpec& spec);

/// Consecutive partitions of each topic, members in order of instance id, then of member id: topics
/// with as many partitions are split alike.
Assignments assign_range(const AssignorSpec& spec);

using Assignor = Assignments (*)(const AssignorSpec&);

/// "uniform" or "range"; null for what we don't have.
Assignor find_assignor(std::string_view name);

}  // namespace millrace::groups
