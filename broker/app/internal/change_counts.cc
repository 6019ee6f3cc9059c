#include "app/internal/change_counts.h"

namespace millrace::app {
namespace {

std::uint64_t not_in(const metadata::BrokerList& these, const metadata::BrokerList& those) {
    std::uint64_t count = 0;
    for (const BrokerId one : these) {
        count += those.contains(one) ? 0 : 1;
    }
    return count;
}

}  // namespace

ChangeCounts count_changes(const metadata::Delta& delta, BrokerId self) {
    ChangeCounts counts;
    const QuorumEpoch before = delta.before().provenance.epoch;
    const QuorumEpoch after = delta.after().provenance.epoch;
    counts.quorum_elections = before.value >= 0 && after != before ? 1 : 0;
    for (const TopicIdPartition& which : delta.changes().partitions) {
        const metadata::Partition* was = delta.before().topics.partition(which);
        const metadata::Partition* is = delta.after().topics.partition(which);
        if (was == nullptr || is == nullptr) {
            continue;
        }
        if (is->leader != was->leader && is->leader != no_broker) {
            ++counts.elections;
            // The controller says so itself: who comes from the ELR is not unclean, though it was
            // in no ISR.
            counts.unclean_elections += is->recovery == metadata::LeaderRecovery::recovering;
        }
        if (is->leader == self) {
            counts.isr_shrinks += not_in(was->isr, is->isr);
            counts.isr_expands += not_in(is->isr, was->isr);
        }
    }
    return counts;
}

}  // namespace millrace::app
