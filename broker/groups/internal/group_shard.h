// groups/internal/group_shard.h
//
// The state machine of one partition of __consumer_offsets: takes each request to the kind of group
// that it meets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "coordinator/state_machine.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/consumer_membership.h"
#include "groups/internal/offset_requests.h"
#include "groups/internal/shard_state.h"

namespace millrace::groups {

class GroupShard final : public coordinator::StateMachine {
public:
    explicit GroupShard(Env& env)
        : state_(env), classic_(state_), consumer_(state_, classic_), offsets_(state_, classic_) {}

    const ShardState& state() const { return state_; }
    OffsetRequests& offsets() { return offsets_; }
    ConsumerMembership& consumer() { return consumer_; }

    void join(coordinator::Operation& operation, JoinRequest request,
              Reply<protocol::JoinGroupResponse> reply);
    void sync(coordinator::Operation& operation, const protocol::SyncGroupRequest& request,
              Reply<protocol::SyncGroupResponse> reply);
    void heartbeat(coordinator::Operation& operation, const protocol::HeartbeatRequest& request,
                   Reply<protocol::HeartbeatResponse> reply);
    /// One error for each of the members.
    std::vector<KafkaError> leave(coordinator::Operation& operation, std::string_view group,
                                  const std::vector<LeavingMember>& members);
    KafkaError remove(coordinator::Operation& operation, std::string_view group);

    // coordinator::StateMachine
    void replay(const coordinator::RecordView& record, coordinator::Journal& journal) override;
    void replay_marker(ProducerId producer, ProducerEpoch epoch,
                       coordinator::TransactionResult result,
                       coordinator::Journal& journal) override;
    void loaded(coordinator::Operation& operation) override;
    void unloading() override;
    Instant next_deadline() const override { return state_.deadlines.next(); }
    void on_deadline(coordinator::Operation& operation) override;

private:
    void keep_house(coordinator::Operation& operation);
    void remove_if_unused(coordinator::Operation& operation, std::string_view group);

    ShardState state_;
    ClassicMembership classic_;
    ConsumerMembership consumer_;
    OffsetRequests offsets_;
    std::optional<std::string> swept_up_to_;  ///< The last group that housekeeping looked at.
};

}  // namespace millrace::groups
