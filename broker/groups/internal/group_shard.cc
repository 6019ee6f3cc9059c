#include "groups/internal/group_shard.h"

#include "groups/internal/records.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"

namespace millrace::groups {

namespace {

/// What could not be stored is tried again after this.
constexpr Duration retry_pause = 500ms;
/// Groups per turn of housekeeping, so that requests get theirs in between.
constexpr std::size_t sweep_size = 256;
/// A loop that looks at a deadline later than this was busy or stopped itself.
constexpr Duration punctual = 200ms;
/// Nobody gets more than this for it: a machine that is always late must not keep the dead.
constexpr Duration credit_most = 10s;

/// Somebody is thrown out for not having been heard in time.
bool blames_a_member(DeadlineKind kind) {
    switch (kind) {
        case DeadlineKind::classic_session:
        case DeadlineKind::classic_join:
        case DeadlineKind::classic_sync:
        case DeadlineKind::consumer_session:
        case DeadlineKind::consumer_rebalance:
        case DeadlineKind::consumer_join:
        case DeadlineKind::consumer_sync:
            return true;
        case DeadlineKind::classic_initial:
        case DeadlineKind::classic_rejoin:
        case DeadlineKind::housekeeping:
            return false;
    }
    return false;
}

}  // namespace

void GroupShard::join(coordinator::Operation& operation, JoinRequest request,
                      Reply<protocol::JoinGroupResponse> reply) {
    ConsumerGroup* group = state_.find_consumer(request.group);
    if (group != nullptr && !group->empty()) {
        consumer_.classic_join(operation, *group, std::move(request), std::move(reply));
        return;
    }
    // An empty consumer group gives way: nobody is there any more who minds the protocol.
    classic_.join(operation, std::move(request), std::move(reply),
                  group == nullptr ? std::vector<coordinator::Record>{}
                                   : ConsumerMembership::tombstones(*group));
}

void GroupShard::sync(coordinator::Operation& operation, const protocol::SyncGroupRequest& request,
                      Reply<protocol::SyncGroupResponse> reply) {
    Group* group = state_.find(request.group_id);
    if (group == nullptr || group->empty()) {
        send_error(operation, std::move(reply), KafkaError::unknown_member_id);
    } else if (ClassicGroup* classic = group->classic()) {
        classic_.sync(operation, *classic, request, std::move(reply));
    } else {
        consumer_.classic_sync(operation, *group->consumer(), request, std::move(reply));
    }
}

void GroupShard::heartbeat(coordinator::Operation& operation,
                           const protocol::HeartbeatRequest& request,
                           Reply<protocol::HeartbeatResponse> reply) {
    Group* group = state_.find(request.group_id);
    const KafkaError error =
        group == nullptr ? KafkaError::unknown_member_id
        : group->classic() != nullptr
            ? classic_.heartbeat(operation, *group->classic(), request)
            : consumer_.classic_heartbeat(operation, *group->consumer(), request);
    send_error(operation, std::move(reply), error);
}

std::vector<KafkaError> GroupShard::leave(coordinator::Operation& operation,
                                          std::string_view group_id,
                                          const std::vector<LeavingMember>& members) {
    Group* group = state_.find(group_id);
    if (group == nullptr) {
        return std::vector<KafkaError>(members.size(), KafkaError::unknown_member_id);
    }
    return group->classic() != nullptr
               ? classic_.leave(operation, *group->classic(), members)
               : consumer_.classic_leave(operation, *group->consumer(), members);
}

KafkaError GroupShard::remove(coordinator::Operation& operation, std::string_view group_id) {
    const Group* group = state_.find(group_id);
    if (group == nullptr) {
        return KafkaError::group_id_not_found;
    }
    if (!group->empty()) {
        return KafkaError::non_empty_group;
    }
    offsets_.remove_all(operation, group_id);
    if (const ConsumerGroup* consumer = group->consumer()) {
        for (coordinator::Record& record : ConsumerMembership::tombstones(*consumer)) {
            operation.append(std::move(record));
        }
    } else {
        operation.append(records::classic_group_tombstone(group_id));
    }
    return KafkaError::none;
}

void GroupShard::replay(const coordinator::RecordView& record, coordinator::Journal& journal) {
    groups::replay(state_, record, journal);
}

void GroupShard::replay_marker(ProducerId producer, ProducerEpoch,
                               coordinator::TransactionResult result,
                               coordinator::Journal& journal) {
    state_.offsets.end_transaction(producer, result, journal);
}

void GroupShard::loaded(coordinator::Operation& operation) {
    state_.live = true;
    operation.allow_split();
    for (const auto& [id, group] : state_.groups) {
        if (ClassicGroup* classic = group->classic()) {
            classic_.adopt(operation, *classic);
        } else {
            consumer_.adopt(operation, *group->consumer());
        }
    }
    state_.deadlines.set(DeadlineKind::housekeeping, {}, {},
                         operation.now().instant + state_.env.settings.offsets_check_interval);
}

void GroupShard::unloading() {
    for (const auto& [id, group] : state_.groups) {
        if (ClassicGroup* classic = group->classic()) {
            ClassicMembership::abandon(*classic, KafkaError::not_coordinator);
        }
    }
}

void GroupShard::on_deadline(coordinator::Operation& operation) {
    const std::optional<Due> due = state_.deadlines.take(operation.now().instant);
    if (!due) {
        return;
    }
    if (const Duration late = operation.now().instant - due->at;
        blames_a_member(due->kind) && late > punctual &&
        operation.now().instant - due->first < credit_most) {
        // What the members sent meanwhile may lie unread behind us: they get the time that we took.
        state_.deadlines.defer(*due, operation.now().instant + std::min(late, credit_most));
        return;
    }
    operation.then(
        [this, due = *due, retry = operation.now().instant + retry_pause](KafkaError error) {
            if (error != KafkaError::none) {
                state_.deadlines.set_if_absent(due.kind, due.group, due.member, retry, due.tag);
            }
        });
    switch (due->kind) {
        case DeadlineKind::classic_session:
        case DeadlineKind::classic_join:
        case DeadlineKind::classic_initial:
        case DeadlineKind::classic_sync:
        case DeadlineKind::classic_rejoin:
            classic_.on_deadline(operation, *due);
            return;
        case DeadlineKind::consumer_session:
        case DeadlineKind::consumer_rebalance:
        case DeadlineKind::consumer_join:
        case DeadlineKind::consumer_sync:
            consumer_.on_deadline(operation, *due);
            return;
        case DeadlineKind::housekeeping:
            keep_house(operation);
            return;
    }
}

/// Forgets offsets that have expired and groups that nothing is left of, a few groups at a time.
void GroupShard::keep_house(coordinator::Operation& operation) {
    operation.allow_split();
    std::vector<std::string> batch;
    for (auto it = swept_up_to_ ? state_.groups.upper_bound(*swept_up_to_) : state_.groups.begin();
         it != state_.groups.end() && batch.size() < sweep_size; ++it) {
        batch.push_back(it->first);
    }
    for (const std::string& group : batch) {
        if (offsets_.expire(operation, group)) {
            remove_if_unused(operation, group);
        }
    }
    const bool is_done = batch.size() < sweep_size;
    swept_up_to_ = is_done ? std::nullopt : std::optional{batch.back()};
    state_.deadlines.set(DeadlineKind::housekeeping, {}, {},
                         is_done
                             ? operation.now().instant + state_.env.settings.offsets_check_interval
                             : operation.now().instant);
}

void GroupShard::remove_if_unused(coordinator::Operation& operation, std::string_view group_id) {
    const Group* group = state_.find(group_id);
    if (group == nullptr || !group->empty()) {
        return;
    }
    if (const ConsumerGroup* consumer = group->consumer()) {
        for (coordinator::Record& record : ConsumerMembership::tombstones(*consumer)) {
            operation.append(std::move(record));
        }
    } else if (group->classic()->pending_count() == 0) {
        operation.append(records::classic_group_tombstone(group_id));
    }
}

}  // namespace millrace::groups
