// AlterPartition: a leader proposes who is in sync.
#include <algorithm>

#include "base/mutants.h"
#include "metadata/controller_core.h"
#include "metadata/internal/brokers.h"
#include "metadata/internal/partition_updates.h"
#include "metadata/internal/refusal.h"
#include "metadata/internal/registration_records.h"
#include "metadata/link_mark.h"
#include "protocol/messages/alter_partition_request.h"
#include "protocol/messages/alter_partition_response.h"

namespace millrace::metadata {
namespace {

using Proposal = protocol::AlterPartitionRequest::PartitionData;
using Member = protocol::AlterPartitionRequest::BrokerState;
using Outcome = protocol::AlterPartitionResponse::PartitionData;

/// Version 2 names members without the broker epoch that proves which incarnation was caught up.
std::vector<Member> members_of(const Proposal& proposal) {
    if (!proposal.new_isr_with_epochs.empty()) {
        return proposal.new_isr_with_epochs;
    }
    std::vector<Member> members;
    for (const std::int32_t id : proposal.new_isr) {
        members.emplace_back().broker_id = id;
    }
    return members;
}

/// May this incarnation be in an ISR? A broker that is fenced or leaving would be dropped at once,
/// and one that restarted since its fetch may have lost what it was caught up with (cases 19, 20).
bool is_eligible(const Image& image, const Member& member) {
    const Broker* broker = image.cluster.broker(BrokerId{member.broker_id});
    return broker != nullptr && broker->is_active() &&
           (member.broker_epoch == -1 || member.broker_epoch == broker->epoch.value);
}

KafkaError check_epochs(const Partition& partition, BrokerId leader, const Proposal& proposal) {
    // Newer than what we know: the leader has heard from a controller that has overtaken us.
    if (proposal.leader_epoch > partition.leader_epoch.value ||
        proposal.partition_epoch > partition.epoch.value) {
        return KafkaError::not_controller;
    }
    if (proposal.leader_epoch < partition.leader_epoch.value) {
        return KafkaError::fenced_leader_epoch;
    }
    if (leader != partition.leader) {
        return KafkaError::invalid_request;
    }
    if (proposal.partition_epoch < partition.epoch.value && !MR_PLANTED(proposals_on_any_epoch)) {
        return KafkaError::invalid_update_version;
    }
    return KafkaError::none;
}

KafkaError check_members(const Image& image, const Partition& partition, const Proposal& proposal,
                         const std::vector<Member>& members) {
    std::vector<BrokerId> isr;
    for (const Member& member : members) {
        const BrokerId id{member.broker_id};
        if (!partition.replicas.contains(id) ||
            std::find(isr.begin(), isr.end(), id) != isr.end()) {
            return KafkaError::invalid_request;
        }
        isr.push_back(id);
    }
    if (std::find(isr.begin(), isr.end(), partition.leader) == isr.end()) {
        return KafkaError::invalid_request;
    }
    const bool recovering =
        proposal.leader_recovery_state == static_cast<std::int8_t>(LeaderRecovery::recovering);
    if (proposal.leader_recovery_state < 0 || proposal.leader_recovery_state > 1 ||
        (recovering && isr.size() > 1) ||
        (recovering && partition.recovery == LeaderRecovery::recovered)) {
        return KafkaError::invalid_request;
    }
    const bool all_eligible =
        std::all_of(members.begin(), members.end(),
                    [&](const Member& member) { return is_eligible(image, member); });
    return all_eligible || MR_PLANTED(members_of_any_life) ? KafkaError::none
                                                           : KafkaError::ineligible_replica;
}

Outcome refused(const Proposal& proposal, KafkaError error) {
    Outcome outcome;
    outcome.partition_index = proposal.partition_index;
    outcome.error_code = code_of(error);
    return outcome;
}

Outcome accepted(const Proposal& proposal, const Partition& after) {
    Outcome outcome = refused(proposal, KafkaError::none);
    outcome.leader_id = after.leader.value;
    outcome.leader_epoch = after.leader_epoch.value;
    outcome.isr = raw_ids(after.isr);
    outcome.leader_recovery_state = static_cast<std::int8_t>(after.recovery);
    outcome.partition_epoch = after.epoch.value;
    return outcome;
}

/// A change record only ever adds one to the epoch, so this is the whole partition again.
Outcome raise_epoch(Draft& draft, BrokerId leader, const Topic& topic, const Proposal& proposal,
                    LeaderEpoch to, const std::vector<Member>& members) {
    const TopicIdPartition which{topic.id, PartitionIndex{proposal.partition_index}};
    const Partition& before = *topic.partition(which.partition);
    const std::string* link =
        draft.image().configs.find({ConfigResourceType::topic, topic.name}, "millrace.mirror.link");
    const bool same_isr = std::all_of(members.begin(), members.end(),
                                      [&](const Member& member) {
                                          return before.isr.contains(BrokerId{member.broker_id});
                                      }) &&
                          members.size() == before.isr.size();
    if (link == nullptr || before.leader != leader || !same_isr) {
        return refused(proposal, KafkaError::invalid_request);
    }
    if (to > before.leader_epoch) {
        Partition raised = before;
        raised.leader_epoch = to;
        ++raised.epoch;
        const MetadataVersion version = draft.image().metadata_version();
        draft.add(partition_record(which, raised, version), version.partition_record());
    }
    return accepted(proposal, *draft.image().topics.partition(which));
}

Outcome alter(Draft& draft, const Context& context, BrokerId leader, const Topic& topic,
              const Proposal& proposal) {
    const TopicIdPartition which{topic.id, PartitionIndex{proposal.partition_index}};
    const Partition* partition = topic.partition(which.partition);
    if (partition == nullptr) {
        return refused(proposal, KafkaError::unknown_topic_or_partition);
    }
    const std::vector<Member> members = members_of(proposal);
    KafkaError error = check_epochs(*partition, leader, proposal);
    if (error == KafkaError::none) {
        error = check_members(draft.image(), *partition, proposal, members);
    }
    if (error != KafkaError::none) {
        return refused(proposal, error);
    }
    if (const auto raised = epoch_asked_for(proposal.unknown_tags)) {
        return raise_epoch(draft, leader, topic, proposal, *raised, members);
    }
    PartitionChange change(which, *partition);
    change.isr.clear();
    for (const Member& member : members) {
        change.isr.emplace_back(member.broker_id);
    }
    // Who proposes what is there wants an earlier proposal, which may be under way still, to fail.
    change.moves_epoch = true;
    change.recovery = static_cast<LeaderRecovery>(proposal.leader_recovery_state);
    if (topic_rules(draft.image(), context.options, topic.name).unclean_election) {
        change.election = Election::unclean;
    }
    add_change(draft, context, change, Electorate(draft.image()));

    const Partition& after = *draft.image().topics.partition(which);
    if (after.leader != leader) {
        return refused(proposal, KafkaError::new_leader_elected);
    }
    return accepted(proposal, after);
}

}  // namespace

Decision<protocol::AlterPartitionResponse> alter_partition(
    Context& context, const protocol::AlterPartitionRequest& request) {
    Decision<protocol::AlterPartitionResponse> decision(context);
    decision.atomic = false;
    const BrokerId leader{request.broker_id};
    const Broker* broker = context.image.cluster.broker(leader);
    if (broker == nullptr || broker->epoch.value != request.broker_epoch) {
        decision.answer.error_code = code_of(KafkaError::stale_broker_epoch);
        return decision;
    }
    for (const auto& asked : request.topics) {
        auto& answered = decision.answer.topics.emplace_back();
        answered.topic_id = asked.topic_id;
        for (const Proposal& proposal : asked.partitions) {
            const Topic* topic = decision.draft.image().topics.find(asked.topic_id);
            answered.partitions.push_back(
                topic != nullptr ? alter(decision.draft, context, leader, *topic, proposal)
                                 : refused(proposal, KafkaError::unknown_topic_id));
        }
    }
    return decision;
}

}  // namespace millrace::metadata
