#include "groups/internal/offset_requests.h"

#include <algorithm>
#include <span>

#include "groups/internal/records.h"
#include "metadata/link_mark.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/txn_offset_commit_request.h"
#include "protocol/messages/txn_offset_commit_response.h"

namespace millrace::groups {

namespace {

using coordinator::Operation;

// Where errors of the consumer protocol may be said aloud.
constexpr std::int16_t first_commit_for_consumer_protocol = 9;
constexpr std::int16_t first_commit_with_ids = 10;
constexpr std::int16_t first_txn_commit_for_consumer_protocol = 6;
constexpr std::int16_t first_txn_commit_with_ids = 6;

/// A topic of a request, by name or (in newer versions) by id.
struct NamedTopic {
    std::optional<TopicInfo> known;
    Uuid id;
    KafkaError unknown;  ///< What to answer if there is no such topic.
};

template <typename Topic>
NamedTopic resolve(const Topic& topic, const TopicsView& topics, bool by_id) {
    if (by_id) {
        return {topics.find(topic.topic_id), topic.topic_id, KafkaError::unknown_topic_id};
    }
    return {topics.find(topic.name), topic.topic_id, KafkaError::unknown_topic_or_partition};
}

bool has_partition(const TopicInfo& topic, std::int32_t index) {
    return index >= 0 && index < topic.partitions;
}

/// What to answer for a partition that does not exist; none if it does.
KafkaError unknown_of(const NamedTopic& topic, std::int32_t partition) {
    if (!topic.known) {
        return topic.unknown;
    }
    return has_partition(*topic.known, partition) ? KafkaError::none
                                                  : KafkaError::unknown_topic_or_partition;
}

/// Whether there is one partition for which the group has to be asked at all.
template <typename Request>
bool names_a_known_partition(const Request& request, const TopicsView& topics, bool by_id) {
    return std::any_of(request.topics.begin(), request.topics.end(), [&](const auto& asked) {
        const NamedTopic topic = resolve(asked, topics, by_id);
        return std::any_of(
            asked.partitions.begin(), asked.partitions.end(), [&](const auto& partition) {
                return unknown_of(topic, partition.partition_index) == KafkaError::none;
            });
    });
}

template <typename Partition>
CommittedOffset offset_of(const Partition& partition, const Uuid& topic, Timestamp now) {
    CommittedOffset out;
    out.offset = Offset{partition.committed_offset};
    out.leader_epoch = LeaderEpoch{partition.committed_leader_epoch};
    out.metadata = std::string{partition.committed_metadata.value_or("")};
    out.committed_at = now;
    out.topic_id = topic;
    return out;
}

/// The response with one error everywhere, as these APIs have no other place for it.
template <typename Response, typename Request>
void fill_with(Response& response, protocol::Arena& arena, const Request& request,
               KafkaError error) {
    response.topics.clear();
    for (const auto& topic : request.topics) {
        auto& out = response.topics.emplace_back();
        out.name = arena.copy(topic.name);
        out.topic_id = topic.topic_id;
        for (const auto& partition : topic.partitions) {
            out.partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = code_of(error)});
        }
    }
}

/// What does not exist is said whoever asks, a stranger to the group too.
template <typename Response, typename Request>
void mark_unknown(Response& response, const Request& request, const TopicsView& topics,
                  bool by_id) {
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const NamedTopic topic = resolve(request.topics[t], topics, by_id);
        for (auto& partition : response.topics[t].partitions) {
            if (const KafkaError unknown = unknown_of(topic, partition.partition_index);
                unknown != KafkaError::none) {
                partition.error_code = code_of(unknown);
            }
        }
    }
}

template <typename Response>
void send_everywhere(Operation& operation, Reply<Response> reply, AnswerPtr<Response> answer) {
    operation.then(
        [reply = std::move(reply), answer = std::move(answer)](KafkaError error) mutable {
            if (error != KafkaError::none) {
                for (auto& topic : answer->response.topics) {
                    for (auto& partition : topic.partitions) {
                        partition.error_code = code_of(coordinator::answer_for_log_error(error));
                    }
                }
            }
            reply(answer->response);
        });
}

}  // namespace

KafkaError OffsetRequests::may_commit_classic(const ClassicGroup& group, std::string_view member,
                                              const std::optional<std::string_view>& instance,
                                              std::int32_t generation, bool in_transaction) const {
    // An administrator, or a consumer that doesn't use the group's management.
    if (generation < 0 && group.is(ClassicState::empty)) {
        return KafkaError::none;
    }
    if (generation >= 0 || !member.empty() || instance) {
        if (const KafkaError error = group.check_member(member, instance);
            error != KafkaError::none) {
            return error;
        }
        if (generation != group.generation()) {
            return KafkaError::illegal_generation;
        }
    } else if (!in_transaction) {
        return KafkaError::unknown_member_id;
    }
    return !in_transaction && group.is(ClassicState::completing_rebalance)
               ? KafkaError::rebalance_in_progress
               : KafkaError::none;
}

OffsetRequests::Permission OffsetRequests::may_commit_consumer(
    const ConsumerGroup& group, std::string_view id,
    const std::optional<std::string_view>& instance, std::int32_t epoch, bool in_transaction,
    std::int16_t version) const {
    if (epoch < 0 && group.empty()) {
        return {};
    }
    if (in_transaction && epoch == -1 && id.empty() && !instance) {
        return {};  // Old transactional clients say nothing of a group.
    }
    const MemberPtr member = group.find(id);
    if (member == nullptr) {
        return {.error = KafkaError::unknown_member_id};
    }
    if (!in_transaction && !member->classic && version < first_commit_for_consumer_protocol) {
        return {.error = KafkaError::unsupported_version};
    }
    const bool may_say_stale =
        !member->classic && (!in_transaction || version >= first_txn_commit_for_consumer_protocol);
    const KafkaError stale =
        may_say_stale ? KafkaError::stale_member_epoch : KafkaError::illegal_generation;
    if (epoch > member->epoch) {
        return {.error = stale};
    }
    if (epoch == member->epoch) {
        return {};
    }
    // Behind, but what it already held then it may still commit.
    return {.behind = member.get(), .epoch = epoch, .stale = stale};
}

OffsetRequests::Permission OffsetRequests::may_commit(
    std::string_view group_id, std::string_view member,
    const std::optional<std::string_view>& instance, std::int32_t epoch, bool in_transaction,
    std::int16_t version) const {
    const Group* group = std::as_const(state_).find(group_id);
    if (group == nullptr) {
        if (epoch < 0) {
            return {};
        }
        const std::int16_t first = in_transaction ? first_txn_commit_for_consumer_protocol
                                                  : first_commit_for_consumer_protocol;
        return {.error = version >= first ? KafkaError::group_id_not_found
                                          : KafkaError::illegal_generation};
    }
    if (const ConsumerGroup* consumer = group->consumer()) {
        return may_commit_consumer(*consumer, member, instance, epoch, in_transaction, version);
    }
    return {.error =
                may_commit_classic(*group->classic(), member, instance, epoch, in_transaction)};
}

KafkaError OffsetRequests::check_partition(const Permission& permission, const Uuid& topic,
                                           std::int32_t partition) {
    if (permission.behind == nullptr) {
        return KafkaError::none;
    }
    for (const EpochSet* held : {&permission.behind->assigned, &permission.behind->revoking}) {
        if (const auto at_topic = held->find(topic); at_topic != held->end()) {
            const auto found = at_topic->second.find(partition);
            if (found != at_topic->second.end() && permission.epoch >= found->second) {
                return KafkaError::none;
            }
        }
    }
    return permission.stale;
}

template <typename Request>
KafkaError OffsetRequests::check_all(const Permission& permission, const Request& request) const {
    KafkaError error = permission.error;
    for (const auto& topic : request.topics) {
        const auto known = state_.env.topics->find(topic.name);
        const Uuid id = topic.topic_id.is_zero() && known ? known->id : topic.topic_id;
        for (const auto& partition : topic.partitions) {
            if (error == KafkaError::none) {
                error = check_partition(permission, id, partition.partition_index);
            }
        }
    }
    return error;
}

template <typename Request, typename Response>
void OffsetRequests::append_all(Operation& operation, const Request& request, Response& response,
                                bool by_id, std::optional<Timestamp> expires_at) {
    const auto max_metadata = static_cast<std::size_t>(state_.env.settings.offset_metadata_max);
    for (std::size_t t = 0; t < request.topics.size(); ++t) {
        const NamedTopic topic = resolve(request.topics[t], *state_.env.topics, by_id);
        for (std::size_t p = 0; p < request.topics[t].partitions.size(); ++p) {
            const auto& partition = request.topics[t].partitions[p];
            std::int16_t& error = response.topics[t].partitions[p].error_code;
            if (const KafkaError unknown = unknown_of(topic, partition.partition_index);
                unknown != KafkaError::none) {
                error = code_of(unknown);
            } else if (partition.committed_metadata.value_or("").size() > max_metadata) {
                error = code_of(KafkaError::offset_metadata_too_large);
            } else {
                CommittedOffset offset = offset_of(partition, topic.id, operation.now().wall);
                offset.expires_at = expires_at;
                operation.append(records::offset_commit(request.group_id, topic.known->name,
                                                        partition.partition_index, offset));
                ++state_.env.counters.commits;
            }
        }
    }
}

void OffsetRequests::commit(Operation& operation, const protocol::OffsetCommitRequest& request,
                            const Caller& caller, Reply<protocol::OffsetCommitResponse> reply) {
    auto answer = make_answer<protocol::OffsetCommitResponse>();
    const bool by_id = caller.version >= first_commit_with_ids;
    const bool asks_group = names_a_known_partition(request, *state_.env.topics, by_id);
    const KafkaError error =
        asks_group
            ? check_all(may_commit(request.group_id, request.member_id, request.group_instance_id,
                                   request.generation_id_or_member_epoch, false, caller.version),
                        request)
            : KafkaError::none;
    fill_with(answer->response, answer->arena, request, error);
    mark_unknown(answer->response, request, *state_.env.topics, by_id);
    if (asks_group && error == KafkaError::none) {
        if (const ClassicGroup* classic = state_.find_classic(request.group_id);
            classic != nullptr &&
            (classic->is(ClassicState::stable) || classic->is(ClassicState::preparing_rebalance))) {
            classic_.touch(operation, *classic, request.member_id);
        }
        append_all(operation, request, answer->response, by_id,
                   request.retention_time_ms == -1
                       ? std::nullopt
                       : std::optional{Timestamp{operation.now().wall.milliseconds +
                                                 request.retention_time_ms}});
    }
    send_everywhere(operation, std::move(reply), std::move(answer));
}

void OffsetRequests::commit_in_transaction(Operation& operation,
                                           const protocol::TxnOffsetCommitRequest& request,
                                           const Caller& caller,
                                           Reply<protocol::TxnOffsetCommitResponse> reply) {
    auto answer = make_answer<protocol::TxnOffsetCommitResponse>();
    const KafkaError error =
        check_all(may_commit(request.group_id, request.member_id, request.group_instance_id,
                             request.generation_id_or_member_epoch, true, caller.version),
                  request);
    fill_with(answer->response, answer->arena, request, error);
    if (error == KafkaError::none) {
        operation.in_transaction(ProducerId{request.producer_id},
                                 ProducerEpoch{request.producer_epoch});
        append_all(operation, request, answer->response,
                   caller.version >= first_txn_commit_with_ids, std::nullopt);
    }
    send_everywhere(operation, std::move(reply), std::move(answer));
}

KafkaError OffsetRequests::may_fetch(const FetchGroup& request) const {
    const Group* group = std::as_const(state_).find(request.group_id);
    const ConsumerGroup* consumer = group == nullptr ? nullptr : group->consumer();
    if (consumer == nullptr || (!request.member_id && request.member_epoch < 0)) {
        return KafkaError::none;
    }
    const MemberPtr member = consumer->find(request.member_id.value_or(""));
    if (member == nullptr) {
        return KafkaError::unknown_member_id;
    }
    if (request.member_epoch == member->epoch) {
        return KafkaError::none;
    }
    return member->classic ? KafkaError::illegal_generation : KafkaError::stale_member_epoch;
}

AnswerPtr<OffsetRequests::FetchedGroup> OffsetRequests::fetch(const FetchGroup& request,
                                                              const FetchManner& manner) const {
    auto answer = make_answer<FetchedGroup>();
    answer->response.group_id = answer->own(request.group_id);
    if (const KafkaError error = may_fetch(request); error != KafkaError::none) {
        answer->response.error_code = code_of(error);
        return answer;
    }
    const auto add = [&](auto& to, std::string_view topic, std::int32_t partition,
                         const CommittedOffset* offset) {
        auto& out = to.partitions.emplace_back();
        out.partition_index = partition;
        out.committed_offset = -1;
        if (manner.require_stable &&
            state_.offsets.has_pending(request.group_id, topic, partition)) {
            out.error_code = code_of(KafkaError::unstable_offset_commit);
        } else if (offset != nullptr) {
            out.committed_offset = offset->offset.value;
            out.committed_leader_epoch = offset->leader_epoch.value;
            out.metadata = answer->own(std::string_view{offset->metadata});
            if (manner.tells_times) {
                const auto mark = metadata::CommitMark{offset->committed_at}.encode();
                const std::string_view kept =
                    answer->own(std::string_view{mark.data(), mark.size()});
                out.unknown_tags.push_back(
                    {.tag = metadata::link_tag, .data = std::as_bytes(std::span(kept))});
            }
        }
    };
    if (!request.topics) {
        if (const OffsetStore::Topics* all = state_.offsets.of_group(request.group_id)) {
            for (const auto& [topic, partitions] : *all) {
                auto& out = answer->response.topics.emplace_back();
                out.name = answer->own(std::string_view{topic});
                if (const auto known = state_.env.topics->find(topic)) {
                    out.topic_id = known->id;
                }
                for (const auto& [partition, offset] : partitions) {
                    add(out, topic, partition, &offset);
                }
            }
        }
        return answer;
    }
    const auto is_known = [&](const auto& topic) {
        return !manner.by_id || state_.env.topics->find(topic.topic_id).has_value();
    };
    using Asked = std::remove_cvref_t<decltype(request.topics->front())>;
    std::vector<const Asked*> asked;  // Topics that don't exist come last, as in Kafka's answer.
    for (const bool known : {true, false}) {
        for (const Asked& topic : *request.topics) {
            if (is_known(topic) == known) {
                asked.push_back(&topic);
            }
        }
    }
    for (const Asked* one : asked) {
        const Asked& topic = *one;
        auto& out = answer->response.topics.emplace_back();
        const bool is_unknown = !is_known(topic);
        std::string_view name = topic.name;
        if (manner.by_id) {
            name = is_unknown ? "" : state_.env.topics->find(topic.topic_id)->name;
        }
        out.name = answer->own(name);
        out.topic_id = topic.topic_id;
        for (const std::int32_t partition : topic.partition_indexes) {
            const CommittedOffset* offset = state_.offsets.find(request.group_id, name, partition);
            if (offset != nullptr && offset->is_of_other_topic(topic.topic_id)) {
                offset = nullptr;
            }
            add(out, name, partition, offset);
            if (is_unknown) {
                out.partitions.back().error_code = code_of(KafkaError::unknown_topic_id);
            }
        }
    }
    return answer;
}

void OffsetRequests::remove(Operation& operation, const protocol::OffsetDeleteRequest& request,
                            Reply<protocol::OffsetDeleteResponse> reply) {
    const Group* group = state_.find(request.group_id);
    if (group == nullptr) {
        send_error(operation, std::move(reply), KafkaError::group_id_not_found);
        return;
    }
    const ClassicGroup* classic = group->classic();
    if (classic != nullptr && !classic->is(ClassicState::empty) &&
        !classic->uses_consumer_protocol()) {
        send_error(operation, std::move(reply), KafkaError::non_empty_group);
        return;
    }
    auto answer = make_answer<protocol::OffsetDeleteResponse>();
    for (const auto& topic : request.topics) {
        auto& out = answer->response.topics.emplace_back();
        out.name = answer->own(topic.name);
        const bool is_subscribed = group->is_subscribed_to(topic.name);
        const auto known = state_.env.topics->find(topic.name);
        for (const auto& partition : topic.partitions) {
            const KafkaError error = !known || !has_partition(*known, partition.partition_index)
                                         ? KafkaError::unknown_topic_or_partition
                                     : is_subscribed ? KafkaError::group_subscribed_to_topic
                                                     : KafkaError::none;
            out.partitions.push_back(
                {.partition_index = partition.partition_index, .error_code = code_of(error)});
            if (error == KafkaError::none) {
                tombstone(operation, request.group_id, topic.name, partition.partition_index);
            }
        }
    }
    send(operation, std::move(reply), std::move(answer));
}

void OffsetRequests::tombstone(Operation& operation, std::string_view group, std::string_view topic,
                               std::int32_t partition) {
    if (state_.offsets.find(group, topic, partition) != nullptr ||
        state_.offsets.has_pending(group, topic, partition)) {
        operation.append(records::offset_tombstone(group, topic, partition));
        ++state_.env.counters.deleted_offsets;
    }
}

std::size_t OffsetRequests::remove_all(Operation& operation, std::string_view group) {
    std::vector<TopicPartition> partitions = state_.offsets.pending_of(group);
    if (const OffsetStore::Topics* topics = state_.offsets.of_group(group)) {
        for (const auto& [topic, offsets] : *topics) {
            for (const auto& [partition, offset] : offsets) {
                partitions.push_back({topic, PartitionIndex{partition}});
            }
        }
    }
    for (const TopicPartition& partition : partitions) {
        tombstone(operation, group, partition.topic, partition.partition.value);
    }
    return partitions.size();
}

void OffsetRequests::remove_topics(Operation& operation, const std::vector<DeletedTopic>& topics) {
    struct Found {
        std::string group;
        std::string topic;
        std::int32_t partition;
    };
    std::vector<Found> found;
    const auto look = [&](const StringMap<OffsetStore::Topics>& groups) {
        for (const auto& [group, by_topic] : groups) {
            for (const DeletedTopic& deleted : topics) {
                const auto at_topic = by_topic.find(deleted.name);
                if (at_topic == by_topic.end()) {
                    continue;
                }
                for (const auto& [partition, offset] : at_topic->second) {
                    if (!offset.is_of_other_topic(deleted.id)) {
                        found.push_back({group, deleted.name, partition});
                    }
                }
            }
        }
    };
    look(state_.offsets.all());
    for (const auto& [producer, groups] : state_.offsets.pending()) {
        look(groups);
    }
    for (const Found& offset : found) {
        tombstone(operation, offset.group, offset.topic, offset.partition);
    }
}

bool OffsetRequests::expire(Operation& operation, std::string_view group_id) {
    const OffsetStore::Topics* topics = state_.offsets.of_group(group_id);
    const bool has_pending = state_.offsets.has_pending(group_id);
    const Group* group = state_.find(group_id);
    if (topics == nullptr || group == nullptr) {
        return !has_pending;
    }
    const ClassicGroup* classic = group->classic();
    // While members of a group are on the move nothing is forgotten; nor are offsets of topics that
    // somebody subscribes to. A group that became empty keeps everything for the retention time.
    const bool counts_from_empty =
        classic != nullptr && classic->protocol_type() && classic->is(ClassicState::empty);
    if (classic != nullptr && classic->protocol_type() && !counts_from_empty &&
        !(classic->uses_consumer_protocol() && classic->topics() &&
          classic->is(ClassicState::stable))) {
        return false;
    }
    const Timestamp now = operation.now().wall;
    const auto is_expired = [&](const CommittedOffset& offset) {
        if (offset.expires_at) {
            return now >= *offset.expires_at;
        }
        const Timestamp from = counts_from_empty ? classic->since() : offset.committed_at;
        return now - from >= state_.env.settings.offsets_retention;
    };
    std::vector<TopicPartition> expired;
    bool is_all = !has_pending;
    for (const auto& [topic, offsets] : *topics) {
        const bool is_subscribed = group->is_subscribed_to(topic);
        for (const auto& [partition, offset] : offsets) {
            if (!is_subscribed && is_expired(offset) &&
                !state_.offsets.has_pending(group_id, topic, partition)) {
                expired.push_back({topic, PartitionIndex{partition}});
            } else {
                is_all = false;
            }
        }
    }
    for (const TopicPartition& partition : expired) {
        operation.append(
            records::offset_tombstone(group_id, partition.topic, partition.partition.value));
        ++state_.env.counters.expired_offsets;
    }
    return is_all;
}

}  // namespace millrace::groups
