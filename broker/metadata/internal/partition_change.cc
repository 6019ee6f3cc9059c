#include "metadata/internal/partition_change.h"

#include <algorithm>

#include "base/mutants.h"
#include "metadata/internal/brokers.h"
#include "metadata/standing.h"

namespace millrace::metadata {
namespace {

using Ids = std::vector<BrokerId>;

template <typename Range>
bool contains(const Range& ids, BrokerId id) {
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

template <typename Range>
bool contains_all(const Range& ids, const Ids& wanted) {
    return std::all_of(wanted.begin(), wanted.end(),
                       [&](BrokerId id) { return contains(ids, id); });
}

template <typename Range>
Ids without(const Ids& ids, const Range& gone) {
    Ids kept;
    std::copy_if(ids.begin(), ids.end(), std::back_inserter(kept),
                 [&](BrokerId id) { return !contains(gone, id); });
    return kept;
}

bool same(const Ids& a, const BrokerList& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

/// Works out one change; lives for the call of build().
class Builder {
public:
    Builder(const PartitionChange& wanted, const Electorate& electorate, const TopicRules& rules,
            const FeatureLevels& features)
        : before_(wanted.before),
          electorate_(electorate),
          isr_(wanted.isr),
          replicas_(wanted.replicas),
          removing_(wanted.removing),
          adding_(wanted.adding),
          elr_(wanted.before.elr.to_vector()),
          election_(wanted.election),
          directories_(wanted.directories),
          unclean_replica_(wanted.unclean_replica),
          moves_epoch_(wanted.moves_epoch),
          synced_(rules.synced) {
        const std::int16_t* version = features.find(feature::metadata_version);
        version_ = MetadataVersion{version != nullptr ? *version : std::int16_t{0}};
        const std::int16_t* elr = features.find(feature::eligible_leader_replicas);
        elr_enabled_ = version_.has_elr() && elr != nullptr && *elr > 0;
        // A partition with fewer replicas than min.insync.replicas has all it can have.
        min_isr_ = std::min(rules.min_isr, wanted.replicas.size());
        record_.topic_id = wanted.which.topic_id;
        record_.partition_id = wanted.which.partition.value;
        if (wanted.recovery != before_.recovery) {
            record_.leader_recovery_state = static_cast<std::int8_t>(wanted.recovery);
        }
    }

    std::optional<protocol::PartitionChangeRecord> build() {
        complete_reassignment();
        fill_elr();
        elect();
        bump_epoch_if_replicas_leave();
        record_elr();
        record_isr();
        remember_last_leader();
        record_assignment();
        return is_empty() ? std::nullopt : std::optional(record_);
    }

private:
    /// A reassignment is over when every target is in sync, not before: until then the old replicas
    /// hold what the new ones lack.
    void complete_reassignment() {
        if (removing_.empty() && adding_.empty()) {
            return;
        }
        Ids targets = without(replicas_, removing_);
        if (targets.empty() ||
            (!contains_all(isr_, targets) && !MR_PLANTED(moves_end_before_all_are_in_sync))) {
            return;
        }
        isr_ = without(isr_, removing_);
        replicas_ = std::move(targets);
        removing_.clear();
        adding_.clear();
    }

    /// Below min.insync.replicas the high watermark stands still, so whoever leaves the ISR there
    /// still has all that was acknowledged.
    void fill_elr() {
        if (!elr_enabled_ || (isr_.size() >= min_isr_ && !MR_PLANTED(elr_outlives_its_use))) {
            elr_.clear();
            return;
        }
        for (const BrokerId id :
             MR_PLANTED(elr_takes_any_replica) ? before_.replicas : before_.isr) {
            if (!contains(elr_, id)) {
                elr_.push_back(id);
            }
        }
        std::erase_if(elr_, [&](BrokerId id) {
            return contains(isr_, id) || !contains(replicas_, id) || unclean_replica_ == id;
        });
    }

    bool can_lead(BrokerId id) const { return electorate_.can_lead(before_, id); }
    bool is_valid_leader(BrokerId id) const {
        return (contains(isr_, id) || (isr_.empty() && contains(elr_, id))) && can_lead(id);
    }
    bool is_willing_leader(BrokerId id) const {
        return is_valid_leader(id) && !electorate_.is_drained(id);
    }

    struct Elected {
        BrokerId leader = no_broker;
        bool unclean = false;
    };
    /// Someone who has all that was acknowledged: the preferred one if asked for, else the leader
    /// as it is, else by order.
    template <typename May>
    BrokerId choose_safe(May may_lead) const {
        if (election_ == Election::preferred && may_lead(replicas_.front())) {
            return replicas_.front();
        }
        if (before_.leader != no_broker && may_lead(before_.leader)) {
            return before_.leader;
        }
        const auto found = std::find_if(replicas_.begin(), replicas_.end(), may_lead);
        return found == replicas_.end() ? no_broker : *found;
    }
    Elected choose() const {
        BrokerId safe = choose_safe([&](BrokerId id) { return is_willing_leader(id); });
        if (safe == no_broker && electorate_.anyone_is_drained()) {
            safe = choose_safe([&](BrokerId id) { return is_valid_leader(id); });
        }
        if (safe != no_broker) {
            return {safe};
        }
        if (can_take_last_known()) {
            return {before_.last_known_elr[0], true};
        }
        if (election_ == Election::unclean || MR_PLANTED(anybody_is_elected)) {
            for (const BrokerId id : replicas_) {
                if (can_lead(id)) {
                    return {id, true};
                }
            }
        }
        return {};
    }
    /// The very last leader is back, and nobody else is left who could know more. That it lost
    /// nothing is not proven, so this is an unclean election. Where Kafka's promise is all there
    /// is, it happens by itself, as with Kafka; a `synced` partition waits for someone to ask for
    /// it.
    bool can_take_last_known() const {
        return elr_enabled_ && (!synced_ || election_ == Election::unclean) && isr_.empty() &&
               elr_.empty() && before_.last_known_elr.size() == 1 &&
               contains(replicas_, before_.last_known_elr[0]) &&
               can_lead(before_.last_known_elr[0]);
    }

    void elect() {
        const Elected elected = choose();
        if (elected.leader == before_.leader) {
            return;
        }
        if (contains(elr_, elected.leader)) {
            isr_ = {elected.leader};
            std::erase(elr_, elected.leader);
        }
        record_.leader = elected.leader.value;
        if (elected.unclean) {
            is_unclean_ = true;
            isr_ = {elected.leader};
            record_.isr = raw_ids(isr_);
            if (before_.recovery != LeaderRecovery::recovering) {
                record_.leader_recovery_state =
                    static_cast<std::int8_t>(LeaderRecovery::recovering);
            }
        }
    }

    /// So that a removed replica's late fetches and AlterPartitions of the old set are fenced.
    void bump_epoch_if_replicas_leave() {
        if (record_.leader == no_leader_change &&
            !contains_all(replicas_, before_.replicas.to_vector())) {
            record_.leader = before_.leader.value;
        }
    }

    void record_elr() {
        if (is_unclean_ || !elr_enabled_) {
            elr_.clear();
        }
        if (!same(elr_, before_.elr)) {
            record_.eligible_leader_replicas = raw_ids(elr_);
        }
    }

    /// Without ELR an ISR is never empty: its last member stays, dead or alive, as the one who
    /// knows.
    void record_isr() {
        const bool is_new = moves_epoch_ || !same(isr_, before_.isr);
        if (!record_.isr && (!isr_.empty() || elr_enabled_) && is_new) {
            record_.isr = raw_ids(isr_);
        }
        if (version_.bumps_leader_epoch_on_isr_shrink() && record_.leader == no_leader_change &&
            record_.isr && !contains_all(isr_, before_.isr.to_vector())) {
            record_.leader = before_.leader.value;
        }
    }

    void remember_last_leader() {
        if (!elr_enabled_) {
            return;
        }
        if (record_.leader == no_broker.value && before_.leader != no_broker &&
            before_.last_known_elr.empty()) {
            record_.last_known_elr = {before_.leader.value};
        } else if (record_.leader >= 0 && !before_.last_known_elr.empty()) {
            record_.last_known_elr.emplace();
        }
    }

    void record_assignment() {
        if (version_.has_directories()) {
            std::vector<Uuid> directories;
            for (const BrokerId id : replicas_) {
                const auto known = directories_.find(id);
                directories.push_back(known != directories_.end()
                                          ? known->second
                                          : electorate_.default_directory(id));
            }
            if (!std::equal(directories.begin(), directories.end(), before_.directories.begin(),
                            before_.directories.end())) {
                record_.directories = std::move(directories);
            }
        }
        if (!same(replicas_, before_.replicas)) {
            record_.replicas = raw_ids(replicas_);
        }
        if (!same(removing_, before_.removing)) {
            record_.removing_replicas = raw_ids(removing_);
        }
        if (!same(adding_, before_.adding)) {
            record_.adding_replicas = raw_ids(adding_);
        }
    }

    bool is_empty() const {
        return !record_.isr && !record_.eligible_leader_replicas && !record_.last_known_elr &&
               record_.leader == no_leader_change && !record_.replicas &&
               !record_.removing_replicas && !record_.adding_replicas && !record_.directories &&
               record_.leader_recovery_state == -1;
    }

    const Partition& before_;
    const Electorate& electorate_;
    Ids isr_;
    Ids replicas_;
    Ids removing_;
    Ids adding_;
    Ids elr_;
    Election election_;
    const std::map<BrokerId, Uuid>& directories_;
    std::optional<BrokerId> unclean_replica_;
    bool moves_epoch_;
    bool synced_;
    MetadataVersion version_;
    bool elr_enabled_ = false;
    std::size_t min_isr_ = 1;
    bool is_unclean_ = false;
    protocol::PartitionChangeRecord record_;
};

}  // namespace

Electorate::Electorate(const Image& image) : image_(&image), drained_(drained_brokers(image)) {}

bool Electorate::is_drained(BrokerId broker) const {
    return contains(drained_, broker);
}

bool Electorate::can_lead(const Partition& partition, BrokerId broker) const {
    if (contains(without_, broker)) {
        return false;
    }
    const Broker* registered = image_->cluster.broker(broker);
    return registered != nullptr && (registered->is_active() || broker == with_) &&
           registered->has_online_directory(partition.directory_of(broker));
}

Uuid Electorate::default_directory(BrokerId broker) const {
    const Broker* registered = image_->cluster.broker(broker);
    if (registered == nullptr) {
        return unassigned_directory;
    }
    if (registered->directories.empty()) {
        return migrating_directory;
    }
    return registered->directories.size() == 1 ? registered->directories.front()
                                               : unassigned_directory;
}

PartitionChange::PartitionChange(const TopicIdPartition& w, const Partition& b)
    : which(w),
      before(b),
      isr(b.isr.to_vector()),
      replicas(b.replicas.to_vector()),
      removing(b.removing.to_vector()),
      adding(b.adding.to_vector()),
      recovery(b.recovery) {
    for (std::size_t i = 0; i < b.directories.size(); ++i) {
        directories.emplace(b.replicas[i], b.directories[i]);
    }
}

std::optional<protocol::PartitionChangeRecord> PartitionChange::build(
    const Electorate& electorate, const TopicRules& rules, const FeatureLevels& features) const {
    return Builder(*this, electorate, rules, features).build();
}

Revert revert_of(const Partition& partition) {
    Revert revert;
    revert.replicas = without(partition.replicas.to_vector(), partition.adding);
    revert.isr = without(partition.isr.to_vector(), partition.adding);
    if (revert.isr.empty() && !revert.replicas.empty()) {
        revert.isr = {revert.replicas.front()};
        revert.is_unclean = true;
    }
    return revert;
}

}  // namespace millrace::metadata
