// groups/internal/classic_membership.h
//
// The classic protocol: who joins, when a rebalance starts and ends, who gets which assignment.
//
//   Empty -> PreparingRebalance -> CompletingRebalance -> Stable
//              (joins are parked)    (syncs are parked)
//
// Any change sends the group back to PreparingRebalance. The leader's assignment becomes the
// group's when its record is committed; joins leave as soon as all members are there.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/state_machine.h"
#include "groups/internal/answer.h"
#include "groups/internal/shard_state.h"

namespace millrace::groups {

/// What JoinGroup asks for, out of its frame.
struct JoinRequest {
    std::string group;
    std::string member;  ///< Empty for a newcomer.
    std::optional<std::string> instance;
    std::string type;
    std::vector<ClassicProtocol> protocols;
    std::int32_t session_timeout_ms = 0;
    std::int32_t rebalance_timeout_ms = 0;
    std::int16_t version = 0;
    std::string client_id;
    std::string client_host;
    std::function<bool(std::string_view)> may_describe;  ///< As in Caller.

    std::size_t metadata_bytes() const;
};
JoinRequest read_join(const protocol::JoinGroupRequest& request, const Caller& caller);

/// One of those who leave.
struct LeavingMember {
    std::string_view member;
    std::optional<std::string_view> instance;
};

class ClassicMembership {
public:
    explicit ClassicMembership(ShardState& state) : state_(state) {}

    /// The group is a classic one or doesn't exist, or is something else that `instead_of` clears
    /// away before the new group is made.
    void join(coordinator::Operation& operation, JoinRequest request,
              Reply<protocol::JoinGroupResponse> reply,
              std::vector<coordinator::Record> instead_of);
    void sync(coordinator::Operation& operation, ClassicGroup& group,
              const protocol::SyncGroupRequest& request, Reply<protocol::SyncGroupResponse> reply);
    KafkaError heartbeat(coordinator::Operation& operation, ClassicGroup& group,
                         const protocol::HeartbeatRequest& request);
    /// One error for each.
    std::vector<KafkaError> leave(coordinator::Operation& operation, ClassicGroup& group,
                                  const std::vector<LeavingMember>& members);

    /// A member showed that it lives.
    void touch(coordinator::Operation& operation, const ClassicGroup& group,
               std::string_view member);
    void rebalance(coordinator::Operation& operation, ClassicGroup& group);
    /// Sets what a freshly loaded or converted group needs: deadlines, a rebalance if it is too
    /// big.
    void adopt(coordinator::Operation& operation, ClassicGroup& group);
    /// The group becomes a consumer group: whoever waits is asked to join again.
    void dismiss(coordinator::Operation& operation, ClassicGroup& group);
    /// Answers whoever waits, without an operation: the state is going away.
    static void abandon(ClassicGroup& group, KafkaError error);

    void on_deadline(coordinator::Operation& operation, const Due& due);

private:
    using Operation = coordinator::Operation;
    using JoinReply = Reply<protocol::JoinGroupResponse>;
    using SyncReply = Reply<protocol::SyncGroupResponse>;

    // Joining.
    bool accepts(const ClassicGroup& group, std::string_view member) const;
    void join_new(Operation& operation, ClassicGroup& group, JoinRequest& request, JoinReply reply);
    void join_known(Operation& operation, ClassicGroup& group, JoinRequest& request,
                    JoinReply reply);
    void add(Operation& operation, ClassicGroup& group, JoinRequest& request, std::string id,
             JoinReply reply);
    void rejoin(Operation& operation, ClassicGroup& group, ClassicMember& member,
                JoinRequest& request, JoinReply reply);
    void replace_static(Operation& operation, ClassicGroup& group, JoinRequest& request,
                        const std::string& old_id, const std::string& new_id, JoinReply reply);
    void store_replaced(Operation& operation, ClassicGroup& group, const ClassicMember& member,
                        const JoinRequest& request, std::string_view former_leader,
                        JoinReply reply);
    void refuse_join(Operation& operation, JoinReply reply, KafkaError error,
                     std::string_view member);
    AnswerPtr<protocol::JoinGroupResponse> joined(const ClassicGroup& group,
                                                  std::string_view member, bool with_members) const;

    // Rebalancing.
    void rebalance_or_complete(Operation& operation, ClassicGroup& group);
    void maybe_complete(Operation& operation, ClassicGroup& group);
    void complete_or_wait(Operation& operation, ClassicGroup& group);
    void complete(Operation& operation, ClassicGroup& group);
    void extend_initial(Operation& operation, ClassicGroup& group, const Due& due);
    void drop(Operation& operation, ClassicGroup& group, std::string_view member);
    void fail_joins(Operation& operation, ClassicMember& member, ClassicGroup& group,
                    KafkaError error, std::string_view member_id);
    void fail_sync(Operation& operation, ClassicMember& member, KafkaError error);
    void expire_session(Operation& operation, ClassicGroup& group, std::string_view member);
    void expire_sync(Operation& operation, ClassicGroup& group, std::int64_t generation);

    // Assigning.
    KafkaError check_sync(const ClassicGroup& group,
                          const protocol::SyncGroupRequest& request) const;
    void store_assignment(Operation& operation, ClassicGroup& group,
                          const protocol::SyncGroupRequest& request);
    void assignment_stored(const std::string& group, std::int32_t generation,
                           const StringMap<Blob>& assignments, Timestamp at, KafkaError error);

    void watch(Operation& operation, const ClassicGroup& group, const ClassicMember& member);

    ShardState& state_;
};

}  // namespace millrace::groups
