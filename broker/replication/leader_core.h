// replication/leader_core.h
//
// What a leader concludes about one partition: how far the high watermark may go and who belongs
// in the ISR. Pure; time is an input.
//
// The high watermark is the minimum over the *maximal* ISR (committed and proposed members) of the
// end that the topic's durability asks for, and it stands still while the ISR is below
// min.insync.replicas. It never goes back.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <variant>
#include <vector>

#include "base/time.h"
#include "model/ids.h"
#include "replication/types.h"

namespace millrace::replication {

struct Appended {
    Offset end;
};
struct Synced {
    Offset end;
};
/// A follower asked for data from `log_end`: it has everything below it.
struct FollowerFetched {
    BrokerId replica;
    Offset log_end;
    std::optional<Offset> synced_end;  ///< None: it does not report (a foreign broker).
    Instant at;
    BrokerEpoch replica_epoch{-1};  ///< Of the life that asked; -1: it does not say.
    Offset log_start = no_offset;
    bool may_join = true;  ///< That life is up and stays, as far as our metadata knows.
};
struct Tick {
    Instant at;
    /// Of those outside of the ISR, whom the controller would refuse: fenced, leaving, or
    /// registered as another life by now.
    std::set<BrokerId> ineligible{};
};
/// The metadata says so, after our proposal or for its own reasons. A reassignment adds and removes
/// replicas under the same leader epoch.
struct IsrDecided {
    std::vector<BrokerId> replicas;
    std::vector<BrokerId> isr;
    PartitionEpoch partition_epoch;
    std::set<BrokerId> ineligible{};  ///< As in Tick.
};
/// Our proposal was refused and certainly had no effect: go back to what is committed.
struct ProposalRefused {
    PartitionEpoch partition_epoch;  ///< The one it was built on.
};
/// Nobody knows whether our proposal had an effect; it may have one yet, long after it was sent.
struct ProposalUnanswered {
    PartitionEpoch partition_epoch;  ///< The one it was built on.
};
struct SettingsChanged {
    Durability durability;
    std::int32_t min_isr;
};

using LeaderEvent = std::variant<Appended, Synced, FollowerFetched, Tick, IsrDecided,
                                 ProposalRefused, ProposalUnanswered, SettingsChanged>;

struct AdvanceHighWatermark {
    Offset to;
    friend bool operator==(const AdvanceHighWatermark&, const AdvanceHighWatermark&) = default;
};
/// With the ISR as it is: the decision only moves the partition epoch, and so ends what was
/// proposed on this one and may still be on its way.
struct ProposeIsr {
    std::vector<BrokerId> isr;
    PartitionEpoch partition_epoch;  ///< The one it builds on.
    friend bool operator==(const ProposeIsr&, const ProposeIsr&) = default;
};

using LeaderEffect = std::variant<AdvanceHighWatermark, ProposeIsr>;

/// Whether an append is answered once the high watermark covers it, not at once. A sole replica's
/// acks=1 waits too: whoever then asks for the end, reads or deletes records finds them, as in
/// Kafka, where a lone leader's high watermark moves with its append.
constexpr bool answered_at_high_watermark(std::int16_t acks, std::size_t replicas) {
    return acks == -1 || (acks == 1 && replicas == 1);
}

class LeaderCore {
public:
    struct Start {
        BrokerId self;
        std::vector<BrokerId> replicas;
        std::vector<BrokerId> isr;
        PartitionEpoch partition_epoch;
        Offset end;
        Offset synced_end;
        Offset high_watermark;
        Durability durability = Durability::synced;
        std::int32_t min_isr = 1;
        Duration lag_max = 30s;  ///< replica.lag.time.max.ms
        Instant now;
    };
    explicit LeaderCore(Start start);

    std::vector<LeaderEffect> step(const LeaderEvent& event);

    Offset high_watermark() const { return high_watermark_; }
    const std::set<BrokerId>& isr() const { return isr_; }
    /// All of its replicas in sync are enough, also for a min.insync.replicas above their number.
    bool under_min_isr() const {
        return isr_.size() < std::min(static_cast<std::size_t>(min_isr_), followers_.size() + 1);
    }
    /// The high watermark has passed where this leader began: what it says is known to be current.
    bool is_current() const { return high_watermark_ >= epoch_start_; }
    bool proposal_pending() const { return !proposed_.empty(); }
    /// In the maximal ISR: acknowledgements wait for it.
    bool counts(BrokerId replica) const {
        return isr_.contains(replica) || proposed_.contains(replica);
    }
    /// Of these, the member of the ISR that can serve a read from `from` and has most; no_broker if
    /// none can.
    BrokerId nearest(const std::vector<BrokerId>& wanted, Offset from) const;
    /// Below it nobody who is up has records any more: the lowest start of our log and of theirs
    /// (KIP-107). no_offset while one of them has not said where its log begins.
    Offset low_watermark(Offset own_start, const std::function<bool(BrokerId)>& is_up) const;
    struct Follower {
        Offset log_start = no_offset;
        Offset log_end = no_offset;
        std::optional<Offset> synced_end;
        Instant caught_up_at;  ///< Last time it had everything the leader had then.
        Instant last_fetch_at;
        BrokerEpoch epoch{-1};  ///< Of the life that the rest is known of.
        Offset leader_end_at_fetch = no_offset;
    };
    const std::map<BrokerId, Follower>& followers() const { return followers_; }

private:
    void note(const Appended& event);
    void note(const Synced& event);
    void note(const FollowerFetched& event);
    void note(const Tick& event);
    void note(const IsrDecided& event);
    void take_replicas(const std::vector<BrokerId>& replicas);
    void note(const ProposalRefused& event);
    void note(const ProposalUnanswered& event);
    void note(const SettingsChanged& event);

    Offset counted_end(BrokerId replica) const;
    Offset reached() const;
    std::set<BrokerId> wanted_isr() const;

    BrokerId self_;
    std::map<BrokerId, Follower> followers_;
    std::set<BrokerId> isr_;
    std::set<BrokerId> proposed_;  ///< Empty: no proposal is under way.
    std::set<BrokerId> ineligible_;
    bool may_be_accepted_ = false;  ///< An attempt to propose them was not answered.
    bool must_settle_ = false;      ///< A later attempt was refused; the first one may still come.
    bool settles_now_ = false;
    bool held_back_ = false;  ///< After a refusal: the same would be refused again right now.
    PartitionEpoch partition_epoch_;
    Offset epoch_start_;  ///< Our end when we became leader: who joins must hold all below it.
    Offset end_;
    Offset synced_end_;
    Offset high_watermark_;
    Durability durability_;
    std::int32_t min_isr_;
    Duration lag_max_;
    Instant now_;
};

}  // namespace millrace::replication
