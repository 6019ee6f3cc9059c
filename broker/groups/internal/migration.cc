// A live group moves between the protocols: upwards when the first member of the consumer protocol
// joins, downwards when the last one goes.
#include <algorithm>
#include <fmt/format.h>

#include "groups/internal/consumer_membership.h"
#include "groups/internal/embedded.h"
#include "groups/internal/records.h"

namespace millrace::groups {

namespace {

bool allows_upgrade(MigrationPolicy policy) {
    return policy == MigrationPolicy::upgrade || policy == MigrationPolicy::bidirectional;
}
bool allows_downgrade(MigrationPolicy policy) {
    return policy == MigrationPolicy::downgrade || policy == MigrationPolicy::bidirectional;
}

Refusal no_upgrade(std::string_view group, std::string_view why) {
    return {
        KafkaError::group_id_not_found,
        fmt::format("Cannot upgrade classic group {} to consumer group because {}.", group, why)};
}

/// A classic member as a consumer group sees it: where its last assignment left it.
Result<ConsumerMember> upgraded(const ClassicMember& member, const ClassicGroup& group,
                                const TopicsView& topics) {
    MR_TRY(const ClassicAssignment assignment, parse_assignment(view(member.assignment)));
    if (assignment.has_user_data) {
        return Error::make(Code::unsupported, "an unsupported custom assignor is in use");
    }
    MR_TRY(const Subscription subscription,
           parse_subscription(view(member.metadata(group.protocol().value_or("")))));
    ConsumerMember out;
    out.id = member.id;
    out.epoch = out.previous_epoch = group.generation();
    out.instance_id = member.instance_id;
    out.rack_id = subscription.rack;
    out.rebalance_timeout_ms = member.rebalance_timeout_ms;
    out.client_id = member.client_id;
    out.client_host = member.client_host;
    out.topics = subscription.topics;
    for (const auto& [topic, partitions] : by_topic_id(assignment.partitions, topics)) {
        for (const std::int32_t partition : partitions) {
            out.assigned[topic][partition] = group.generation();
        }
    }
    out.classic =
        ClassicSide{.session_timeout_ms = member.session_timeout_ms, .protocols = member.protocols};
    return out;
}

PartitionSet without_epochs(const EpochSet& partitions) {
    PartitionSet out;
    for (const auto& [topic, epochs] : partitions) {
        for (const auto& [partition, epoch] : epochs) {
            out[topic].push_back(partition);
        }
    }
    return out;
}

std::vector<std::string_view> topics_of(const std::vector<ConsumerMember>& members) {
    std::vector<std::string_view> out;
    for (const ConsumerMember& member : members) {
        out.insert(out.end(), member.topics.begin(), member.topics.end());
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

/// The classic group that the remaining members make: each with its target as its assignment, in
/// the version that it speaks.
Result<ClassicGroup> downgraded(const ConsumerGroup& group,
                                const std::set<std::string, std::less<>>& leaving,
                                const TopicsView& topics, Timestamp now) {
    std::vector<ClassicMember> members;
    for (const auto& [id, from] : group.members()) {
        if (leaving.contains(id)) {
            continue;
        }
        ClassicMember& to = members.emplace_back();
        to.id = id;
        to.instance_id = from->instance_id;
        to.client_id = from->client_id;
        to.client_host = from->client_host;
        to.rebalance_timeout_ms = from->rebalance_timeout_ms;
        to.session_timeout_ms = from->classic->session_timeout_ms;
        to.protocols = from->classic->protocols;
    }
    ClassicGroup voters{group.id(), now};  // Only to let them choose a protocol.
    for (ClassicMember& member : members) {
        ClassicMember voter;
        voter.id = member.id;
        voter.protocols = member.protocols;
        if (!voters.supports(consumer_protocol_type, voter.protocols)) {
            return Error::make(Code::invalid, "members share no protocol");
        }
        voters.add(std::move(voter), consumer_protocol_type);
    }
    const std::string protocol = voters.select_protocol();
    for (ClassicMember& member : members) {
        MR_TRY(const Subscription subscription,
               parse_subscription(view(member.metadata(protocol))));
        const Buffer assignment =
            build_assignment(group.target(member.id), subscription.version, topics);
        member.assignment = make_blob(assignment);
    }
    const std::string leader = members.front().id;
    ClassicGroup out{group.id(), now};
    out.restore(group.epoch(), std::string{consumer_protocol_type}, protocol, leader, now,
                std::move(members));
    return out;
}

}  // namespace

Refusal ConsumerMembership::upgrade_records(const ClassicGroup& group,
                                            std::vector<coordinator::Record>& records) const {
    const GroupSettings& settings = state_.env.settings;
    if (!allows_upgrade(settings.migration)) {
        return no_upgrade(group.id(), "online upgrade is disabled");
    }
    if (!group.uses_consumer_protocol()) {
        return no_upgrade(group.id(), "the group does not use the consumer embedded protocol");
    }
    if (group.members().size() > static_cast<std::size_t>(settings.consumer_max_size)) {
        return no_upgrade(group.id(), "the group size exceeds the consumer group maximum size");
    }
    std::vector<ConsumerMember> members;
    for (const auto& [id, member] : group.members()) {
        Result<ConsumerMember> next = upgraded(member, group, *state_.env.topics);
        if (!next) {
            return no_upgrade(group.id(), next.error().code() == Code::unsupported
                                              ? next.error().message()
                                              : "the embedded consumer protocol is malformed");
        }
        members.push_back(*std::move(next));
    }
    const std::string& id = group.id();
    const std::int32_t epoch = group.generation();
    const std::int64_t hash = state_.env.metadata_hash.of(topics_of(members), *state_.env.topics);
    records.push_back(records::classic_group_tombstone(id));
    for (const ConsumerMember& member : members) {
        records.push_back(records::member_metadata(id, member));
    }
    records.push_back(records::consumer_group(id, epoch, hash));
    for (const ConsumerMember& member : members) {
        records.push_back(records::member_target(id, member.id, without_epochs(member.assigned)));
    }
    records.push_back(records::target_assignment(id, epoch, std::nullopt));
    for (const ConsumerMember& member : members) {
        records.push_back(records::current_assignment(id, member));
    }
    return {};
}

bool ConsumerMembership::may_downgrade(const ConsumerGroup& group,
                                       const std::set<std::string, std::less<>>& leaving) const {
    const GroupSettings& settings = state_.env.settings;
    std::size_t classic_leaving = 0;
    for (const std::string& id : leaving) {
        const MemberPtr member = group.find(id);
        classic_leaving += static_cast<std::size_t>(member != nullptr && member->classic);
    }
    const std::size_t remaining = group.members().size() - leaving.size();
    return remaining > 0 && group.classic_members() - classic_leaving == remaining &&
           // A group that was classic anyway would not be here: somebody of the other kind goes.
           classic_leaving < leaving.size() + static_cast<std::size_t>(leaving.empty()) &&
           allows_downgrade(settings.migration) &&
           remaining <= static_cast<std::size_t>(settings.max_size);
}

bool ConsumerMembership::downgrade(Operation& operation, ConsumerGroup& group,
                                   const std::set<std::string, std::less<>>& leaving,
                                   bool must_rebalance) {
    Result<ClassicGroup> next =
        downgraded(group, leaving, *state_.env.topics, operation.now().wall);
    if (!next) {
        MR_LOG(state_.env.log, warn, "groups.no_downgrade", field("group", group.id()),
               field("why", next.error().to_string()));
        return false;
    }
    const std::string id = group.id();
    for (const auto& [member, state] : group.members()) {
        forget(id, member);
    }
    for (coordinator::Record& record : tombstones(group)) {
        operation.append(std::move(record));
    }
    operation.append(records::classic_group(*next));
    // The record knows one protocol per member; the members offer more.
    ClassicGroup& classic = *state_.find_classic(id);
    for (auto& [member_id, member] : next->members()) {
        classic.update(*classic.find(member_id), member.protocols, member.rebalance_timeout_ms,
                       member.session_timeout_ms);
    }
    classic_.adopt(operation, classic);
    if (must_rebalance && classic.is(ClassicState::stable)) {
        classic_.rebalance(operation, classic);
    }
    MR_LOG(state_.env.log, info, "groups.downgraded", field("group", id));
    return true;
}

}  // namespace millrace::groups
