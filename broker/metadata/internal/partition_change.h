// metadata/internal/partition_change.h
//
// The one rule by which a partition changes: from what is wanted (an ISR, replicas, an election) to
// a PartitionChangeRecord that keeps every invariant: the leader is in the ISR, ISR and ELR are
// disjoint and within the replicas, the ELR is empty while the ISR has min.insync.replicas members
// (KIP-966), a reassignment ends on the record that brings its last target into the ISR.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "metadata/image.h"
#include "metadata/internal/topic_rules.h"
#include "protocol/messages/partition_change_record.h"

namespace millrace::metadata {

enum class Election {
    online,     ///< Keep the leader if it can; else anyone of the ISR, or of the ELR behind it.
    preferred,  ///< The first replica if it can, else as online.
    unclean,    ///< As online; if nobody is left, anyone who is up.
};

/// Who may lead, for the decision at hand.
class Electorate {
public:
    explicit Electorate(const Image& image);
    /// Not this one, whatever the image says: it is being fenced or shuts down.
    Electorate& without(BrokerId broker) {
        without_.push_back(broker);
        return *this;
    }
    /// Also this one, which is being unfenced.
    Electorate& with(BrokerId broker) {
        with_ = broker;
        return *this;
    }
    bool can_lead(const Partition& partition, BrokerId broker) const;
    /// Leads only where nobody else can.
    bool is_drained(BrokerId broker) const;
    bool anyone_is_drained() const { return !drained_.empty(); }
    /// Where a new replica on the broker goes while it has not said.
    Uuid default_directory(BrokerId broker) const;

private:
    const Image* image_;
    std::vector<BrokerId> without_;
    std::vector<BrokerId> drained_;
    BrokerId with_ = no_broker;
};

struct PartitionChange {
    PartitionChange(const TopicIdPartition& which, const Partition& before);

    TopicIdPartition which;
    const Partition& before;

    // What is wanted; as it is, until set.
    std::vector<BrokerId> isr;
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> removing;
    std::vector<BrokerId> adding;
    LeaderRecovery recovery;
    std::map<BrokerId, Uuid> directories;
    Election election = Election::online;
    /// This one came back without its last writes: it may be in neither ISR nor ELR.
    std::optional<BrokerId> unclean_replica;

    /// Written even with the ISR as it is: what was proposed on this partition epoch is over then.
    bool moves_epoch = false;

    /// nullopt if nothing changes.
    std::optional<protocol::PartitionChangeRecord> build(const Electorate& electorate,
                                                         const TopicRules& rules,
                                                         const FeatureLevels& features) const;
};

/// The way back from a reassignment: replicas and ISR without what was being added.
struct Revert {
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;
    bool is_unclean = false;  ///< No original replica is in sync: somebody behind would lead.
};
Revert revert_of(const Partition& partition);

}  // namespace millrace::metadata
