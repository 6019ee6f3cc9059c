#include "admin/cluster_health.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "metadata/standing.h"

namespace millrace::admin {

namespace {

constexpr std::size_t worst_shown = 20;
/// Voters fetch twice a second when there is nothing to hear.
constexpr std::int64_t silence_of_a_voter_ms = 2'000;

template <typename List>
bool contains(const List& list, BrokerId id) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

template <typename List>
std::vector<BrokerId> copied(const List& list) {
    return {list.begin(), list.end()};
}

/// Calls `visit(topic, index, partition)` for every partition, by topic id and index.
template <typename Visit>
void for_each_partition(const metadata::Image& image, Visit visit) {
    for (const auto& topic : image.topics.by_id()) {
        for (const auto& partition : topic.value->partitions) {
            visit(*topic.value, partition.key, *partition.value);
        }
    }
}

BrokerState state_of(const metadata::Image& image, const metadata::Broker& broker) {
    if (broker.fenced) {
        return BrokerState::fenced;
    }
    return broker.in_controlled_shutdown || metadata::is_drained(image, broker)
               ? BrokerState::draining
               : BrokerState::running;
}

BrokerHealth health_of(const metadata::Image& image, const metadata::Broker& broker) {
    BrokerHealth health;
    health.id = broker.id;
    health.rack = broker.rack.value_or("");
    health.state = state_of(image, broker);
    health.cordoned = metadata::is_cordoned(image, broker);
    health.epoch = broker.epoch;
    health.recovery_percent = broker.fenced ? 0 : 100;
    if (broker.fenced) {
        health.waiting_for = "the broker's heartbeat";
    }
    return health;
}

void count_replicas(std::map<BrokerId, BrokerHealth>& brokers,
                    const metadata::Partition& partition) {
    for (const BrokerId id : partition.replicas) {
        const auto found = brokers.find(id);
        if (found == brokers.end()) {
            continue;
        }
        BrokerHealth& broker = found->second;
        const bool adding = contains(partition.adding, id);
        ++broker.replicas;
        broker.leaders += partition.leader == id ? 1 : 0;
        broker.in_moves += adding ? 1 : 0;
        broker.out_moves += contains(partition.removing, id) ? 1 : 0;
        broker.lagging_replicas += !adding && !contains(partition.isr, id) ? 1 : 0;
    }
}

/// Replicas of one rack beyond what an even spread needs.
bool violates_racks(const metadata::Image& image, const metadata::Partition& partition) {
    std::map<std::string, std::size_t> by_rack;
    std::set<std::string> racks;
    for (const auto& broker : image.cluster.brokers) {
        if (broker.value->rack) {
            racks.insert(*broker.value->rack);
        }
    }
    std::size_t replicas = 0;
    for (const BrokerId id : partition.replicas) {
        const metadata::Broker* broker = image.cluster.broker(id);
        if (contains(partition.adding, id)) {
            continue;
        }
        ++replicas;
        if (broker != nullptr && broker->rack) {
            ++by_rack[*broker->rack];
        }
    }
    // A second one is too many while another rack has none.
    const std::size_t allowed = racks.empty() ? replicas
                                : by_rack.size() < racks.size()
                                    ? 1
                                    : (replicas + racks.size() - 1) / racks.size();
    return std::any_of(by_rack.begin(), by_rack.end(),
                       [&](const auto& rack) { return rack.second > allowed; });
}

/// Replicas that a reassignment is still adding are no reason to call a partition under-replicated.
std::size_t settled_replicas(const metadata::Partition& partition) {
    return static_cast<std::size_t>(
        std::count_if(partition.replicas.begin(), partition.replicas.end(),
                      [&](BrokerId id) { return !contains(partition.adding, id); }));
}

void note_worst(PartitionHealth& health, const UnhealthyPartition& found) {
    const bool offline = found.leader == no_broker;
    if (health.worst.size() >= worst_shown && !offline) {
        return;
    }
    // Offline ones go first; a full list loses its last.
    const auto at = std::find_if(health.worst.begin(), health.worst.end(),
                                 [](const auto& one) { return one.leader != no_broker; });
    health.worst.insert(offline ? at : health.worst.end(), found);
    if (health.worst.size() > worst_shown) {
        health.worst.pop_back();
    }
}

void count_partition(PartitionHealth& health, const metadata::Image& image,
                     const metadata::Topic& topic, PartitionIndex index,
                     const metadata::Partition& partition, int min_isr) {
    const bool offline = partition.leader == no_broker;
    // All of its replicas are enough, also where more are asked for.
    const int needed = std::min(min_isr, static_cast<int>(partition.replicas.size()));
    const bool under_min = static_cast<int>(partition.isr.size()) < needed;
    const bool under_replicated = partition.isr.size() < settled_replicas(partition);
    ++health.total;
    health.offline += offline ? 1 : 0;
    health.under_min_isr += under_min ? 1 : 0;
    health.under_replicated += under_replicated ? 1 : 0;
    health.reassigning += partition.is_reassigning() ? 1 : 0;
    health.rack_violations += violates_racks(image, partition) ? 1 : 0;
    if (offline || under_min) {
        note_worst(health, {{topic.name, index},
                            partition.leader,
                            copied(partition.isr),
                            copied(partition.replicas),
                            needed});
    }
}

std::string names(const std::set<BrokerId>& brokers) {
    std::string text;
    for (const BrokerId id : brokers) {
        text += fmt::format("{}{}", text.empty() ? "" : ", ", id.value);
    }
    return text;
}

void check_brokers(const metadata::Image& image, const std::vector<BrokerId>& asked,
                   const std::vector<BrokerId>& voters, RestartVerdict& verdict) {
    for (const BrokerId id : asked) {
        if (image.cluster.broker(id) == nullptr && !contains(voters, id)) {
            verdict.blockers.push_back({RestartBlocker::Reason::unknown_broker, std::nullopt, id,
                                        fmt::format("no broker {} is registered", id.value)});
        }
    }
}

/// What a partition would have left in sync, and whether that is the stopping brokers' doing.
void check_partition(const metadata::Image& image, const std::set<BrokerId>& stopping,
                     const metadata::Topic& topic, PartitionIndex index,
                     const metadata::Partition& partition, int min_isr, RestartVerdict& verdict) {
    int now = 0;
    int left = 0;
    for (const BrokerId id : partition.isr) {
        const bool is_up = image.cluster.is_unfenced(id);
        now += is_up ? 1 : 0;
        left += is_up && stopping.count(id) == 0 ? 1 : 0;
    }
    // A topic that asks for more than it has replicas can't be served anyway; its last replicas
    // must not nail every broker down.
    const int needed = std::min<int>(min_isr, static_cast<int>(settled_replicas(partition)));
    if (left == now || left >= needed) {
        return;
    }
    const bool offline = left == 0;
    verdict.blockers.push_back(
        {offline ? RestartBlocker::Reason::offline : RestartBlocker::Reason::under_min_isr,
         TopicPartition{topic.name, index}, no_broker,
         offline ? fmt::format("{}-{} would have no in-sync replica left", topic.name, index.value)
                 : fmt::format("{}-{} would have {} in sync, it needs {}", topic.name, index.value,
                               left, needed)});
}

void check_quorum(const std::vector<BrokerId>& voters, const std::set<BrokerId>& silent,
                  const std::set<BrokerId>& stopping, RestartVerdict& verdict) {
    const std::size_t all = voters.size();
    std::set<BrokerId> leaving;
    std::set<BrokerId> missing;
    for (const BrokerId voter : voters) {
        if (silent.contains(voter)) {
            missing.insert(voter);
        } else if (stopping.contains(voter)) {
            leaving.insert(voter);
        }
    }
    // A quorum of one has no majority to keep; stopping it stops the metadata, as everybody knows.
    if (all > 1 && !leaving.empty() && all - leaving.size() - missing.size() < all / 2 + 1) {
        verdict.blockers.push_back(
            {RestartBlocker::Reason::quorum, std::nullopt, no_broker,
             fmt::format("without {} the quorum of {} has no majority{}", names(leaving), all,
                         missing.empty() ? "" : fmt::format("; {} is down", names(missing)))});
    }
}

/// Controllers may be what has to be started anew, so that there is a leader again. Brokers only
/// lose by it: nobody fences them, and they are not let in again.
void check_leaderless(const metadata::Image& image, const std::vector<BrokerId>& voters,
                      const std::vector<BrokerId>& asked, RestartVerdict& verdict) {
    for (const BrokerId id : asked) {
        if (!contains(voters, id) && image.cluster.is_unfenced(id)) {
            verdict.blockers.push_back(
                {RestartBlocker::Reason::quorum, std::nullopt, id,
                 fmt::format("the quorum has no leader: nobody could hand over what {} leads, nor "
                             "let it in again",
                             id.value)});
        }
    }
}

}  // namespace

Health health_of(const metadata::Image& image, BrokerId controller, const MinIsr& min_isr) {
    Health health;
    health.epoch = image.provenance.epoch;
    health.metadata_offset = image.provenance.end;
    std::map<BrokerId, BrokerHealth> brokers;
    for (const auto& broker : image.cluster.brokers) {
        brokers[broker.key] = health_of(image, *broker.value);
    }
    for_each_partition(image, [&](const metadata::Topic& topic, PartitionIndex index,
                                  const metadata::Partition& partition) {
        count_replicas(brokers, partition);
        count_partition(health.partitions, image, topic, index, partition, min_isr(topic.name));
    });
    for (auto& [id, broker] : brokers) {
        if (broker.waiting_for.empty() && broker.lagging_replicas > 0) {
            broker.waiting_for = fmt::format("{} replicas to be in sync", broker.lagging_replicas);
        }
        health.brokers.push_back(std::move(broker));
    }
    health.quorum.leader = controller;
    health.quorum.high_watermark = image.provenance.end;
    return health;
}

DrainResult leaders_left(const metadata::Image& image, BrokerId broker) {
    DrainResult result;
    for_each_partition(image, [&](const metadata::Topic& topic, PartitionIndex index,
                                  const metadata::Partition& partition) {
        if (partition.leader != broker) {
            return;
        }
        ++result.leaders_left;
        const bool another =
            std::any_of(partition.isr.begin(), partition.isr.end(), [&](BrokerId id) {
                const metadata::Broker* other = image.cluster.broker(id);
                return id != broker && other != nullptr && other->is_active() &&
                       !metadata::is_drained(image, *other);
            });
        if (!another) {
            result.stuck.push_back({topic.name, index});
        }
    });
    return result;
}

std::set<BrokerId> silent_voters(const QuorumHealth& quorum) {
    // The leader's own entry is as fresh as its answer, whatever our clock says.
    std::int64_t freshest = std::numeric_limits<std::int64_t>::max();
    for (const Voter& voter : quorum.voters) {
        freshest = voter.last_fetch_ms < 0 ? freshest : std::min(freshest, voter.last_fetch_ms);
    }
    std::set<BrokerId> silent;
    for (const Voter& voter : quorum.voters) {
        if (voter.last_fetch_ms < 0 || voter.last_fetch_ms - freshest > silence_of_a_voter_ms) {
            silent.insert(voter.id);
        }
    }
    return silent;
}

RestartVerdict restart_verdict(const metadata::Image& image, const RestartQuestion& question,
                               const std::vector<BrokerId>& voters,
                               const std::optional<std::set<BrokerId>>& silent,
                               const MinIsr& min_isr) {
    RestartVerdict verdict;
    verdict.epoch = image.provenance.epoch;
    verdict.metadata_offset = image.provenance.end;
    std::set<BrokerId> stopping{question.brokers.begin(), question.brokers.end()};
    check_brokers(image, question.brokers, voters, verdict);
    if (question.with_those_down) {
        for (const auto& broker : image.cluster.brokers) {
            if (broker.value->fenced) {
                stopping.insert(broker.key);
            }
        }
    }
    for_each_partition(image, [&](const metadata::Topic& topic, PartitionIndex index,
                                  const metadata::Partition& partition) {
        check_partition(image, stopping, topic, index, partition, min_isr(topic.name), verdict);
    });
    if (silent) {
        check_quorum(voters, *silent, stopping, verdict);
    } else {
        check_leaderless(image, voters, question.brokers, verdict);
    }
    verdict.allowed = verdict.blockers.empty();
    return verdict;
}

Result<RestartProgress> restart_progress(const metadata::Image& image, BrokerId id,
                                         BrokerEpoch before) {
    const metadata::Broker* broker = image.cluster.broker(id);
    if (broker == nullptr) {
        return Error::make(Code::not_found, "no broker {} is registered", id.value);
    }
    RestartProgress progress;
    progress.state = state_of(image, *broker);
    progress.epoch = broker->epoch;
    progress.recovery_percent = broker->fenced ? 0 : 100;
    int replicas = 0;
    int in_sync = 0;
    int preferred = 0;
    int led = 0;
    for_each_partition(
        image, [&](const metadata::Topic&, PartitionIndex, const metadata::Partition& partition) {
            if (!contains(partition.replicas, id) || contains(partition.adding, id)) {
                return;
            }
            ++replicas;
            in_sync += contains(partition.isr, id) ? 1 : 0;
            preferred += partition.replicas[0] == id ? 1 : 0;
            led += partition.leader == id && partition.has_preferred_leader() ? 1 : 0;
        });
    progress.in_sync_percent = replicas == 0 ? 100 : 100 * in_sync / replicas;
    progress.leaders_percent = preferred == 0 ? 100 : 100 * led / preferred;
    const bool restarted = before == BrokerEpoch{0} || broker->epoch != before;
    progress.caught_up = restarted && broker->is_active() && in_sync == replicas;
    progress.waiting_for = !restarted       ? "the restart"
                           : broker->fenced ? "the broker's heartbeat"
                           : in_sync < replicas
                               ? fmt::format("{} replicas to be in sync", replicas - in_sync)
                               : "";
    return progress;
}

}  // namespace millrace::admin
