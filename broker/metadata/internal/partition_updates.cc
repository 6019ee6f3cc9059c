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

/// The change of one partition when `leaving` leaves its ISR.
PartitionChange leave_isr(const Context& context, const Draft& draft, const TopicIdPartition& which,
                          const Found& found, const std::set<BrokerId>& leaving) {
    PartitionChange change(which, *found.partition);
    std::erase_if(change.isr, [&](BrokerId id) { return leaving.contains(id); });
    if (topic_rules(draft.image(), context.options, found.topic->name).unclean_election) {
        change.election = Election::unclean;
    }
    return change;
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
    const auto record =
        change.build(electorate, topic_rules(draft.image(), context.options, topic->name),
                     draft.image().features);
    if (!record) {
        return false;
    }
    draft.add(*record, draft.image().metadata_version().partition_change_record());
    return true;
}

void take_out_of_isrs(Draft& draft, const Context& context, const std::set<BrokerId>& brokers) {
    const Electorate electorate = electorate_without(draft, brokers);
    std::set<TopicIdPartition> done;
    for (const BrokerId broker : brokers) {
        for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
            const Found found = find(draft, which);
            if (found.partition == nullptr || !found.partition->isr.contains(broker) ||
                !done.insert(which).second) {
                continue;
            }
            add_change(draft, context, leave_isr(context, draft, which, found, brokers),
                       electorate);
        }
    }
}

void drop_unclean(Draft& draft, const Context& context, BrokerId broker,
                  const std::function<bool(const Topic&, const Partition&)>& lost_its_tail) {
    const Electorate electorate = electorate_without(draft, {broker});
    for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
        const Found found = find(draft, which);
        if (found.partition == nullptr) {
            continue;
        }
        const bool lost = lost_its_tail(*found.topic, *found.partition);
        if (!lost && !found.partition->isr.contains(broker)) {
            continue;
        }
        PartitionChange change = leave_isr(context, draft, which, found, {broker});
        if (lost) {
            change.unclean_replica = broker;
        }
        add_change(draft, context, change, electorate);
    }
}

void elect_with(Draft& draft, const Context& context, BrokerId broker) {
    const Electorate electorate = Electorate(draft.image()).with(broker);
    for (const auto& [which, nothing] : context.index.leaderless()) {
        const Found found = find(draft, which);
        if (found.partition != nullptr && found.partition->leader == no_broker) {
            add_change(draft, context, leave_isr(context, draft, which, found, {}), electorate);
        }
    }
}

void fail_directory(Draft& draft, const Context& context, BrokerId broker, const Uuid& directory) {
    const Electorate electorate = electorate_without(draft, {broker});
    for (const auto& [which, nothing] : context.index.eligible_on(broker)) {
        const Found found = find(draft, which);
        if (found.partition != nullptr && found.partition->directory_of(broker) == directory) {
            add_change(draft, context, leave_isr(context, draft, which, found, {broker}),
                       electorate);
        }
    }
}

}  // namespace millrace::metadata
