// Members of the classic protocol in a consumer group: joins, syncs and heartbeats as they know
// them, on top of epochs and targets.
#include <algorithm>

#include "groups/internal/consumer_membership.h"
#include "groups/internal/embedded.h"
#include "groups/internal/records.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"

namespace millrace::groups {

namespace {

void refuse_join(coordinator::Operation& operation, Reply<protocol::JoinGroupResponse> reply,
                 KafkaError error, std::string_view member) {
    auto answer = make_answer<protocol::JoinGroupResponse>();
    answer->response.error_code = code_of(error);
    answer->response.member_id = answer->own(member);
    send(operation, std::move(reply), std::move(answer));
}

}  // namespace

bool ConsumerMembership::has_to_rejoin(const ConsumerGroup& group, const ConsumerMember& member) {
    return member.epoch < group.assignment_epoch() ||
           member.state == MemberState::unrevoked_partitions ||
           (member.state == MemberState::unreleased_partitions && !group.waits_for_others(member));
}

KafkaError ConsumerMembership::check_classic_join(const ConsumerGroup& group,
                                                  const JoinRequest& request) const {
    const std::optional<std::string_view> instance =
        request.instance ? std::optional<std::string_view>{*request.instance} : std::nullopt;
    if (state_.env.settings.migration == MigrationPolicy::disabled) {
        return KafkaError::inconsistent_group_protocol;
    }
    if (is_full(group.id(), request.member, instance)) {
        return KafkaError::group_max_size_reached;
    }
    if (request.metadata_bytes() >
        static_cast<std::size_t>(state_.env.settings.max_member_metadata.count)) {
        return KafkaError::invalid_request;
    }
    if (!group.supports_classic(request.type, request.protocols)) {
        return KafkaError::inconsistent_group_protocol;
    }
    if (instance && !request.member.empty()) {
        const MemberPtr known = group.find_static(*instance);
        if (known == nullptr) {
            return KafkaError::unknown_member_id;
        }
        if (known->id != request.member) {
            return KafkaError::fenced_instance_id;
        }
    }
    return KafkaError::none;
}

void ConsumerMembership::classic_join(Operation& operation, ConsumerGroup& present,
                                      JoinRequest request,
                                      Reply<protocol::JoinGroupResponse> reply) {
    if (const KafkaError error = check_classic_join(present, request); error != KafkaError::none) {
        refuse_join(operation, std::move(reply), error, "");  // As Kafka, which names nobody here.
        return;
    }
    const bool is_newcomer = request.member.empty();
    const std::string id =
        is_newcomer ? Uuid::random(state_.env.random).to_string() : request.member;
    if (is_newcomer && !request.instance && request.version >= 4) {
        refuse_join(operation, std::move(reply), KafkaError::member_id_required, id);
        return;
    }
    const auto parsed = parse_subscription(view(request.protocols.front().metadata));
    if (!parsed) {
        refuse_join(operation, std::move(reply), KafkaError::inconsistent_group_protocol, "");
        return;
    }
    const Subscription& subscription = *parsed;
    const std::string group_id = present.id();
    const std::optional<std::string_view> instance =
        request.instance ? std::optional<std::string_view>{*request.instance} : std::nullopt;

    const ConsumerMember before = enter(operation, group_id, id, instance, is_newcomer);
    ConsumerMember next = before;
    if (request.instance) {
        next.instance_id = request.instance;
    }
    if (subscription.rack) {
        next.rack_id = subscription.rack;
    }
    if (request.rebalance_timeout_ms != -1) {
        next.rebalance_timeout_ms = request.rebalance_timeout_ms;
    }
    next.topics = subscription.topics;
    next.regex.clear();
    next.client_id = request.client_id;
    next.client_host = request.client_host;
    next.classic = ClassicSide{.session_timeout_ms = request.session_timeout_ms,
                               .protocols = request.protocols};
    Caller caller;
    caller.may_describe = request.may_describe;
    const Change change = update_member(operation, group_id, before, std::move(next), caller);
    ConsumerGroup& group = this->group(group_id);
    update_epoch(operation, group, change.bump);

    const std::optional<PartitionSet> owned = by_topic_id(subscription.owned, *state_.env.topics);
    const bool is_last_of_its_kind = may_downgrade(group, {});
    const bool is_target_old = group.assignment_epoch() < group.epoch();
    if (!is_last_of_its_kind) {
        update_target(operation, group);
    }
    if (!is_last_of_its_kind || !is_target_old) {
        advance(operation, group, id, change.subscription, owned);
    }
    auto answer = make_answer<protocol::JoinGroupResponse>();
    answer->response.member_id = answer->own(std::string_view{id});
    answer->response.generation_id = group.find(id)->epoch;
    answer->response.protocol_type = consumer_protocol_type;
    answer->response.protocol_name = answer->own(std::string_view{request.protocols.front().name});
    if (!is_last_of_its_kind || !downgrade(operation, group, {}, is_target_old)) {
        state_.deadlines.cancel(DeadlineKind::consumer_join, group_id, id);
        watch(operation, group, *group.find(id));
        state_.deadlines.set(
            DeadlineKind::consumer_sync, group_id, id,
            operation.now().instant + from_milliseconds(request.rebalance_timeout_ms));
    }
    send(operation, std::move(reply), std::move(answer));
}

MemberPtr ConsumerMembership::find_classic(const ConsumerGroup& group, std::string_view id,
                                           const std::optional<std::string_view>& instance,
                                           KafkaError& error) const {
    const MemberPtr member = instance ? group.find_static(*instance) : group.find(id);
    error = member == nullptr  ? KafkaError::unknown_member_id
            : member->id != id ? KafkaError::fenced_instance_id
            : !member->classic ? KafkaError::unknown_member_id
                               : KafkaError::none;
    return error == KafkaError::none ? member : nullptr;
}

void ConsumerMembership::classic_sync(Operation& operation, ConsumerGroup& group,
                                      const protocol::SyncGroupRequest& request,
                                      Reply<protocol::SyncGroupResponse> reply) {
    KafkaError error = KafkaError::none;
    const MemberPtr member =
        find_classic(group, request.member_id, request.group_instance_id, error);
    if (member != nullptr) {
        const std::string& protocol = member->classic->protocols.front().name;
        if (member->epoch != request.generation_id) {
            error = KafkaError::illegal_generation;
        } else if ((request.protocol_type && *request.protocol_type != consumer_protocol_type) ||
                   (request.protocol_name && *request.protocol_name != protocol)) {
            error = KafkaError::inconsistent_group_protocol;
        } else if (group.assignment_epoch() > member->epoch &&
                   member->state != MemberState::unrevoked_partitions) {
            state_.deadlines.set_if_absent(
                DeadlineKind::consumer_join, group.id(), member->id,
                operation.now().instant + from_milliseconds(member->rebalance_timeout_ms));
            error = KafkaError::rebalance_in_progress;
        }
    }
    if (error != KafkaError::none) {
        send_error(operation, std::move(reply), error);
        return;
    }
    state_.deadlines.cancel(DeadlineKind::consumer_sync, group.id(), member->id);
    watch(operation, group, *member);
    PartitionSet assigned;
    for (const auto& [topic, epochs] : member->assigned) {
        for (const auto& [partition, epoch] : epochs) {
            assigned[topic].push_back(partition);
        }
    }
    const Result<Subscription> subscription =
        parse_subscription(view(member->classic->protocols.front().metadata));
    const Buffer assignment = build_assignment(
        assigned, subscription ? subscription->version : std::int16_t{0}, *state_.env.topics);
    auto answer = make_answer<protocol::SyncGroupResponse>();
    if (request.protocol_type) {
        answer->response.protocol_type = answer->own(*request.protocol_type);
    }
    if (request.protocol_name) {
        answer->response.protocol_name = answer->own(*request.protocol_name);
    }
    answer->response.assignment = answer->own(make_blob(assignment));
    send(operation, std::move(reply), std::move(answer));
}

KafkaError ConsumerMembership::classic_heartbeat(Operation& operation, ConsumerGroup& group,
                                                 const protocol::HeartbeatRequest& request) {
    KafkaError error = KafkaError::none;
    const MemberPtr member =
        find_classic(group, request.member_id, request.group_instance_id, error);
    if (member == nullptr) {
        return error;
    }
    if (member->epoch != request.generation_id) {
        return KafkaError::illegal_generation;
    }
    watch(operation, group, *member);
    if (!has_to_rejoin(group, *member)) {
        return KafkaError::none;
    }
    state_.deadlines.set_if_absent(
        DeadlineKind::consumer_join, group.id(), member->id,
        operation.now().instant + from_milliseconds(member->rebalance_timeout_ms));
    return KafkaError::rebalance_in_progress;
}

std::vector<KafkaError> ConsumerMembership::classic_leave(
    Operation& operation, ConsumerGroup& group, const std::vector<LeavingMember>& members) {
    std::vector<KafkaError> errors;
    std::set<std::string, std::less<>> leaving;
    for (const LeavingMember& who : members) {
        const MemberPtr member =
            who.instance ? group.find_static(*who.instance) : group.find(who.member);
        if (member == nullptr) {
            errors.push_back(KafkaError::unknown_member_id);
        } else if (who.instance && !who.member.empty() && member->id != who.member) {
            errors.push_back(KafkaError::fenced_instance_id);
        } else {
            errors.push_back(KafkaError::none);
            leaving.insert(member->id);
        }
    }
    fence(operation, group, leaving);
    return errors;
}

}  // namespace millrace::groups
