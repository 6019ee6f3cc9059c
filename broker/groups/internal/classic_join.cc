// Joining a classic group.
#include <algorithm>

#include "base/assert.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/embedded.h"
#include "groups/internal/records.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/join_group_response.h"

namespace millrace::groups {

namespace {

/// A newcomer that was answered may be gone: its first join waits no longer than this.
constexpr Duration new_member_join_timeout = 5min;
/// JoinGroup 4: a dynamic member first gets an id, then joins with it (KIP-394).
constexpr std::int16_t first_version_with_required_id = 4;
/// JoinGroup 9: a leader that rejoins is told that nothing has to be assigned (KIP-814).
constexpr std::int16_t first_version_with_skip = 9;
/// Client ids go into member ids, which have to fit into a string of the protocol.
constexpr std::size_t max_client_id_in_member_id = 1024;

/// Whether consumers that offer these bytes want the same topics; true if they aren't consumers'.
bool same_topics(ByteView a, ByteView b) {
    const auto before = parse_subscribed_topics(a);
    const auto now = parse_subscribed_topics(b);
    return !before || !now || *before == *now;
}

}  // namespace

std::size_t JoinRequest::metadata_bytes() const {
    std::size_t bytes = 0;
    for (const ClassicProtocol& protocol : protocols) {
        bytes += protocol.name.size() + view(protocol.metadata).size();
    }
    return bytes;
}

JoinRequest read_join(const protocol::JoinGroupRequest& request, const Caller& caller) {
    JoinRequest out;
    out.group = std::string{request.group_id};
    out.member = std::string{request.member_id};
    if (request.group_instance_id) {
        out.instance = std::string{*request.group_instance_id};
    }
    out.type = std::string{request.protocol_type};
    for (const auto& protocol : request.protocols) {
        const bool repeated =
            std::any_of(out.protocols.begin(), out.protocols.end(),
                        [&](const ClassicProtocol& p) { return p.name == protocol.name; });
        if (!repeated) {
            out.protocols.push_back({std::string{protocol.name}, make_blob(protocol.metadata)});
        }
    }
    out.session_timeout_ms = request.session_timeout_ms;
    // Version 0 has one timeout for both.
    out.rebalance_timeout_ms =
        caller.version >= 1 ? request.rebalance_timeout_ms : request.session_timeout_ms;
    out.version = caller.version;
    out.client_id = std::string{caller.client_id};
    out.client_host = std::string{caller.client_host};
    out.may_describe = caller.may_describe;
    return out;
}

void ClassicMembership::refuse_join(Operation& operation, JoinReply reply, KafkaError error,
                                    std::string_view member) {
    auto answer = make_answer<protocol::JoinGroupResponse>();
    answer->response.error_code = code_of(error);
    answer->response.member_id = answer->own(member);
    send(operation, std::move(reply), std::move(answer));
}

AnswerPtr<protocol::JoinGroupResponse> ClassicMembership::joined(const ClassicGroup& group,
                                                                 std::string_view member,
                                                                 bool with_members) const {
    auto answer = make_answer<protocol::JoinGroupResponse>();
    protocol::JoinGroupResponse& response = answer->response;
    response.generation_id = group.generation();
    response.protocol_type = answer->own(group.protocol_type());
    response.protocol_name = answer->own(group.protocol());
    response.leader = answer->own(std::string_view{group.leader() ? *group.leader() : ""});
    response.member_id = answer->own(member);
    if (with_members) {
        response.members.reserve(group.members().size());
        for (const auto& [id, other] : group.members()) {
            auto& out = response.members.emplace_back();
            out.member_id = answer->own(std::string_view{id});
            out.group_instance_id = answer->own(other.instance_id);
            out.metadata = answer->own(other.metadata(group.protocol().value_or("")));
        }
    }
    return answer;
}

void ClassicMembership::join(Operation& operation, JoinRequest request, JoinReply reply,
                             std::vector<coordinator::Record> instead_of) {
    const GroupSettings& settings = state_.env.settings;
    const bool is_newcomer = request.member.empty();
    if (request.metadata_bytes() > static_cast<std::size_t>(settings.max_member_metadata.count)) {
        refuse_join(operation, std::move(reply), KafkaError::invalid_request, request.member);
        return;
    }
    ClassicGroup* group = state_.find_classic(request.group);
    if (group == nullptr) {
        if (!is_newcomer) {
            refuse_join(operation, std::move(reply), KafkaError::unknown_member_id, request.member);
            return;
        }
        if (request.type.empty() || request.protocols.empty()) {
            refuse_join(operation, std::move(reply), KafkaError::inconsistent_group_protocol, "");
            return;
        }
        for (coordinator::Record& record : instead_of) {
            operation.append(std::move(record));
        }
        group =
            state_.groups
                .emplace(request.group,
                         std::make_unique<Group>(ClassicGroup{request.group, operation.now().wall}))
                .first->second->classic();
        operation.append(records::new_classic_group(*group));
    }
    if (!accepts(*group, request.member)) {
        drop(operation, *group, request.member);
        maybe_complete(operation, *group);
        refuse_join(operation, std::move(reply), KafkaError::group_max_size_reached, "");
    } else if (!group->supports(request.type, request.protocols)) {
        refuse_join(operation, std::move(reply), KafkaError::inconsistent_group_protocol,
                    request.member);
    } else if (is_newcomer) {
        join_new(operation, *group, request, std::move(reply));
    } else {
        join_known(operation, *group, request, std::move(reply));
    }
}

bool ClassicMembership::accepts(const ClassicGroup& group, std::string_view member) const {
    const auto limit = static_cast<std::size_t>(state_.env.settings.max_size);
    const ClassicMember* known = group.find(member);
    switch (group.state()) {
        case ClassicState::empty:
        case ClassicState::dead:
            return true;
        case ClassicState::preparing_rebalance:
            // Counted by who has rejoined: if the limit was lowered, the last to come are out.
            return (known != nullptr && known->is_awaiting_join()) ||
                   group.awaiting_join_count() < limit;
        case ClassicState::completing_rebalance:
        case ClassicState::stable:
            return known != nullptr || group.members().size() < limit;
    }
    return false;
}

void ClassicMembership::join_new(Operation& operation, ClassicGroup& group, JoinRequest& request,
                                 JoinReply reply) {
    const std::string prefix = request.instance
                                   ? *request.instance
                                   : request.client_id.substr(0, max_client_id_in_member_id);
    std::string id = prefix + "-" + random_uuid_text(state_.env.random);
    if (request.instance) {
        if (const std::string* old_id = group.static_member(*request.instance)) {
            replace_static(operation, group, request, std::string{*old_id}, id, std::move(reply));
        } else {
            add(operation, group, request, std::move(id), std::move(reply));
        }
        return;
    }
    if (request.version < first_version_with_required_id) {
        add(operation, group, request, std::move(id), std::move(reply));
        return;
    }
    if (group.pending_count() >= state_.env.settings.max_pending_members) {
        refuse_join(operation, std::move(reply), KafkaError::group_max_size_reached, "");
        return;
    }
    state_.deadlines.set(DeadlineKind::classic_session, group.id(), id,
                         operation.now().instant + from_milliseconds(request.session_timeout_ms));
    refuse_join(operation, std::move(reply), KafkaError::member_id_required, id);
    group.add_pending(std::move(id));
}

void ClassicMembership::join_known(Operation& operation, ClassicGroup& group, JoinRequest& request,
                                   JoinReply reply) {
    if (group.is_pending(request.member) && !request.instance) {
        std::string id = request.member;
        add(operation, group, request, std::move(id), std::move(reply));
        return;
    }
    const std::optional<std::string_view> instance =
        request.instance ? std::optional<std::string_view>{*request.instance} : std::nullopt;
    if (const KafkaError error = group.check_member(request.member, instance);
        error != KafkaError::none) {
        auto answer = make_answer<protocol::JoinGroupResponse>();
        answer->response.error_code = code_of(error);
        answer->response.member_id = answer->own(std::string_view{request.member});
        answer->response.protocol_name = std::nullopt;
        send(operation, std::move(reply), std::move(answer));
        return;
    }
    ClassicMember& member = *group.find(request.member);
    const bool is_unchanged = member.protocols == request.protocols;
    switch (group.state()) {
        case ClassicState::preparing_rebalance:
            rejoin(operation, group, member, request, std::move(reply));
            return;
        case ClassicState::completing_rebalance:
            if (is_unchanged) {
                // It probably missed the answer to its join: the generation stands.
                send(operation, std::move(reply),
                     joined(group, member.id, group.is_leader(member.id)));
            } else {
                rejoin(operation, group, member, request, std::move(reply));
            }
            return;
        case ClassicState::stable:
            // The leader rejoins for reasons that we can't see, such as new partitions.
            if (group.is_leader(member.id) || !is_unchanged) {
                rejoin(operation, group, member, request, std::move(reply));
            } else {
                send(operation, std::move(reply), joined(group, member.id, false));
            }
            return;
        case ClassicState::empty:
        case ClassicState::dead:
            refuse_join(operation, std::move(reply), KafkaError::unknown_member_id, request.member);
            return;
    }
}

void ClassicMembership::add(Operation& operation, ClassicGroup& group, JoinRequest& request,
                            std::string id, JoinReply reply) {
    const std::size_t bytes = group.metadata_bytes() + request.metadata_bytes();
    if (bytes > static_cast<std::size_t>(state_.env.settings.max_group_metadata.count)) {
        refuse_join(operation, std::move(reply), KafkaError::group_max_size_reached, id);
        return;
    }
    ClassicMember member;
    member.id = std::move(id);
    member.instance_id = request.instance;
    member.client_id = request.client_id;
    member.client_host = request.client_host;
    member.rebalance_timeout_ms = request.rebalance_timeout_ms;
    member.session_timeout_ms = request.session_timeout_ms;
    member.protocols = std::move(request.protocols);
    member.is_new = true;
    member.awaiting_join = std::move(reply);
    if (group.is(ClassicState::preparing_rebalance) &&
        group.previous_state() == ClassicState::empty) {
        group.new_member_added = true;
    }
    state_.deadlines.set(DeadlineKind::classic_session, group.id(), member.id,
                         operation.now().instant + new_member_join_timeout);
    group.add(std::move(member), request.type);
    rebalance_or_complete(operation, group);
}

void ClassicMembership::rejoin(Operation& operation, ClassicGroup& group, ClassicMember& member,
                               JoinRequest& request, JoinReply reply) {
    // An earlier join of the same member belongs to a connection that it has given up.
    fail_joins(operation, member, group, KafkaError::rebalance_in_progress, member.id);
    group.update(member, std::move(request.protocols), request.rebalance_timeout_ms,
                 request.session_timeout_ms);
    group.await_join(member, std::move(reply));
    rebalance_or_complete(operation, group);
}

/// A static member came back under a new id: it takes its predecessor's place, which is fenced.
void ClassicMembership::replace_static(Operation& operation, ClassicGroup& group,
                                       JoinRequest& request, const std::string& old_id,
                                       const std::string& new_id, JoinReply reply) {
    const std::string former_leader = group.leader().value_or("");
    ClassicMember& old = *group.find(old_id);
    fail_joins(operation, old, group, KafkaError::fenced_instance_id, old_id);
    fail_sync(operation, old, KafkaError::fenced_instance_id);
    const Blob before = group.protocol() ? old.metadata(*group.protocol()) : nullptr;
    state_.deadlines.cancel(DeadlineKind::classic_session, group.id(), old_id);

    ClassicMember& member = group.replace_static(*request.instance, new_id);
    group.update(member, std::move(request.protocols), request.rebalance_timeout_ms,
                 request.session_timeout_ms);
    member.client_id = request.client_id;
    member.client_host = request.client_host;
    watch(operation, group, member);

    if (group.is(ClassicState::stable)) {
        const bool same_protocol = group.protocol() == group.select_protocol();
        if (same_protocol &&
            (!group.uses_consumer_protocol() ||
             same_topics(view(before), view(member.metadata(*group.protocol()))))) {
            store_replaced(operation, group, member, request, former_leader, std::move(reply));
            return;
        }
    }
    group.await_join(member, std::move(reply));
    if (group.is(ClassicState::preparing_rebalance)) {
        maybe_complete(operation, group);
    } else {
        // The leader may be assigning to the old id right now: start over.
        rebalance(operation, group);
    }
}

void ClassicMembership::store_replaced(Operation& operation, ClassicGroup& group,
                                       const ClassicMember& member, const JoinRequest& request,
                                       std::string_view former_leader, JoinReply reply) {
    operation.append(records::classic_group(group));
    const bool is_leader = group.is_leader(member.id);
    const bool may_skip = request.version >= first_version_with_skip;
    auto answer = joined(group, member.id, may_skip && is_leader);
    if (may_skip) {
        answer->response.skip_assignment = is_leader;
    } else {
        // Old clients assign if they find themselves to be the leader; the former id keeps them
        // from it.
        answer->response.leader = answer->own(former_leader);
    }
    send(operation, std::move(reply), std::move(answer));
}

}  // namespace millrace::groups
