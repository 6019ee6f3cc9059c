#include "metadata/internal/partition_updates.h"

#include <algorithm>

namespace millrace::metadata {
namespace {

/// The partition as the draft has it now, with its topic; the index may name one that is gone.
struct Found {
    const Topic* topic = nullptr;
    const Partition* partition = nullptr;
};
Found find(const Draft& draft, const TopicIdPartition& which) {
    const Topic* topic = draft.image().topics.find(which.topic_id);
    return {topic, topic != nullptr ? topic->partition(which.partition) : nullptr};
}

/// Partitions come topic by topic, so the last topic's rules are mostly the next one's.
class RulesByTopic {
public:
    RulesByTopic(const Draft& draft, const Context& context) : draft_(draft), context_(context) {}
    const TopicRules& of(const Topic& topic) {
        if (!known_ || topic_ != topic.id) {
            known_ = topic_rules(draft_.image(), context_.options, topic.name);
            topic_ = topic.id;
        }
        return *known_;
    }

private:
    const Draft& draft_;
    const Context& context_;
    Uuid topic_;
    std::optional<TopicRules> known_;
};

/// The change of one partition when `leaving` leaves its ISR.
PartitionChange leave_isr(const TopicRules& rules, const TopicIdPartition& which,
                          const Partition& partition, const std::set<BrokerId>& leaving) {
    PartitionChange change(which, partition);
    std::erase_if(change.isr, [&](BrokerId id) { return leaving.contains(id); });
    if (rules.unclean_election) {
        change.election = Election::unclean;
    }
    return change;
}

bool add_built(Draft& draft, const PartitionChange& change, const Electorate& electorate,
               const TopicRules& rules) {
    const auto record = change.build(electorate, rules, draft.image().features);
    if (!record) {
        return false;
    }
    draft.add(*record, draft.image().metadata_version().partition_change_record());
    return true;
}

Electorate electorate_without(const Draft& draft, const std::set<BrokerId>& brokers) {
    Electorate electorate(draft.image());
    for (const BrokerId broker : brokers) {
        electorate.without(broker);
    }
    return electorate;
}

}  // namespace

bool add_change(Draft& draft, const Context& context, const PartitionChange& change,
                const Electorate& electorate) {
    const Topic* topic = draft.image().topics.find(change.which.topic_id);
    return add_built(draft, change, electorate,
                     topic_rules(draft.image(), context.options, topic->name));
}

void take_out_of_isrs(Draft& draft, const Context& context, const std::set<BrokerId>& brokers) {
    const Electorate electorate = electorate_without(draft, brokers);
    RulesByTopic rules(draft, context);
    for (const BrokerId broker : brokers) {
        for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
            const Found found = find(draft, which);
            // One that several of them share is done with the first.
            if (found.partition != nullptr && found.partition->isr.contains(broker)) {
                const TopicRules& here = rules.of(*found.topic);
                add_built(draft, leave_isr(here, which, *found.partition, brokers), electorate,
                          here);
            }
        }
    }
}

void drop_unclean(Draft& draft, const Context& context, BrokerId broker,
                  const std::function<bool(const TopicRules&, const Partition&)>& lost_its_tail) {
    const Electorate electorate = electorate_without(draft, {broker});
    RulesByTopic rules(draft, context);
    for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
        const Found found = find(draft, which);
        if (found.partition == nullptr) {
            continue;
        }
        const TopicRules& here = rules.of(*found.topic);
        const bool lost = lost_its_tail(here, *found.partition);
        if (!lost && !found.partition->isr.contains(broker)) {
            continue;
        }
        PartitionChange change = leave_isr(here, which, *found.partition, {broker});
        if (lost) {
            change.unclean_replica = broker;
        }
        add_built(draft, change, electorate, here);
    }
}

void elect_with(Draft& draft, const Context& context, BrokerId broker) {
    const Electorate electorate = Electorate(draft.image()).with(broker);
    RulesByTopic rules(draft, context);
    for (const auto& [which, nothing] : context.index.leaderless()) {
        const Found found = find(draft, which);
        if (found.partition != nullptr && found.partition->leader == no_broker) {
            const TopicRules& here = rules.of(*found.topic);
            add_built(draft, leave_isr(here, which, *found.partition, {}), electorate, here);
        }
    }
}

void fail_directory(Draft& draft, const Context& context, BrokerId broker, const Uuid& directory) {
    const Electorate electorate = electorate_without(draft, {broker});
    RulesByTopic rules(draft, context);
    for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
        const Found found = find(draft, which);
        if (found.partition != nullptr && found.partition->directory_of(broker) == directory) {
            const TopicRules& here = rules.of(*found.topic);
            add_built(draft, leave_isr(here, which, *found.partition, {broker}), electorate, here);
        }
    }
}

}  // namespace millrace::metadata
