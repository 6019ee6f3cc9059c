// The heartbeat of a member of the consumer protocol.
#include <algorithm>
#include <fmt/format.h>

#include "base/assert.h"
#include "groups/internal/consumer_membership.h"
#include "groups/internal/reconcile.h"
#include "groups/internal/records.h"
#include "protocol/messages/consumer_group_heartbeat_request.h"
#include "protocol/messages/consumer_group_heartbeat_response.h"

namespace millrace::groups {

namespace {

bool is_blank(std::string_view text) {
    return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}
bool is_blank(const std::optional<std::string_view>& text) {
    return text && is_blank(*text);
}

Refusal invalid(std::string message) {
    return {KafkaError::invalid_request, std::move(message)};
}

std::optional<PartitionSet> owned_by(const protocol::ConsumerGroupHeartbeatRequest& request) {
    if (!request.topic_partitions) {
        return std::nullopt;
    }
    PartitionSet out;
    for (const auto& topic : *request.topic_partitions) {
        if (!topic.partitions.empty()) {
            std::vector<std::int32_t>& partitions = out[topic.topic_id];
            partitions.insert(partitions.end(), topic.partitions.begin(), topic.partitions.end());
        }
    }
    return out;
}

/// What a heartbeat says replaces what the member said before; what it leaves out stays.
ConsumerMember apply(ConsumerMember member, const protocol::ConsumerGroupHeartbeatRequest& request,
                     const Caller& caller) {
    const auto set = [](std::optional<std::string>& field,
                        const std::optional<std::string_view>& said) {
        if (said) {
            field = std::string{*said};
        }
    };
    set(member.instance_id, request.instance_id);
    set(member.rack_id, request.rack_id);
    set(member.assignor, request.server_assignor);
    if (request.rebalance_timeout_ms != -1) {
        member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    if (request.subscribed_topic_names) {
        member.topics.assign(request.subscribed_topic_names->begin(),
                             request.subscribed_topic_names->end());
        std::sort(member.topics.begin(), member.topics.end());
        member.topics.erase(std::unique(member.topics.begin(), member.topics.end()),
                            member.topics.end());
    }
    if (request.subscribed_topic_regex) {
        member.regex = std::string{*request.subscribed_topic_regex};
    }
    member.client_id = std::string{caller.client_id};
    member.client_host = std::string{caller.client_host};
    member.classic.reset();
    return member;
}

}  // namespace

void ConsumerMembership::refuse(Operation& operation, HeartbeatReply reply, Refusal refusal) const {
    auto answer = make_answer<protocol::ConsumerGroupHeartbeatResponse>();
    answer->response.error_code = code_of(refusal.error);
    answer->response.error_message = answer->own(std::string_view{refusal.message});
    send(operation, std::move(reply), std::move(answer));
}

Refusal ConsumerMembership::check(const Request& request, const Caller& caller) const {
    // From version 1 on clients make their own ids (KIP-1082).
    if ((caller.version >= 1 || request.member_epoch > 0 || request.member_epoch == leave_epoch) &&
        is_blank(request.member_id)) {
        return invalid("MemberId can't be empty.");
    }
    if (is_blank(request.group_id)) {
        return invalid("GroupId can't be empty.");
    }
    if (is_blank(request.instance_id)) {
        return invalid("InstanceId can't be empty.");
    }
    if (is_blank(request.rack_id)) {
        return invalid("RackId can't be empty.");
    }
    if (request.member_epoch == 0) {
        if (request.rebalance_timeout_ms == -1) {
            return invalid("RebalanceTimeoutMs must be provided in first request.");
        }
        if (!request.topic_partitions || !request.topic_partitions->empty()) {
            return invalid("TopicPartitions must be empty when (re-)joining.");
        }
        if (!request.subscribed_topic_names && !request.subscribed_topic_regex) {
            return invalid(
                "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when "
                "(re-)joining.");
        }
    } else if (request.member_epoch == leave_static_epoch && !request.instance_id) {
        return invalid("InstanceId can't be null.");
    } else if (request.member_epoch < leave_static_epoch) {
        return invalid("MemberEpoch is invalid.");
    }
    const std::vector<std::string>& assignors = state_.env.settings.consumer_assignors;
    if (request.server_assignor && std::find(assignors.begin(), assignors.end(),
                                             *request.server_assignor) == assignors.end()) {
        return {KafkaError::unsupported_assignor,
                fmt::format("ServerAssignor {} is not supported. Supported assignors: {}.",
                            *request.server_assignor, fmt::join(assignors, ", "))};
    }
    return {};
}

void ConsumerMembership::heartbeat(Operation& operation, const Request& request,
                                   const Caller& caller, HeartbeatReply reply) {
    if (Refusal refusal = check(request, caller)) {
        refuse(operation, std::move(reply), std::move(refusal));
    } else if (request.member_epoch == leave_epoch || request.member_epoch == leave_static_epoch) {
        leave(operation, request, std::move(reply));
    } else {
        join_or_go_on(operation, request, caller, std::move(reply));
    }
}

/// Whether there is or can be a consumer group; `records` turn what is there into one.
Refusal ConsumerMembership::prepare_group(const Request& request,
                                          std::vector<coordinator::Record>& records) const {
    const Group* present = state_.find(request.group_id);
    const bool is_joining = request.member_epoch == 0;
    if (present == nullptr) {
        return is_joining ? Refusal{}
                          : Refusal{KafkaError::group_id_not_found,
                                    fmt::format("Consumer group {} not found.", request.group_id)};
    }
    if (present->consumer() != nullptr) {
        return {};
    }
    if (!is_joining) {
        return {KafkaError::group_id_not_found,
                fmt::format("Group {} is not a consumer group.", request.group_id)};
    }
    if (present->empty()) {
        records.push_back(records::classic_group_tombstone(request.group_id));
        return {};
    }
    return upgrade_records(*present->classic(), records);
}

bool ConsumerMembership::is_full(std::string_view group, std::string_view member,
                                 const std::optional<std::string_view>& instance) const {
    const auto limit = static_cast<std::size_t>(state_.env.settings.consumer_max_size);
    const Group* present = state_.find(group);
    if (present == nullptr) {
        return limit == 0;
    }
    if (const ClassicGroup* classic = present->classic()) {
        return classic->members().size() >= limit && !classic->has(member) &&
               !(instance && classic->static_member(*instance) != nullptr);
    }
    const ConsumerGroup& consumer = *present->consumer();
    return consumer.members().size() >= limit && consumer.find(member) == nullptr &&
           !(instance && consumer.find_static(*instance) != nullptr);
}

Refusal ConsumerMembership::check_epoch(const ConsumerMember& member,
                                        const Request& request) const {
    const std::int32_t said = request.member_epoch;
    if (said == 0 || said == member.epoch) {
        return {};
    }
    // An answer that got lost: the member is one epoch behind and holds nothing that it shouldn't.
    const std::optional<PartitionSet> owned = owned_by(request);
    const bool is_subset =
        owned && std::all_of(owned->begin(), owned->end(), [&](const auto& topic) {
            const auto found = member.assigned.find(topic.first);
            return found != member.assigned.end() &&
                   std::all_of(topic.second.begin(), topic.second.end(),
                               [&](std::int32_t p) { return found->second.contains(p); });
        });
    if (said < member.epoch && said == member.previous_epoch && is_subset) {
        return {};
    }
    return {KafkaError::fenced_member_epoch,
            fmt::format("The consumer group member has a {} member epoch ({}) than the one known "
                        "by the group coordinator ({}). The member must abandon all its "
                        "partitions and rejoin.",
                        said > member.epoch ? "greater" : "smaller", said, member.epoch)};
}

Refusal ConsumerMembership::check_member(const Request& request) const {
    if (is_full(request.group_id, request.member_id, request.instance_id)) {
        return {KafkaError::group_max_size_reached,
                fmt::format("The consumer group has reached its maximum capacity of {} members.",
                            state_.env.settings.consumer_max_size)};
    }
    const ConsumerGroup* group = std::as_const(state_).find(request.group_id) == nullptr
                                     ? nullptr
                                     : std::as_const(state_).find(request.group_id)->consumer();
    const bool is_joining = request.member_epoch == 0;
    MemberPtr known;
    if (request.instance_id) {
        known = group == nullptr ? nullptr : group->find_static(*request.instance_id);
        if (known == nullptr && !is_joining) {
            return {KafkaError::unknown_member_id,
                    fmt::format("Instance id {} is unknown.", *request.instance_id)};
        }
        if (known != nullptr && is_joining && !known->classic &&
            known->epoch != leave_static_epoch) {
            return {KafkaError::unreleased_instance_id,
                    fmt::format("Static member {} with instance id {} cannot join the group "
                                "because the instance id is owned by {} member.",
                                request.member_id, *request.instance_id, known->id)};
        }
        if (known != nullptr && !is_joining && known->id != request.member_id) {
            return {KafkaError::fenced_instance_id,
                    fmt::format("Static member {} with instance id {} was fenced by member {}.",
                                request.member_id, *request.instance_id, known->id)};
        }
    } else {
        known = group == nullptr ? nullptr : group->find(request.member_id);
        if (known == nullptr && !is_joining) {
            return {KafkaError::unknown_member_id,
                    fmt::format("Member {} is not a member of group {}.", request.member_id,
                                request.group_id)};
        }
    }
    if (known == nullptr) {
        return {};
    }
    if (Refusal refusal = check_epoch(*known, request)) {
        return refusal;
    }
    if (!may_reconcile(*known, owned_by(request))) {
        return {KafkaError::fenced_member_epoch,
                "The consumer group member is in a unknown state. The member must abandon all its "
                "partitions and rejoin."};
    }
    return {};
}

void ConsumerMembership::join_or_go_on(Operation& operation, const Request& request,
                                       const Caller& caller, HeartbeatReply reply) {
    std::vector<coordinator::Record> preamble;
    Refusal refusal = prepare_group(request, preamble);
    if (!refusal) {
        refusal = check_member(request);
    }
    if (!refusal && request.subscribed_topic_regex && !request.subscribed_topic_regex->empty()) {
        if (const auto why = check_regex(*request.subscribed_topic_regex)) {
            refusal = {KafkaError::invalid_regular_expression,
                       fmt::format("SubscribedTopicRegex `{}` is not a valid regular expression: "
                                   "{}.",
                                   *request.subscribed_topic_regex, *why)};
        }
    }
    if (refusal) {
        refuse(operation, std::move(reply), std::move(refusal));
        return;
    }
    if (ClassicGroup* former = state_.find_classic(request.group_id)) {
        classic_.dismiss(operation, *former);
    }
    for (coordinator::Record& record : preamble) {
        operation.append(std::move(record));
    }
    if (const ConsumerGroup* converted =
            preamble.empty() ? nullptr : state_.find_consumer(request.group_id)) {
        adopt(operation, *converted);
    }

    const std::string id = request.member_id.empty() ? Uuid::random(state_.env.random).to_string()
                                                     : std::string{request.member_id};
    const ConsumerMember before =
        enter(operation, request.group_id, id, request.instance_id, request.member_epoch == 0);
    const Change change =
        update_member(operation, request.group_id, before, apply(before, request, caller), caller);
    ConsumerGroup& group = this->group(request.group_id);
    update_epoch(operation, group, change.bump);
    update_target(operation, group);
    advance(operation, group, id, change.subscription, owned_by(request));
    watch(operation, group, *group.find(id));
    answer(operation, group, before, request, id, std::move(reply));
}

void ConsumerMembership::answer(Operation& operation, const ConsumerGroup& group,
                                const ConsumerMember& before, const Request& request,
                                std::string_view id, HeartbeatReply reply) const {
    const MemberPtr member = group.find(id);
    auto answer = make_answer<protocol::ConsumerGroupHeartbeatResponse>();
    protocol::ConsumerGroupHeartbeatResponse& response = answer->response;
    response.member_id = answer->own(std::string_view{member->id});
    response.member_epoch = member->epoch;
    response.heartbeat_interval_ms = static_cast<std::int32_t>(
        to_milliseconds(state_.env.consumer_heartbeat_interval(group.id())));
    // A member that tells everything wants to hear everything.
    const bool is_full_request = request.rebalance_timeout_ms != -1 && request.topic_partitions &&
                                 (request.subscribed_topic_names || request.subscribed_topic_regex);
    if (request.member_epoch == 0 || is_full_request || before.assigned != member->assigned) {
        response.assignment.emplace();
        for (const auto& [topic, epochs] : member->assigned) {
            auto& out = response.assignment->topic_partitions.emplace_back();
            out.topic_id = topic;
            for (const auto& [partition, epoch] : epochs) {
                out.partitions.push_back(partition);
            }
        }
    }
    send(operation, std::move(reply), std::move(answer));
}

void ConsumerMembership::leave(Operation& operation, const Request& request, HeartbeatReply reply) {
    ConsumerGroup* group = state_.find_consumer(request.group_id);
    if (group == nullptr) {
        const bool exists = state_.find(request.group_id) != nullptr;
        refuse(operation, std::move(reply),
               {KafkaError::group_id_not_found,
                exists ? fmt::format("Group {} is not a consumer group.", request.group_id)
                       : fmt::format("Group {} not found.", request.group_id)});
        return;
    }
    MemberPtr member;
    Refusal refusal;
    if (request.instance_id) {
        member = group->find_static(*request.instance_id);
        if (member == nullptr) {
            refusal = {KafkaError::unknown_member_id,
                       fmt::format("Instance id {} is unknown.", *request.instance_id)};
        } else if (member->id != request.member_id) {
            refusal = {KafkaError::fenced_instance_id,
                       fmt::format("Static member {} with instance id {} was fenced by member {}.",
                                   request.member_id, *request.instance_id, member->id)};
        }
    } else {
        member = group->find(request.member_id);
        if (member == nullptr) {
            refusal = {KafkaError::unknown_member_id,
                       fmt::format("Member {} is not a member of group {}.", request.member_id,
                                   request.group_id)};
        }
    }
    if (refusal) {
        refuse(operation, std::move(reply), std::move(refusal));
        return;
    }
    auto answer = make_answer<protocol::ConsumerGroupHeartbeatResponse>();
    answer->response.member_id = answer->own(request.member_id);
    answer->response.member_epoch = request.member_epoch;
    if (request.instance_id && request.member_epoch == leave_static_epoch) {
        // It will be back: its partitions stay its own until its session ends.
        ConsumerMember away = *member;
        away.epoch = leave_static_epoch;
        away.revoking.clear();
        for (auto& [topic, epochs] : away.assigned) {
            for (auto& [partition, epoch] : epochs) {
                epoch = 0;
            }
        }
        operation.append(records::current_assignment(group->id(), away));
    } else {
        fence(operation, *group, {member->id});
    }
    send(operation, std::move(reply), std::move(answer));
}

}  // namespace millrace::groups
