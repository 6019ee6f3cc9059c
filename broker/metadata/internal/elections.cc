// ElectLeaders, and the elections that the controller holds on its own.
#include <algorithm>

#include "metadata/controller_core.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "metadata/standing.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"

namespace millrace::metadata {
namespace {

constexpr std::int8_t preferred_election = 0;
constexpr std::int8_t unclean_election = 1;
constexpr std::size_t elections_per_round = 1'000;

MaybeRefusal elect(Draft& draft, const Context& context, const TopicIdPartition& which,
                   Election election) {
    const Partition* partition = draft.image().topics.partition(which);
    if (partition == nullptr) {
        return Refusal::of(KafkaError::unknown_topic_or_partition);
    }
    if (election == Election::preferred ? partition->has_preferred_leader()
                                        : partition->leader != no_broker) {
        return Refusal::of(KafkaError::election_not_needed);
    }
    const BrokerId leader_before = partition->leader;
    PartitionChange change(which, *partition);
    change.election = election;
    const bool changed = add_change(draft, context, change, Electorate(draft.image()));
    if (!changed || draft.image().topics.partition(which)->leader == leader_before) {
        return Refusal::of(election == Election::preferred
                               ? KafkaError::preferred_leader_not_available
                               : KafkaError::eligible_leaders_not_available);
    }
    return std::nullopt;
}

using ElectionResult = protocol::ElectLeadersResponse::ReplicaElectionResult;

void note(Decision<protocol::ElectLeadersResponse>& decision, ElectionResult& result,
          std::int32_t partition, const MaybeRefusal& refusal) {
    auto& outcome = result.partition_result.emplace_back();
    outcome.partition_id = partition;
    set_outcome(outcome, refusal, decision.texts);
}

/// Every partition; those that need no election are not mentioned.
void elect_all(Decision<protocol::ElectLeadersResponse>& decision, const Context& context,
               Election election) {
    for (const auto& [name, id] : context.image.topics.by_name()) {
        ElectionResult result;
        result.topic = decision.texts.keep(name);
        for (const auto& [index, partition] : context.image.topics.find(id)->partitions) {
            const MaybeRefusal refusal = elect(decision.draft, context, {id, index}, election);
            if (!refusal || refusal->code != KafkaError::election_not_needed) {
                note(decision, result, index.value, refusal);
            }
        }
        decision.answer.replica_election_results.push_back(std::move(result));
    }
}

}  // namespace

Decision<protocol::ElectLeadersResponse> elect_leaders(
    Context& context, const protocol::ElectLeadersRequest& request) {
    Decision<protocol::ElectLeadersResponse> decision(context);
    decision.atomic = false;
    if (request.election_type != preferred_election && request.election_type != unclean_election) {
        decision.answer.error_code = code_of(KafkaError::invalid_request);
        return decision;
    }
    const Election election =
        request.election_type == preferred_election ? Election::preferred : Election::unclean;
    if (!request.topic_partitions) {
        elect_all(decision, context, election);
        return decision;
    }
    for (const auto& asked : *request.topic_partitions) {
        auto& result = decision.answer.replica_election_results.emplace_back();
        result.topic = decision.texts.keep(std::string(asked.topic));
        const Topic* topic = context.image.topics.find(asked.topic);
        for (const std::int32_t partition : asked.partitions) {
            note(decision, result, partition,
                 topic != nullptr ? elect(decision.draft, context,
                                          {topic->id, PartitionIndex{partition}}, election)
                                  : Refusal::of(KafkaError::unknown_topic_or_partition));
        }
    }
    return decision;
}

Decision<NoAnswer> balance_leaders(Context& context) {
    Decision<NoAnswer> decision(context);
    decision.atomic = false;
    const Electorate electorate(decision.draft.image());
    for (const auto& [which, nothing] : context.index.imbalanced()) {
        if (decision.draft.records().size() >= elections_per_round) {
            break;
        }
        const Partition& partition = *decision.draft.image().topics.partition(which);
        // Only a preferred replica that can lead is worth an election.
        const BrokerId preferred = partition.replicas[0];
        if (partition.isr.contains(preferred) && electorate.can_lead(partition, preferred) &&
            !electorate.is_drained(preferred)) {
            PartitionChange change(which, partition);
            change.election = Election::preferred;
            add_change(decision.draft, context, change, electorate);
        }
    }
    return decision;
}

Decision<NoAnswer> drain_leaders(Context& context) {
    Decision<NoAnswer> decision(context);
    decision.atomic = false;
    const Electorate electorate(decision.draft.image());
    for (const BrokerId broker : drained_brokers(context.image)) {
        for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
            if (decision.draft.records().size() >= elections_per_round) {
                return decision;
            }
            const Partition& partition = *decision.draft.image().topics.partition(which);
            if (partition.leader == broker) {
                add_change(decision.draft, context, PartitionChange(which, partition), electorate);
            }
        }
    }
    return decision;
}

Decision<NoAnswer> elect_unclean_where_allowed(Context& context) {
    Decision<NoAnswer> decision(context);
    decision.atomic = false;
    for (const auto& [which, nothing] : context.index.leaderless()) {
        if (decision.draft.records().size() >= elections_per_round) {
            break;
        }
        const Topic& topic = *decision.draft.image().topics.find(which.topic_id);
        if (topic_rules(context.image, context.options, topic.name).unclean_election) {
            // Nobody there who could lead is no error here: the next round asks again.
            (void)elect(decision.draft, context, which, Election::unclean);
        }
    }
    return decision;
}

}  // namespace millrace::metadata
