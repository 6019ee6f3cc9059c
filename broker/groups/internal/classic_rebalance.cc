// From a change of members to a new generation.
#include "base/assert.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/records.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/sync_group_response.h"

namespace millrace::groups {

void ClassicMembership::watch(Operation& operation, const ClassicGroup& group,
                              const ClassicMember& member) {
    state_.deadlines.set(DeadlineKind::classic_session, group.id(), member.id,
                         operation.now().instant + from_milliseconds(member.session_timeout_ms));
}

void ClassicMembership::touch(Operation& operation, const ClassicGroup& group,
                              std::string_view member) {
    if (const ClassicMember* known = group.find(member)) {
        watch(operation, group, *known);
    }
}

void ClassicMembership::rebalance_or_complete(Operation& operation, ClassicGroup& group) {
    if (group.can_rebalance()) {
        rebalance(operation, group);
    } else {
        maybe_complete(operation, group);
    }
}

void ClassicMembership::rebalance(Operation& operation, ClassicGroup& group) {
    if (group.is(ClassicState::completing_rebalance)) {
        for (auto& [id, member] : group.members()) {
            member.assignment = nullptr;
            if (member.is_awaiting_sync()) {
                fail_sync(operation, member, KafkaError::rebalance_in_progress);
                watch(operation, group, member);
            }
        }
    }
    group.forget_syncs();
    state_.deadlines.cancel(DeadlineKind::classic_sync, group.id());
    const bool is_first = group.is(ClassicState::empty);
    group.transition(ClassicState::preparing_rebalance, operation.now().wall);
    MR_LOG(state_.env.log, info, "groups.rebalance", field("group", group.id()),
           field("generation", group.generation()), field("members", group.members().size()));
    if (!is_first) {
        complete_or_wait(operation, group);
        return;
    }
    // Give more members time to come, so that they don't each cause a rebalance of their own.
    const Duration delay = state_.env.settings.initial_rebalance_delay;
    const Duration left = from_milliseconds(group.rebalance_timeout_ms()) - delay;
    state_.deadlines.set(DeadlineKind::classic_initial, group.id(), {},
                         operation.now().instant + delay, std::max<std::int64_t>(left.count(), 0));
}

/// The initial delay is over: wait on if somebody came meanwhile, but not beyond the longest
/// rebalance timeout.
void ClassicMembership::extend_initial(Operation& operation, ClassicGroup& group, const Due& due) {
    if (!group.new_member_added || due.tag == 0) {
        complete(operation, group);
        return;
    }
    group.new_member_added = false;
    const Duration left{due.tag};
    const Duration delay = std::min(state_.env.settings.initial_rebalance_delay, left);
    state_.deadlines.set(DeadlineKind::classic_initial, group.id(), {},
                         operation.now().instant + delay, (left - delay).count());
}

void ClassicMembership::maybe_complete(Operation& operation, ClassicGroup& group) {
    if (group.is(ClassicState::preparing_rebalance) &&
        group.previous_state() != ClassicState::empty && group.all_joined()) {
        complete(operation, group);
    }
}

/// Who was only given an id has no rebalance timeout yet, so nobody is waited for without members.
void ClassicMembership::complete_or_wait(Operation& operation, ClassicGroup& group) {
    if (group.all_joined() || group.members().empty()) {
        complete(operation, group);
    } else {
        state_.deadlines.set(
            DeadlineKind::classic_join, group.id(), {},
            operation.now().instant + from_milliseconds(group.rebalance_timeout_ms()));
    }
}

/// Ends the join phase with whoever is there. Static members may be away for a while.
void ClassicMembership::complete(Operation& operation, ClassicGroup& group) {
    state_.deadlines.cancel(DeadlineKind::classic_join, group.id());
    state_.deadlines.cancel(DeadlineKind::classic_initial, group.id());
    group.new_member_added = false;
    std::vector<std::string> gone;
    for (const auto& [id, member] : group.members()) {
        if (!member.is_awaiting_join() && !member.instance_id) {
            gone.push_back(id);
        }
    }
    for (const std::string& id : gone) {
        drop(operation, group, id);
    }
    if (!group.members().empty() && !group.elect_joined_leader()) {
        // Only static members, none of which has come back: wait until they do or expire.
        state_.deadlines.set(
            DeadlineKind::classic_join, group.id(), {},
            operation.now().instant + from_milliseconds(group.rebalance_timeout_ms()));
        return;
    }
    group.next_generation(operation.now().wall);
    if (group.is(ClassicState::empty)) {
        operation.append(records::classic_group(group));
        return;
    }
    for (auto& [id, member] : group.members()) {
        if (JoinReply reply = group.stop_awaiting_join(member)) {
            send(operation, std::move(reply), joined(group, id, group.is_leader(id)));
        }
        member.is_new = false;
        watch(operation, group, member);
    }
    group.expect_syncs();
    state_.deadlines.set(DeadlineKind::classic_sync, group.id(), {},
                         operation.now().instant + from_milliseconds(group.rebalance_timeout_ms()),
                         group.generation());
}

void ClassicMembership::fail_joins(Operation& operation, ClassicMember& member, ClassicGroup& group,
                                   KafkaError error, std::string_view member_id) {
    if (JoinReply reply = group.stop_awaiting_join(member)) {
        refuse_join(operation, std::move(reply), error, member_id);
    }
}

void ClassicMembership::fail_sync(Operation& operation, ClassicMember& member, KafkaError error) {
    if (SyncReply reply = std::move(member.awaiting_sync)) {
        send_error(operation, std::move(reply), error);
    }
}

/// A member (or one that has only an id) goes. If it still waits, it is told to start over.
void ClassicMembership::drop(Operation& operation, ClassicGroup& group, std::string_view member) {
    if (ClassicMember* known = group.find(member)) {
        fail_joins(operation, *known, group, KafkaError::unknown_member_id, "");
        fail_sync(operation, *known, KafkaError::unknown_member_id);
    }
    state_.deadlines.cancel(DeadlineKind::classic_session, group.id(), member);
    group.remove(member);
}

KafkaError ClassicMembership::heartbeat(Operation& operation, ClassicGroup& group,
                                        const protocol::HeartbeatRequest& request) {
    if (const KafkaError error = group.check_member(request.member_id, request.group_instance_id);
        error != KafkaError::none) {
        return error;
    }
    if (request.generation_id != group.generation()) {
        return KafkaError::illegal_generation;
    }
    switch (group.state()) {
        case ClassicState::preparing_rebalance:
            touch(operation, group, request.member_id);
            return KafkaError::rebalance_in_progress;
        case ClassicState::completing_rebalance:
        case ClassicState::stable:
            touch(operation, group, request.member_id);
            return KafkaError::none;
        case ClassicState::empty:
        case ClassicState::dead:
            return KafkaError::unknown_member_id;
    }
    return KafkaError::unknown_member_id;
}

std::vector<KafkaError> ClassicMembership::leave(Operation& operation, ClassicGroup& group,
                                                 const std::vector<LeavingMember>& members) {
    std::vector<KafkaError> errors;
    bool changed = false;
    for (const LeavingMember& leaving : members) {
        std::string id{leaving.member};
        KafkaError error = KafkaError::none;
        if (id.empty()) {  // An administrator removes a static member whose id is not known.
            const std::string* known =
                leaving.instance ? group.static_member(*leaving.instance) : nullptr;
            error = known == nullptr ? KafkaError::unknown_member_id : KafkaError::none;
            id = known == nullptr ? "" : *known;
        } else if (!group.is_pending(id)) {
            error = group.check_member(id, leaving.instance);
        }
        if (error == KafkaError::none) {
            drop(operation, group, id);
            changed = true;
        }
        errors.push_back(error);
    }
    if (changed &&
        (group.is(ClassicState::stable) || group.is(ClassicState::completing_rebalance))) {
        rebalance_or_complete(operation, group);
    } else if (changed) {
        maybe_complete(operation, group);
    }
    return errors;
}

void ClassicMembership::expire_session(Operation& operation, ClassicGroup& group,
                                       std::string_view member) {
    const bool was_pending = group.is_pending(member);
    ClassicMember* known = group.find(member);
    if (known == nullptr && !was_pending) {
        return;
    }
    if (known != nullptr && known->satisfies_heartbeat()) {
        watch(operation, group, *known);
        return;
    }
    MR_LOG(state_.env.log, info, "groups.member_expired", field("group", group.id()),
           field("member", member));
    drop(operation, group, member);
    if (!was_pending &&
        (group.is(ClassicState::stable) || group.is(ClassicState::completing_rebalance))) {
        rebalance(operation, group);
    } else if (group.is(ClassicState::preparing_rebalance) && group.all_joined()) {
        complete(operation, group);
    }
}

void ClassicMembership::expire_sync(Operation& operation, ClassicGroup& group,
                                    std::int64_t generation) {
    if (group.generation() != generation || group.all_synced() ||
        (!group.is(ClassicState::completing_rebalance) && !group.is(ClassicState::stable))) {
        return;
    }
    const std::vector<std::string> late{group.unsynced().begin(), group.unsynced().end()};
    for (const std::string& member : late) {
        drop(operation, group, member);
    }
    rebalance(operation, group);
}

void ClassicMembership::adopt(Operation& operation, ClassicGroup& group) {
    for (const auto& [id, member] : group.members()) {
        watch(operation, group, member);
    }
    if (group.members().size() > static_cast<std::size_t>(state_.env.settings.max_size)) {
        rebalance(operation, group);  // The limit was lowered: who comes back first stays.
    }
}

void ClassicMembership::dismiss(Operation& operation, ClassicGroup& group) {
    for (auto& [id, member] : group.members()) {
        fail_joins(operation, member, group, KafkaError::rebalance_in_progress, id);
        fail_sync(operation, member, KafkaError::rebalance_in_progress);
    }
    state_.deadlines.cancel(DeadlineKind::classic_join, group.id());
    state_.deadlines.cancel(DeadlineKind::classic_initial, group.id());
    state_.deadlines.cancel(DeadlineKind::classic_sync, group.id());
}

void ClassicMembership::abandon(ClassicGroup& group, KafkaError error) {
    for (auto& [id, member] : group.members()) {
        if (JoinReply reply = group.stop_awaiting_join(member)) {
            protocol::JoinGroupResponse response;
            response.error_code = code_of(error);
            response.member_id = id;
            reply(response);
        }
        if (SyncReply reply = std::move(member.awaiting_sync)) {
            protocol::SyncGroupResponse response;
            response.error_code = code_of(error);
            reply(response);
        }
    }
}

void ClassicMembership::on_deadline(Operation& operation, const Due& due) {
    ClassicGroup* group = state_.find_classic(due.group);
    if (group == nullptr) {
        return;
    }
    const bool is_preparing = group->is(ClassicState::preparing_rebalance);
    switch (due.kind) {
        case DeadlineKind::classic_session:
            expire_session(operation, *group, due.member);
            return;
        case DeadlineKind::classic_join:
            if (is_preparing) {
                complete(operation, *group);
            }
            return;
        case DeadlineKind::classic_initial:
            if (is_preparing) {
                extend_initial(operation, *group, due);
            }
            return;
        case DeadlineKind::classic_sync:
            expire_sync(operation, *group, due.tag);
            return;
        case DeadlineKind::classic_rejoin:
            if (group->is(ClassicState::completing_rebalance)) {
                rebalance(operation, *group);
            }
            return;
        default:
            MR_ASSERT(false);
    }
}

}  // namespace millrace::groups
