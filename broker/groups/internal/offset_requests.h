// groups/internal/offset_requests.h
//
// Committing, reading and deleting offsets: who may, which of them, and when they are forgotten.
#pragma once

#include <string_view>
#include <vector>

#include "coordinator/state_machine.h"
#include "groups/internal/answer.h"
#include "groups/internal/classic_membership.h"
#include "groups/internal/shard_state.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"

namespace millrace::groups {

class OffsetRequests {
public:
    OffsetRequests(ShardState& state, ClassicMembership& classic)
        : state_(state), classic_(classic) {}

    void commit(coordinator::Operation& operation, const protocol::OffsetCommitRequest& request,
                const Caller& caller, Reply<protocol::OffsetCommitResponse> reply);
    void commit_in_transaction(coordinator::Operation& operation,
                               const protocol::TxnOffsetCommitRequest& request,
                               const Caller& caller,
                               Reply<protocol::TxnOffsetCommitResponse> reply);
    /// One group of an OffsetFetch, as version 8 and later have it.
    using FetchGroup = protocol::OffsetFetchRequest::OffsetFetchRequestGroup;
    using FetchedGroup = protocol::OffsetFetchResponse::OffsetFetchResponseGroup;
    struct FetchManner {
        bool require_stable = false;
        bool by_id = false;
        bool tells_times = false;  ///< As mirror links ask for it.
    };
    AnswerPtr<FetchedGroup> fetch(const FetchGroup& request, const FetchManner& manner) const;
    void remove(coordinator::Operation& operation, const protocol::OffsetDeleteRequest& request,
                Reply<protocol::OffsetDeleteResponse> reply);

    /// Every offset of a group that is deleted, as tombstones. Returns how many.
    std::size_t remove_all(coordinator::Operation& operation, std::string_view group);
    void remove_topics(coordinator::Operation& operation, const std::vector<DeletedTopic>& topics);
    /// Forgets what nobody has needed for the retention time; false if something is left that
    /// keeps the group alive.
    bool expire(coordinator::Operation& operation, std::string_view group);

private:
    using Operation = coordinator::Operation;
    /// What a partition's commit may be refused for; none for all of it.
    struct Permission {
        KafkaError error = KafkaError::none;
        const ConsumerMember* behind = nullptr;  ///< Check each partition's epoch (KIP-1251).
        std::int32_t epoch = 0;
        KafkaError stale = KafkaError::none;  ///< The error if that check fails.
    };
    Permission may_commit(std::string_view group, std::string_view member,
                          const std::optional<std::string_view>& instance, std::int32_t epoch,
                          bool in_transaction, std::int16_t version) const;
    KafkaError may_commit_classic(const ClassicGroup& group, std::string_view member,
                                  const std::optional<std::string_view>& instance,
                                  std::int32_t generation, bool in_transaction) const;
    Permission may_commit_consumer(const ConsumerGroup& group, std::string_view member,
                                   const std::optional<std::string_view>& instance,
                                   std::int32_t epoch, bool in_transaction,
                                   std::int16_t version) const;
    static KafkaError check_partition(const Permission& permission, const Uuid& topic,
                                      std::int32_t partition);
    // For both kinds of commit, which differ in little but their names.
    template <typename Request>
    KafkaError check_all(const Permission& permission, const Request& request) const;
    template <typename Request, typename Response>
    void append_all(Operation& operation, const Request& request, Response& response, bool by_id,
                    std::optional<Timestamp> expires_at);
    KafkaError may_fetch(const FetchGroup& request) const;
    void tombstone(Operation& operation, std::string_view group, std::string_view topic,
                   std::int32_t partition);

    ShardState& state_;
    ClassicMembership& classic_;
};

}  // namespace millrace::groups
