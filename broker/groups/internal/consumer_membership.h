// groups/internal/consumer_membership.h
//
// The consumer protocol (KIP-848): heartbeats carry everything, the broker assigns. Each heartbeat
// appends records and reads the state that they made, step by step:
//
//   member's metadata -> group epoch -> target assignment -> the member's own next step
//
// Whatever can be refused is refused before the first record.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "coordinator/state_machine.h"
#include "groups/internal/answer.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/shard_state.h"

namespace millrace::groups {

/// Why a request is refused, as the client is told.
struct Refusal {
    KafkaError error = KafkaError::none;
    std::string message;
    explicit operator bool() const { return error != KafkaError::none; }
};

class ConsumerMembership {
public:
    ConsumerMembership(ShardState& state, ClassicMembership& classic)
        : state_(state), classic_(classic) {}

    void heartbeat(coordinator::Operation& operation,
                   const protocol::ConsumerGroupHeartbeatRequest& request, const Caller& caller,
                   Reply<protocol::ConsumerGroupHeartbeatResponse> reply);

    // Members of the classic protocol in a consumer group (KIP-848's online migration).
    void classic_join(coordinator::Operation& operation, ConsumerGroup& group, JoinRequest request,
                      Reply<protocol::JoinGroupResponse> reply);
    void classic_sync(coordinator::Operation& operation, ConsumerGroup& group,
                      const protocol::SyncGroupRequest& request,
                      Reply<protocol::SyncGroupResponse> reply);
    KafkaError classic_heartbeat(coordinator::Operation& operation, ConsumerGroup& group,
                                 const protocol::HeartbeatRequest& request);
    std::vector<KafkaError> classic_leave(coordinator::Operation& operation, ConsumerGroup& group,
                                          const std::vector<LeavingMember>& members);

    /// Deadlines of a freshly loaded group.
    void adopt(coordinator::Operation& operation, const ConsumerGroup& group);
    void on_deadline(coordinator::Operation& operation, const Due& due);

    /// What is left of the group when it is deleted: everything that it has written, as tombstones.
    static std::vector<coordinator::Record> tombstones(const ConsumerGroup& group);

private:
    using Operation = coordinator::Operation;
    using Request = protocol::ConsumerGroupHeartbeatRequest;
    using HeartbeatReply = Reply<protocol::ConsumerGroupHeartbeatResponse>;

    // Heartbeats.
    Refusal check(const Request& request, const Caller& caller) const;
    void refuse(Operation& operation, HeartbeatReply reply, Refusal refusal) const;
    void leave(Operation& operation, const Request& request, HeartbeatReply reply);
    void join_or_go_on(Operation& operation, const Request& request, const Caller& caller,
                       HeartbeatReply reply);
    Refusal prepare_group(const Request& request, std::vector<coordinator::Record>& records) const;
    Refusal check_member(const Request& request) const;
    Refusal check_epoch(const ConsumerMember& member, const Request& request) const;
    bool is_full(std::string_view group, std::string_view member,
                 const std::optional<std::string_view>& instance) const;
    void answer(Operation& operation, const ConsumerGroup& group, const ConsumerMember& before,
                const Request& request, std::string_view member, HeartbeatReply reply) const;

    // The steps that heartbeats and classic joins share.
    struct Change {
        bool subscription = false;  ///< The member wants other topics than before.
        bool bump = false;          ///< The group needs a new epoch for it.
    };
    ConsumerMember enter(Operation& operation, std::string_view group, std::string_view member,
                         const std::optional<std::string_view>& instance, bool is_joining);
    Change update_member(Operation& operation, std::string_view group, const ConsumerMember& before,
                         ConsumerMember next, const Caller& caller);
    bool refresh_regexes(Operation& operation, const std::string& group, bool is_new_regex,
                         const Caller& caller);
    void update_epoch(Operation& operation, ConsumerGroup& group, bool bump);
    void update_target(Operation& operation, ConsumerGroup& group);
    bool may_assign(Operation& operation, const ConsumerGroup& group) const;
    void advance(Operation& operation, ConsumerGroup& group, std::string_view member,
                 bool subscription_changed, const std::optional<PartitionSet>& owned);
    /// The group, which a record just made if it wasn't there.
    ConsumerGroup& group(std::string_view id);

    // Leaving.
    void fence(Operation& operation, ConsumerGroup& group,
               const std::set<std::string, std::less<>>& members);
    void watch(Operation& operation, const ConsumerGroup& group, const ConsumerMember& member);
    void forget(std::string_view group, std::string_view member);

    // Moving between the protocols (migration.cc).
    Refusal upgrade_records(const ClassicGroup& group,
                            std::vector<coordinator::Record>& records) const;
    bool may_downgrade(const ConsumerGroup& group,
                       const std::set<std::string, std::less<>>& leaving) const;
    /// False if what classic members told each other can't be read; nothing has happened then.
    bool downgrade(Operation& operation, ConsumerGroup& group,
                   const std::set<std::string, std::less<>>& leaving, bool must_rebalance);

    // Classic members.
    /// Its partitions or its epoch are not what they should be, and it could do something about it.
    static bool has_to_rejoin(const ConsumerGroup& group, const ConsumerMember& member);
    MemberPtr find_classic(const ConsumerGroup& group, std::string_view member,
                           const std::optional<std::string_view>& instance,
                           KafkaError& error) const;
    KafkaError check_classic_join(const ConsumerGroup& group, const JoinRequest& request) const;

    ShardState& state_;
    ClassicMembership& classic_;
};

}  // namespace millrace::groups
