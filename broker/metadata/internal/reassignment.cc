// AlterPartitionReassignments and ListPartitionReassignments.
#include <algorithm>
#include <fmt/format.h>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/assignment.h"
#include "metadata/internal/brokers.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/list_partition_reassignments_request.h"
#include "protocol/messages/list_partition_reassignments_response.h"

namespace millrace::metadata {
namespace {

using Target = protocol::AlterPartitionReassignmentsRequest::ReassignablePartition;

/// In order of id, as Kafka writes them.
std::vector<BrokerId> difference(const std::vector<BrokerId>& a, const std::vector<BrokerId>& b) {
    std::set<BrokerId> left(a.begin(), a.end());
    for (const BrokerId id : b) {
        left.erase(id);
    }
    return {left.begin(), left.end()};
}

MaybeRefusal cancel(Draft& draft, const Context& context, const Topic& topic,
                    const TopicIdPartition& which, const Partition& partition) {
    if (!partition.is_reassigning()) {
        return Refusal::of(KafkaError::no_reassignment_in_progress);
    }
    const Revert revert = revert_of(partition);
    const bool unclean_allowed =
        topic_rules(draft.image(), context.options, topic.name).unclean_election;
    if (revert.replicas.empty() || (revert.is_unclean && !unclean_allowed)) {
        return Refusal::make(KafkaError::invalid_replica_assignment,
                             "none of the former replicas of {}-{} is in sync: going back would "
                             "lose records",
                             topic.name, which.partition);
    }
    PartitionChange change(which, partition);
    change.isr = revert.isr;
    change.replicas = revert.replicas;
    change.removing.clear();
    change.adding.clear();
    if (unclean_allowed) {
        change.election = Election::unclean;
    }
    add_change(draft, context, change, Electorate(draft.image()));
    return std::nullopt;
}

MaybeRefusal reassign(Draft& draft, const Context& context, const Topic& topic,
                      const TopicIdPartition& which, const Partition& partition,
                      const std::vector<std::int32_t>& target, bool may_change_factor) {
    if (MaybeRefusal refusal = check_named_replicas(draft.image(), target, std::nullopt,
                                                    partition.replicas.to_vector())) {
        return refusal;
    }
    if (!may_change_factor && settled_replicas(partition) != target.size()) {
        return Refusal::make(KafkaError::invalid_replication_factor,
                             "the partition has {} replicas, the target {}",
                             settled_replicas(partition), target.size());
    }
    const std::vector<BrokerId> wanted = broker_ids(target);
    const std::vector<BrokerId> original =
        difference(partition.replicas.to_vector(), partition.adding.to_vector());
    // What an unfinished reassignment was adding, and this one doesn't want, leaves at once, so
    // that a later cancel leads back to the original replicas; unless the ISR can't do without it.
    const std::vector<BrokerId> dropped = difference(partition.adding.to_vector(), wanted);
    std::vector<BrokerId> isr = partition.isr.to_vector();
    std::erase_if(isr, [&](BrokerId id) {
        return std::find(dropped.begin(), dropped.end(), id) != dropped.end();
    });
    const TopicRules rules = topic_rules(draft.image(), context.options, topic.name);
    const bool may_drop = isr.size() >= std::min(rules.min_isr, partition.replicas.size());
    PartitionChange change(which, partition);
    if (may_drop) {
        change.isr = std::move(isr);
    }
    change.removing = difference(may_drop ? original : partition.replicas.to_vector(), wanted);
    change.adding = difference(wanted, original);
    change.replicas = wanted;
    change.replicas.insert(change.replicas.end(), change.removing.begin(), change.removing.end());
    add_change(draft, context, change, Electorate(draft.image()));
    return std::nullopt;
}

MaybeRefusal alter(Draft& draft, const Context& context, std::string_view topic_name,
                   const Target& target, bool may_change_factor) {
    const Topic* topic = draft.image().topics.find(topic_name);
    if (topic == nullptr) {
        return Refusal::make(KafkaError::unknown_topic_or_partition, "there is no topic '{}'",
                             topic_name);
    }
    const TopicIdPartition which{topic->id, PartitionIndex{target.partition_index}};
    const Partition* partition = topic->partition(which.partition);
    if (partition == nullptr) {
        return Refusal::make(KafkaError::unknown_topic_or_partition, "there is no partition {}-{}",
                             topic_name, target.partition_index);
    }
    return target.replicas ? reassign(draft, context, *topic, which, *partition, *target.replicas,
                                      may_change_factor)
                           : cancel(draft, context, *topic, which, *partition);
}

}  // namespace

Decision<protocol::AlterPartitionReassignmentsResponse> alter_partition_reassignments(
    Context& context, const protocol::AlterPartitionReassignmentsRequest& request) {
    Decision<protocol::AlterPartitionReassignmentsResponse> decision(context);
    decision.answer.allow_replication_factor_change = request.allow_replication_factor_change;
    decision.answer.error_message = std::nullopt;
    for (const auto& asked : request.topics) {
        auto& answered = decision.answer.responses.emplace_back();
        answered.name = decision.texts.keep(std::string(asked.name));
        for (const Target& target : asked.partitions) {
            const MaybeRefusal refusal = alter(decision.draft, context, asked.name, target,
                                               request.allow_replication_factor_change);
            auto& outcome = answered.partitions.emplace_back();
            outcome.partition_index = target.partition_index;
            set_outcome(outcome, refusal, decision.texts);
        }
    }
    if (decision.draft.records().size() > context.options.max_records_per_operation) {
        decision = Decision<protocol::AlterPartitionReassignmentsResponse>(context);
        set_outcome(decision.answer, too_many_records(context.options), decision.texts);
    }
    return decision;
}

Decision<protocol::ListPartitionReassignmentsResponse> list_partition_reassignments(
    Context& context, const protocol::ListPartitionReassignmentsRequest& request) {
    Decision<protocol::ListPartitionReassignmentsResponse> decision(context);
    decision.answer.error_message = std::nullopt;
    const auto list = [&](const Topic& topic, const std::vector<std::int32_t>& indexes) {
        protocol::ListPartitionReassignmentsResponse::OngoingTopicReassignment ongoing;
        for (const std::int32_t index : indexes) {
            const Partition* partition = topic.partition(PartitionIndex{index});
            if (partition != nullptr && partition->is_reassigning()) {
                auto& entry = ongoing.partitions.emplace_back();
                entry.partition_index = index;
                entry.replicas = raw_ids(partition->replicas);
                entry.adding_replicas = raw_ids(partition->adding);
                entry.removing_replicas = raw_ids(partition->removing);
            }
        }
        if (!ongoing.partitions.empty()) {
            ongoing.name = decision.texts.keep(topic.name);
            decision.answer.topics.push_back(std::move(ongoing));
        }
    };
    if (request.topics) {
        for (const auto& asked : *request.topics) {
            if (const Topic* topic = context.image.topics.find(asked.name)) {
                list(*topic, asked.partition_indexes);
            }
        }
        return decision;
    }
    std::map<Uuid, std::vector<std::int32_t>> by_topic;
    for (const auto& [which, nothing] : context.index.reassigning()) {
        by_topic[which.topic_id].push_back(which.partition.value);
    }
    for (const auto& [id, indexes] : by_topic) {
        list(*context.image.topics.find(id), indexes);
    }
    return decision;
}

}  // namespace millrace::metadata
