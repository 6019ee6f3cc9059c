// From a new generation to its assignment.
#include "base/assert.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/records.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"

namespace millrace::groups {

namespace {

bool disagrees(const std::optional<std::string_view>& said, const std::optional<std::string>& is) {
    return said && is && *said != *is;
}

AnswerPtr<protocol::SyncGroupResponse> synced(const ClassicGroup& group, const Blob& assignment) {
    auto answer = make_answer<protocol::SyncGroupResponse>();
    answer->response.protocol_type = answer->own(group.protocol_type());
    answer->response.protocol_name = answer->own(group.protocol());
    answer->response.assignment = answer->own(assignment);
    return answer;
}

}  // namespace

KafkaError ClassicMembership::check_sync(const ClassicGroup& group,
                                         const protocol::SyncGroupRequest& request) const {
    if (const KafkaError error = group.check_member(request.member_id, request.group_instance_id);
        error != KafkaError::none) {
        return error;
    }
    if (request.generation_id != group.generation()) {
        return KafkaError::illegal_generation;
    }
    return disagrees(request.protocol_type, group.protocol_type()) ||
                   disagrees(request.protocol_name, group.protocol())
               ? KafkaError::inconsistent_group_protocol
               : KafkaError::none;
}

void ClassicMembership::sync(Operation& operation, ClassicGroup& group,
                             const protocol::SyncGroupRequest& request, SyncReply reply) {
    if (const KafkaError error = check_sync(group, request); error != KafkaError::none) {
        send_error(operation, std::move(reply), error);
        return;
    }
    ClassicMember& member = *group.find(request.member_id);
    switch (group.state()) {
        case ClassicState::preparing_rebalance:
            send_error(operation, std::move(reply), KafkaError::rebalance_in_progress);
            return;
        case ClassicState::completing_rebalance:
            fail_sync(operation, member, KafkaError::rebalance_in_progress);
            member.awaiting_sync = std::move(reply);
            break;
        case ClassicState::stable:
            send(operation, std::move(reply), synced(group, member.assignment));
            break;
        case ClassicState::empty:
        case ClassicState::dead:
            send_error(operation, std::move(reply), KafkaError::unknown_member_id);
            return;
    }
    group.synced(member.id);
    if (group.all_synced()) {
        state_.deadlines.cancel(DeadlineKind::classic_sync, group.id());
    }
    if (group.is(ClassicState::completing_rebalance) && group.is_leader(member.id)) {
        store_assignment(operation, group, request);
    }
}

/// The leader has spoken: once that is committed it is everybody's assignment.
void ClassicMembership::store_assignment(Operation& operation, ClassicGroup& group,
                                         const protocol::SyncGroupRequest& request) {
    StringMap<Blob> assignments;
    for (const auto& assignment : request.assignments) {
        if (group.has(assignment.member_id)) {
            assignments.insert_or_assign(std::string{assignment.member_id},
                                         make_blob(assignment.assignment));
        }
    }
    for (const auto& [id, member] : group.members()) {
        if (member.is_awaiting_sync()) {
            watch(operation, group, member);  // It is about to get an answer.
        }
    }
    operation.append(records::classic_group(group, assignments));
    operation.then([this, id = group.id(), generation = group.generation(),
                    assignments = std::move(assignments),
                    at = operation.now().wall](KafkaError error) {
        assignment_stored(id, generation, assignments, at, error);
    });
}

void ClassicMembership::assignment_stored(const std::string& id, std::int32_t generation,
                                          const StringMap<Blob>& assignments, Timestamp at,
                                          KafkaError error) {
    ClassicGroup* group = state_.find_classic(id);
    if (group == nullptr || !group->is(ClassicState::completing_rebalance) ||
        group->generation() != generation) {
        return;  // The group has moved on; whoever waited has been answered.
    }
    std::vector<std::pair<SyncReply, AnswerPtr<protocol::SyncGroupResponse>>> answers;
    for (auto& [member_id, member] : group->members()) {
        const auto found = assignments.find(member_id);
        member.assignment =
            error == KafkaError::none && found != assignments.end() ? found->second : nullptr;
        if (SyncReply reply = std::move(member.awaiting_sync)) {
            auto answer = synced(*group, member.assignment);
            if (error != KafkaError::none) {
                answer->response = {};
                answer->response.error_code = code_of(coordinator::answer_for_log_error(error));
            }
            answers.emplace_back(std::move(reply), std::move(answer));
        }
    }
    if (error == KafkaError::none) {
        group->transition(ClassicState::stable, at);
        ++state_.env.counters.classic_rebalances;
    } else {
        // No operation runs now: rebalance in one that is due at once.
        state_.deadlines.set(DeadlineKind::classic_rejoin, id, {}, Instant{});
    }
    for (auto& [reply, answer] : answers) {
        reply(answer->response);
    }
}

}  // namespace millrace::groups
