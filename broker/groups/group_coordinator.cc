#include "groups/group_coordinator.h"

#include <algorithm>

#include "base/assert.h"
#include "coordinator/key_hash.h"
#include "coordinator/runtime.h"
#include "groups/internal/answer.h"
#include "groups/internal/describe.h"
#include "groups/internal/gather.h"
#include "groups/internal/group_shard.h"
#include "metadata/link_mark.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_heartbeat_request.h"
#include "protocol/messages/consumer_group_heartbeat_response.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/leave_group_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"
#include "protocol/messages/txn_offset_commit_request.h"
#include "protocol/messages/txn_offset_commit_response.h"

namespace millrace::groups {

namespace {

class NoTopics final : public TopicsView {
public:
    std::int64_t version() const override { return 0; }
    std::optional<TopicInfo> find(std::string_view) const override { return std::nullopt; }
    std::optional<TopicInfo> find(const Uuid&) const override { return std::nullopt; }
    void for_each(const std::function<void(const TopicInfo&)>&) const override {}
    std::vector<std::string> racks(const Uuid&, std::int32_t) const override { return {}; }
};

/// A response that is nothing but an error.
template <typename Response>
void refuse(Reply<Response>& reply, KafkaError error) {
    Response response;
    response.error_code = code_of(error);
    reply(response);
}

/// A response that has its errors at the partitions.
template <typename Response, typename Request>
void refuse_everywhere(Reply<Response>& reply, const Request& request, KafkaError error) {
    Response response;
    for (const auto& topic : request.topics) {
        auto& out = response.topics.emplace_back();
        out.name = topic.name;
        out.topic_id = topic.topic_id;
        for (const auto& partition : topic.partitions) {
            out.partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = code_of(error)});
        }
    }
    reply(response);
}

// Versions that changed where things are said.
constexpr std::int16_t first_join_with_null_protocol = 7;
constexpr std::int16_t first_sync_with_protocol = 5;
constexpr std::int16_t first_leave_with_members = 3;
constexpr std::int16_t first_fetch_with_groups = 8;
constexpr std::int16_t first_fetch_with_ids = 10;
constexpr std::int16_t first_fetch_with_top_level_error = 2;

/// Before version 8 there was one group, and its parts lay at the top.
void shape_offset_fetch(protocol::OffsetFetchResponse& response, std::int16_t version) {
    if (version >= first_fetch_with_groups) {
        return;
    }
    auto group = std::move(response.groups.front());
    response.groups.clear();
    if (version >= first_fetch_with_top_level_error) {
        response.error_code = group.error_code;
    }
    for (auto& topic : group.topics) {
        auto& out = response.topics.emplace_back();
        out.name = topic.name;
        for (const auto& partition : topic.partitions) {
            out.partitions.push_back({.partition_index = partition.partition_index,
                                      .committed_offset = partition.committed_offset,
                                      .committed_leader_epoch = partition.committed_leader_epoch,
                                      .metadata = partition.metadata,
                                      .error_code = partition.error_code,
                                      .unknown_tags = partition.unknown_tags});
        }
    }
}

}  // namespace

const TopicsView& no_topics() {
    static const NoTopics none;
    return none;
}

struct GroupCoordinator::Inside {
    Env env;
    coordinator::Runtime runtime;
    std::int32_t partitions = 0;

    Inside(runtime::Executor& executor, coordinator::LogDoor& log, Random& random,
           GroupSettings settings, Logger logger)
        : env{.settings = std::move(settings),
              .overrides = {},
              .topics = std::make_shared<NoTopics>(),
              .random = random,
              .log = logger,
              .counters = {},
              .metadata_hash = {}},
          runtime(
              "__consumer_offsets", executor, log,
              [this](PartitionIndex) { return std::make_unique<GroupShard>(env); },
              {.write_timeout = env.settings.commit_timeout,
               .load_chunk = env.settings.load_buffer,
               .compression = env.settings.offsets_compression},
              logger) {}

    PartitionIndex partition_of(std::string_view group) const {
        return coordinator::partition_for_key(group, partitions);
    }
    bool offers_consumer_protocol() const {
        return env.settings.offers_consumer_protocol && env.topics->has_consumer_groups();
    }
    /// Why no request of that group can be served now; none if it can.
    KafkaError unready(std::string_view group) const {
        return partitions == 0 ? KafkaError::not_coordinator : runtime.status(partition_of(group));
    }
    /// Only when ready.
    template <typename Body>
    void run(PartitionIndex partition, Body&& body) {
        runtime.run(
            partition,
            [&](coordinator::StateMachine& machine, coordinator::Operation& operation) {
                body(static_cast<GroupShard&>(machine), operation);
            },
            [](KafkaError) { MR_ASSERT(false); });
    }
    template <typename Body>
    void run(std::string_view group, Body&& body) {
        run(partition_of(group), std::forward<Body>(body));
    }
    const GroupShard* peek(PartitionIndex partition) const {
        return static_cast<const GroupShard*>(runtime.peek(partition));
    }
};

GroupCoordinator::GroupCoordinator(runtime::Executor& executor, coordinator::LogDoor& log,
                                   Random& random, GroupSettings settings, Logger logger)
    : inside_(std::make_unique<Inside>(executor, log, random, std::move(settings),
                                       std::move(logger))) {}

GroupCoordinator::~GroupCoordinator() = default;

void GroupCoordinator::set_partition_count(std::int32_t count) {
    inside_->partitions = count;
}

void GroupCoordinator::elected(PartitionIndex partition, LeaderEpoch epoch) {
    inside_->runtime.elected(partition, epoch);
}

void GroupCoordinator::resigned(PartitionIndex partition, std::optional<LeaderEpoch> epoch) {
    inside_->runtime.resigned(partition, epoch);
}

void GroupCoordinator::topics_changed(std::shared_ptr<const TopicsView> topics,
                                      const std::vector<DeletedTopic>& deleted) {
    MR_ASSERT(topics != nullptr);
    inside_->env.topics = std::move(topics);
    if (deleted.empty()) {
        return;
    }
    for (const coordinator::ShardStatus& shard : inside_->runtime.shards()) {
        if (inside_->runtime.status(shard.partition) == KafkaError::none) {
            inside_->run(shard.partition, [&](GroupShard& groups, coordinator::Operation& op) {
                op.allow_split();
                groups.offsets().remove_topics(op, deleted);
            });
        }
    }
}

void GroupCoordinator::settings_changed(GroupSettings settings) {
    inside_->env.settings = std::move(settings);
}

void GroupCoordinator::overrides_changed(const std::string& group, GroupOverrides overrides) {
    inside_->env.overrides.insert_or_assign(group, overrides);
}

PartitionIndex GroupCoordinator::partition_of(std::string_view group) const {
    return inside_->partition_of(group);
}

void GroupCoordinator::join_group(const protocol::JoinGroupRequest& request, const Caller& caller,
                                  Reply<protocol::JoinGroupResponse> reply) {
    Reply<protocol::JoinGroupResponse> shaped =
        [reply = std::move(reply),
         version = caller.version](protocol::JoinGroupResponse& response) mutable {
            if (version < first_join_with_null_protocol && !response.protocol_name) {
                response.protocol_name = "";
            } else if (version >= first_join_with_null_protocol && response.error_code != 0) {
                response.protocol_name.reset();
            }
            reply(response);
        };
    const GroupSettings& settings = inside_->env.settings;
    const Duration session = from_milliseconds(request.session_timeout_ms);
    const KafkaError error =
        request.group_id.empty() ? KafkaError::invalid_group_id
        : session < settings.min_session_timeout || session > settings.max_session_timeout
            ? KafkaError::invalid_session_timeout
            : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        protocol::JoinGroupResponse response;
        response.error_code = code_of(error);
        response.member_id = request.member_id;
        shaped(response);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.join(operation, read_join(request, caller), std::move(shaped));
    });
}

void GroupCoordinator::sync_group(const protocol::SyncGroupRequest& request, const Caller& caller,
                                  Reply<protocol::SyncGroupResponse> reply) {
    const bool says_protocol = caller.version < first_sync_with_protocol ||
                               (request.protocol_type && request.protocol_name);
    const KafkaError error = !says_protocol             ? KafkaError::inconsistent_group_protocol
                             : request.group_id.empty() ? KafkaError::invalid_group_id
                                                        : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        refuse(reply, error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.sync(operation, request, std::move(reply));
    });
}

void GroupCoordinator::heartbeat(const protocol::HeartbeatRequest& request, const Caller&,
                                 Reply<protocol::HeartbeatResponse> reply) {
    const KafkaError error = request.group_id.empty() ? KafkaError::invalid_group_id
                                                      : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        // While the group loads no session can expire: let the member wait.
        refuse(reply, error == KafkaError::coordinator_load_in_progress ? KafkaError::none : error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.heartbeat(operation, request, std::move(reply));
    });
}

void GroupCoordinator::leave_group(const protocol::LeaveGroupRequest& request, const Caller& caller,
                                   Reply<protocol::LeaveGroupResponse> reply) {
    const KafkaError error = request.group_id.empty() ? KafkaError::invalid_group_id
                                                      : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        refuse(reply, error);
        return;
    }
    const bool has_members = caller.version >= first_leave_with_members;
    std::vector<LeavingMember> members;
    if (!has_members) {
        members.push_back({request.member_id, std::nullopt});
    }
    for (const auto& member : request.members) {
        members.push_back({member.member_id, member.group_instance_id});
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        const std::vector<KafkaError> errors = shard.leave(operation, request.group_id, members);
        auto answer = make_answer<protocol::LeaveGroupResponse>();
        if (!has_members) {
            answer->response.error_code = code_of(errors.front());
        }
        for (std::size_t i = 0; has_members && i < members.size(); ++i) {
            auto& out = answer->response.members.emplace_back();
            out.member_id = answer->own(members[i].member);
            out.group_instance_id = std::nullopt;
            if (members[i].instance) {
                out.group_instance_id = answer->own(*members[i].instance);
            }
            out.error_code = code_of(errors[i]);
        }
        send(operation, std::move(reply), std::move(answer));
    });
}

void GroupCoordinator::consumer_group_heartbeat(
    const protocol::ConsumerGroupHeartbeatRequest& request, const Caller& caller,
    Reply<protocol::ConsumerGroupHeartbeatResponse> reply) {
    if (!inside_->offers_consumer_protocol()) {
        refuse(reply, KafkaError::unsupported_version);
        return;
    }
    if (const KafkaError error = inside_->unready(request.group_id); error != KafkaError::none) {
        refuse(reply, error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.consumer().heartbeat(operation, request, caller, std::move(reply));
    });
}

void GroupCoordinator::offset_commit(const protocol::OffsetCommitRequest& request,
                                     const Caller& caller,
                                     Reply<protocol::OffsetCommitResponse> reply) {
    if (const KafkaError error = inside_->unready(request.group_id); error != KafkaError::none) {
        refuse_everywhere(reply, request, error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.offsets().commit(operation, request, caller, std::move(reply));
    });
}

void GroupCoordinator::txn_offset_commit(const protocol::TxnOffsetCommitRequest& request,
                                         const Caller& caller,
                                         Reply<protocol::TxnOffsetCommitResponse> reply) {
    const KafkaError error = request.group_id.empty() ? KafkaError::invalid_group_id
                                                      : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        refuse_everywhere(reply, request, error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.offsets().commit_in_transaction(operation, request, caller, std::move(reply));
    });
}

void GroupCoordinator::end_transaction(PartitionIndex partition, ProducerId producer,
                                       ProducerEpoch epoch, std::int32_t coordinator_epoch,
                                       coordinator::TransactionResult result,
                                       UniqueFunction<void(KafkaError)> done) {
    inside_->runtime.end_transaction(partition, producer, epoch, coordinator_epoch, result,
                                     std::move(done));
}

void GroupCoordinator::offset_fetch(const protocol::OffsetFetchRequest& request,
                                    const Caller& caller,
                                    Reply<protocol::OffsetFetchResponse> reply) {
    using Gathered = Gather<protocol::OffsetFetchResponse,
                            protocol::OffsetFetchResponse::OffsetFetchResponseGroup>;
    using Asked = protocol::OffsetFetchRequest::OffsetFetchRequestGroup;
    const bool has_groups = caller.version >= first_fetch_with_groups;
    const OffsetRequests::FetchManner manner{
        request.require_stable, caller.version >= first_fetch_with_ids,
        metadata::find_link_mark(request.unknown_tags) != nullptr};
    std::vector<Asked> asked = request.groups;
    if (!has_groups) {  // One group, at the top.
        Asked& only = asked.emplace_back();
        only.group_id = request.group_id;
        only.topics.reset();
        if (request.topics) {
            only.topics.emplace();
            for (const auto& topic : *request.topics) {
                only.topics->push_back(
                    {.name = topic.name, .partition_indexes = topic.partition_indexes});
            }
        }
    }
    const auto gather = std::make_shared<Gathered>(
        asked.size(), [](protocol::OffsetFetchResponse& to) -> auto& { return to.groups; },
        [reply = std::move(reply),
         version = caller.version](protocol::OffsetFetchResponse& response) mutable {
            shape_offset_fetch(response, version);
            reply(response);
        });
    for (std::size_t i = 0; i < asked.size(); ++i) {
        const Asked& group = asked[i];
        // What an error says depends on the version; version 1 has to name every partition.
        const auto failed = [&](KafkaError error) {
            auto answer = make_answer<OffsetRequests::FetchedGroup>();
            answer->response.group_id = answer->own(group.group_id);
            answer->response.error_code = code_of(error);
            if (caller.version < first_fetch_with_top_level_error && group.topics) {
                for (const auto& topic : *group.topics) {
                    auto& out = answer->response.topics.emplace_back();
                    out.name = answer->own(topic.name);
                    for (const std::int32_t partition : topic.partition_indexes) {
                        out.partitions.push_back({.partition_index = partition,
                                                  .committed_offset = -1,
                                                  .error_code = code_of(error)});
                    }
                }
            }
            return answer;
        };
        if (const KafkaError error = inside_->unready(group.group_id); error != KafkaError::none) {
            gather->put(i, failed(error));
            continue;
        }
        inside_->run(group.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
            auto answer = shard.offsets().fetch(group, manner);
            if (answer->response.error_code != 0) {
                answer = failed(static_cast<KafkaError>(answer->response.error_code));
            }
            // If what was read turns out not to be committed, the coordinator has changed.
            operation.then(
                [gather, i, answer = std::move(answer),
                 otherwise = failed(KafkaError::not_coordinator)](KafkaError error) mutable {
                    gather->put(i, std::move(error == KafkaError::none ? answer : otherwise));
                });
        });
    }
    gather->close();
}

void GroupCoordinator::offset_delete(const protocol::OffsetDeleteRequest& request, const Caller&,
                                     Reply<protocol::OffsetDeleteResponse> reply) {
    const KafkaError error = request.group_id.empty() ? KafkaError::invalid_group_id
                                                      : inside_->unready(request.group_id);
    if (error != KafkaError::none) {
        refuse(reply, error);
        return;
    }
    inside_->run(request.group_id, [&](GroupShard& shard, coordinator::Operation& operation) {
        shard.offsets().remove(operation, request, std::move(reply));
    });
}

void GroupCoordinator::describe_groups(const protocol::DescribeGroupsRequest& request,
                                       const Caller& caller,
                                       Reply<protocol::DescribeGroupsResponse> reply) {
    describe_each<DescribedClassic>(
        request.groups, KafkaError::none, KafkaError::none, std::move(reply),
        [](protocol::DescribeGroupsResponse& to) -> auto& { return to.groups; },
        [&](const GroupShard& shard, std::string_view group) {
            return describe_classic(shard.state(), group, caller.version);
        });
}

void GroupCoordinator::consumer_group_describe(
    const protocol::ConsumerGroupDescribeRequest& request, const Caller&,
    Reply<protocol::ConsumerGroupDescribeResponse> reply) {
    describe_each<DescribedConsumer>(
        request.group_ids,
        inside_->offers_consumer_protocol() ? KafkaError::none : KafkaError::unsupported_version,
        KafkaError::invalid_group_id, std::move(reply),
        [](protocol::ConsumerGroupDescribeResponse& to) -> auto& { return to.groups; },
        [](const GroupShard& shard, std::string_view group) {
            return describe_consumer(shard.state(), group);
        });
}

template <typename Item, typename Response, typename Items, typename Describe>
void GroupCoordinator::describe_each(const std::vector<std::string_view>& groups, KafkaError of_all,
                                     KafkaError if_unnamed, Reply<Response> reply, Items items,
                                     Describe describe) {
    const auto gather =
        std::make_shared<Gather<Response, Item>>(groups.size(), items, std::move(reply));
    for (std::size_t i = 0; i < groups.size(); ++i) {
        const auto failed = [&](KafkaError error) {
            auto answer = make_answer<Item>();
            answer->response.group_id = answer->own(groups[i]);
            answer->response.error_code = code_of(error);
            return answer;
        };
        KafkaError error = of_all;
        if (error == KafkaError::none && groups[i].empty()) {
            error = if_unnamed;
        }
        if (error == KafkaError::none) {
            error = inside_->unready(groups[i]);
        }
        if (error != KafkaError::none) {
            gather->put(i, failed(error));
            continue;
        }
        inside_->run(groups[i], [&](GroupShard& shard, coordinator::Operation& operation) {
            operation.then([gather, i, answer = describe(shard, groups[i]),
                            otherwise = failed(KafkaError::coordinator_not_available)](
                               KafkaError outcome) mutable {
                gather->put(i, std::move(outcome == KafkaError::none ? answer : otherwise));
            });
        });
    }
    gather->close();
}

void GroupCoordinator::list_groups(const protocol::ListGroupsRequest& request, const Caller&,
                                   Reply<protocol::ListGroupsResponse> reply) {
    // All or nothing: a list that lacks the groups of one partition would look complete.
    for (const coordinator::ShardStatus& shard : inside_->runtime.shards()) {
        if (const KafkaError error = inside_->runtime.status(shard.partition);
            error != KafkaError::none) {
            refuse(reply, error);
            return;
        }
    }
    struct Listing {
        Answer<protocol::ListGroupsResponse> answer;
        Reply<protocol::ListGroupsResponse> reply;
        std::size_t missing = 1;
        void arrived(KafkaError error) {
            if (error != KafkaError::none) {
                answer.response.error_code = code_of(coordinator::answer_for_log_error(error));
                answer.response.groups.clear();
            }
            if (--missing == 0) {
                reply(answer.response);
            }
        }
    };
    const auto listing = std::make_shared<Listing>();
    listing->reply = std::move(reply);
    for (const coordinator::ShardStatus& status : inside_->runtime.shards()) {
        inside_->run(status.partition, [&](GroupShard& shard, coordinator::Operation& operation) {
            list(shard.state(), request, listing->answer);
            ++listing->missing;
            operation.then([listing](KafkaError error) { listing->arrived(error); });
        });
    }
    listing->arrived(KafkaError::none);
}

void GroupCoordinator::delete_groups(const protocol::DeleteGroupsRequest& request, const Caller&,
                                     Reply<protocol::DeleteGroupsResponse> reply) {
    using Result = protocol::DeleteGroupsResponse::DeletableGroupResult;
    const auto gather = std::make_shared<Gather<protocol::DeleteGroupsResponse, Result>>(
        request.groups_names.size(),
        [](protocol::DeleteGroupsResponse& to) -> auto& { return to.results; }, std::move(reply));
    for (std::size_t i = 0; i < request.groups_names.size(); ++i) {
        const std::string_view group = request.groups_names[i];
        auto answer = make_answer<Result>();
        answer->response.group_id = answer->own(group);
        if (const KafkaError error = inside_->unready(group); error != KafkaError::none) {
            answer->response.error_code = code_of(error);
            gather->put(i, std::move(answer));
            continue;
        }
        inside_->run(group, [&](GroupShard& shard, coordinator::Operation& operation) {
            operation.allow_split();
            answer->response.error_code = code_of(shard.remove(operation, group));
            operation.then([gather, i, answer = std::move(answer)](KafkaError error) mutable {
                if (error != KafkaError::none) {
                    answer->response.error_code = code_of(coordinator::answer_for_log_error(error));
                }
                gather->put(i, std::move(answer));
            });
        });
    }
    gather->close();
}

std::optional<GroupLag> GroupCoordinator::lag(std::string_view group,
                                              const EndOffsets& ends) const {
    if (inside_->partitions == 0) {
        return std::nullopt;
    }
    const GroupShard* shard = inside_->peek(inside_->partition_of(group));
    const Group* found = shard == nullptr ? nullptr : shard->state().find(group);
    return found == nullptr ? std::nullopt : std::optional{lag_of(shard->state(), *found, ends)};
}

std::vector<GroupLag> GroupCoordinator::lags(const EndOffsets& ends) const {
    std::vector<GroupLag> out;
    for (const coordinator::ShardStatus& status : inside_->runtime.shards()) {
        if (const GroupShard* shard = inside_->peek(status.partition)) {
            for (const auto& [id, group] : shard->state().groups) {
                out.push_back(lag_of(shard->state(), *group, ends));
            }
        }
    }
    return out;
}

GroupCounts GroupCoordinator::counts() const {
    const Counters& counters = inside_->env.counters;
    GroupCounts out;
    out.classic_rebalances = counters.classic_rebalances;
    out.consumer_rebalances = counters.consumer_rebalances;
    out.commits = counters.commits;
    out.expired_offsets = counters.expired_offsets;
    out.deleted_offsets = counters.deleted_offsets;
    for (const coordinator::ShardStatus& status : inside_->runtime.shards()) {
        const GroupShard* shard = inside_->peek(status.partition);
        if (shard == nullptr) {
            continue;
        }
        out.offsets += shard->state().offsets.count();
        for (const auto& [id, group] : shard->state().groups) {
            auto& by_state =
                group->classic() != nullptr ? out.classic_by_state : out.consumer_by_state;
            ++by_state[std::string{group->state_name()}];
        }
    }
    return out;
}

}  // namespace millrace::groups
