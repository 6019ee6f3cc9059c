// What the status says: drawn from the same draft as the actions, so that it can't disagree.
#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>

#include "operator/kube/time_text.h"
#include "operator/planner/internal/draft.h"

namespace millrace::planner {

namespace {

/// Who can elect a controller. What brokers say is only as new as the last one that was elected.
struct Quorum {
    std::vector<int> voters;
    std::vector<int> away;
    bool all_stopped = true;  ///< Of those that are away; else their nodes may be gone.
    bool lost = false;
};

/// No process of it runs; or it isn't ready and the metadata, which is told who is, hasn't heard.
bool is_away(const Draft& draft, int id) {
    const auto pod = draft.pods.find(id);
    if (pod == draft.pods.end() || pod->second.stopped) {
        return true;
    }
    const brokers::BrokerFacts* facts = draft.broker(id);
    return !pod->second.ready &&
           (draft.is_dedicated(id) ||
            (facts != nullptr && facts->state == brokers::BrokerState::running));
}

std::string list_of(const std::vector<int>& ids) {
    return fmt::format("{}", fmt::join(ids, ", "));
}

Quorum quorum_of(const Draft& draft) {
    Quorum quorum;
    std::size_t ready = 0;
    for (const int id : draft.membership.voters) {
        if (!draft.votes(id)) {
            continue;
        }
        quorum.voters.push_back(id);
        const auto pod = draft.pods.find(id);
        if (is_away(draft, id)) {
            quorum.away.push_back(id);
            quorum.all_stopped &= pod == draft.pods.end() || pod->second.stopped;
        }
        ready += pod != draft.pods.end() && pod->second.ready ? 1 : 0;
    }
    const auto& health = draft.world.cluster.status.health;
    if (!health || quorum.voters.empty()) {
        return quorum;  // There was none yet.
    }
    const std::size_t majority = quorum.voters.size() / 2 + 1;
    const bool was_lost = !health->as_of.empty();
    quorum.lost = quorum.voters.size() - quorum.away.size() < majority ||
                  (was_lost && ready < majority);  // They run again; ready is who has heard one.
    return quorum;
}

std::string lost_text(const Quorum& quorum) {
    if (quorum.away.empty()) {
        return fmt::format("no controller is elected yet: voters {} start", list_of(quorum.voters));
    }
    const bool one = quorum.away.size() == 1;
    return fmt::format(
        "no controller can be elected: {} of the voters {} {} not {}; what was led there is "
        "offline and nothing can be changed until most voters are back",
        list_of(quorum.away), list_of(quorum.voters), one ? "does" : "do",
        quorum.all_stopped ? "run" : "answer");
}

api::BrokerState state_of(const Draft& draft, int id) {
    const brokers::BrokerFacts* facts = draft.broker(id);
    if (draft.is_dedicated(id)) {
        const Standing* standing = draft.ledger.find(id);
        return standing != nullptr && standing->up ? api::BrokerState::running
                                                   : api::BrokerState::starting;
    }
    if (facts == nullptr) {
        // Where nobody can be asked it goes on: whose cordon it is would be forgotten.
        return !draft.world.brokers && draft.was_draining(id) ? api::BrokerState::draining
                                                              : api::BrokerState::starting;
    }
    if (draft.membership.leaving.contains(id) || draft.is_our_cordon(id)) {
        return api::BrokerState::draining;
    }
    if (facts->state == brokers::BrokerState::running) {
        // What the metadata says of who has just gone, or of all where no controller is elected.
        const auto pod = draft.pods.find(id);
        if (pod == draft.pods.end() || pod->second.stopped) {
            return pod != draft.pods.end() && pod->second.crashed ? api::BrokerState::dead
                                                                  : api::BrokerState::starting;
        }
        return pod->second.ready || !quorum_of(draft).lost ? api::BrokerState::running
               : pod->second.started                       ? api::BrokerState::dead
                                                           : api::BrokerState::starting;
    }
    switch (facts->state) {
        case brokers::BrokerState::recovering:
            return api::BrokerState::recovering;
        case brokers::BrokerState::draining:
            return api::BrokerState::draining;
        case brokers::BrokerState::fenced:
            return api::BrokerState::fenced;
        case brokers::BrokerState::dead:
            return api::BrokerState::dead;
        default:
            return api::BrokerState::starting;
    }
}

api::BrokerStatus broker_status(const Draft& draft, int id, const std::string& pool) {
    api::BrokerStatus status;
    status.id = id;
    status.pool = pool;
    status.rack = draft.rack_of(id);
    status.state = state_of(draft, id);
    const auto pod = draft.pods.find(id);
    if (pod != draft.pods.end()) {
        status.pod = pod->second.name;
        status.ready = pod->second.ready;
        status.updated = draft.membership.wanted.contains(id) && !draft.is_outdated(id);
    }
    const brokers::BrokerFacts* facts = draft.broker(id);
    if (status.state == api::BrokerState::recovering && facts != nullptr) {
        status.recovery_percent = facts->recovery_percent;
    }
    status.balanced = draft.balanced.contains(id);
    if (const auto volumes = draft.spread_volumes.find(id); volumes != draft.spread_volumes.end()) {
        status.volumes = volumes->second;
    }
    if (const auto closed = draft.closed_volumes.find(id); closed != draft.closed_volumes.end()) {
        status.closed_volumes.assign(closed->second.begin(), closed->second.end());
    }
    const auto& all = draft.world.cluster.status.brokers;
    const auto before = std::find_if(all.begin(), all.end(), [&](const api::BrokerStatus& one) {
        return one.id == id && one.state == status.state && !one.since.empty();
    });
    status.since = before != all.end() ? before->since : kube::time_text(draft.world.now);
    if (const auto wait = draft.waits.find(id); wait != draft.waits.end()) {
        status.waiting_for = wait->second;
    }
    const Standing* standing = draft.ledger.find(id);
    const bool troubled = pod != draft.pods.end() && !pod->second.trouble.empty();
    if (standing != nullptr && !standing->why.empty() && (status.waiting_for.empty() || troubled)) {
        status.waiting_for = standing->why;
    }
    std::vector<std::string_view> refused;
    for (const Refusal& one : draft.world.refused) {
        if (one.broker == id) {
            refused.emplace_back(one.text);
        }
    }
    if (!refused.empty()) {
        status.waiting_for = fmt::format("{}", fmt::join(refused, "; "));
    }
    return status;
}

std::vector<api::ListenerStatus> listener_status(const Draft& draft) {
    std::vector<api::ListenerStatus> all;
    const ObjectPtr service =
        draft.find(draft.world.services, render::bootstrap_name(draft.name()));
    for (const api::ListenerSpec& listener : api::all_listeners(draft.world.cluster.spec)) {
        api::ListenerStatus status;
        status.name = listener.name;
        status.type = listener.type;
        std::string host;
        if (service && listener.type != api::ListenerType::node_port &&
            listener.type != api::ListenerType::load_balancer) {
            host = draft.world.around.domain.empty()
                       ? (*service)["spec"]["clusterIP"].text()
                       : fmt::format("{}.{}.svc.{}", render::bootstrap_name(draft.name()),
                                     draft.space(), draft.world.around.domain);
        }
        if (!host.empty()) {
            status.bootstrap = fmt::format("{}:{}", host, listener.port);
        }
        for (const auto& [id, member] : draft.membership.wanted) {
            if (!member.broker) {
                continue;
            }
            const auto pod = draft.pods.find(id);
            const std::string broker_host =
                render::host_of(draft.subject, id, pod == draft.pods.end() ? "" : pod->second.ip);
            if (listener.type == api::ListenerType::internal && !broker_host.empty()) {
                status.addresses.push_back(fmt::format("{}:{}", broker_host, listener.port));
            } else if (listener.type != api::ListenerType::internal) {
                std::string address = outside_address(draft, id, listener);
                if (!address.empty()) {
                    status.addresses.push_back(std::move(address));
                }
            }
        }
        if (status.bootstrap.empty()) {  // No service leads to all of them: any broker will do.
            status.bootstrap = fmt::format("{}", fmt::join(status.addresses, ","));
        }
        all.push_back(std::move(status));
    }
    return all;
}

struct Counts {
    int wanted = 0;
    int up = 0;
    int updated = 0;
    int leaving = 0;               ///< That still run.
    int leaving_up = 0;            ///< Of these, that clients can use.
    bool controllers_well = true;  ///< All dedicated ones run as the spec wants.
};

Counts counts_of(const Draft& draft) {
    Counts counts;
    for (const auto& [id, member] : draft.membership.wanted) {
        if (!member.broker) {
            counts.controllers_well &= !draft.ledger.is_down(id) && !draft.is_outdated(id);
            continue;
        }
        ++counts.wanted;
        const Standing* standing = draft.ledger.find(id);
        counts.up += standing != nullptr && standing->up && draft.world.brokers ? 1 : 0;
        counts.updated += draft.pods.contains(id) && !draft.is_outdated(id) ? 1 : 0;
    }
    for (const auto& [id, pool] : draft.membership.leaving) {
        if (draft.is_dedicated(id) || !draft.pods.contains(id)) {
            continue;
        }
        ++counts.leaving;
        const Standing* standing = draft.ledger.find(id);
        counts.leaving_up += standing != nullptr && standing->up && draft.world.brokers ? 1 : 0;
    }
    return counts;
}

/// All that is wrong with the spec, at most five and how many more.
std::string problems_text(const std::vector<std::string>& problems) {
    constexpr std::size_t most = 5;
    std::string text;
    for (std::size_t i = 0; i < std::min(problems.size(), most); ++i) {
        text += (i == 0 ? "" : "; ") + problems[i];
    }
    return problems.size() > most ? fmt::format("{}; and {} more", text, problems.size() - most)
                                  : text;
}

/// The first broker that waits, with what for.
std::string first_wait(const api::ClusterStatus& status) {
    for (const api::BrokerStatus& broker : status.brokers) {
        if (!broker.waiting_for.empty()) {
            return fmt::format("broker {}: {}", broker.id, broker.waiting_for);
        }
    }
    return "";
}

class Conditions {
public:
    Conditions(Draft& draft, api::ClusterStatus& status)
        : generation_(draft.world.cluster.metadata.generation),
          now_(kube::time_text(draft.world.now)),
          status_(status) {}

    void set(std::string_view type, bool holds, std::string reason, std::string message) {
        put(type, holds ? "True" : "False", std::move(reason), std::move(message));
    }
    void unknown(std::string_view type, std::string reason, std::string message) {
        put(type, "Unknown", std::move(reason), std::move(message));
    }

private:
    void put(std::string_view type, const char* value, std::string reason, std::string message) {
        api::Condition condition;
        condition.type = type;
        condition.status = value;
        condition.reason = std::move(reason);
        condition.message = std::move(message);
        condition.observed_generation = generation_;
        api::set_condition(status_.conditions, std::move(condition), now_);
    }
    const std::int64_t generation_;
    const std::string now_;
    api::ClusterStatus& status_;
};

std::string offline_text(const brokers::PartitionFacts& partitions) {
    if (partitions.offline == 0) {
        return "";
    }
    const std::string count = partitions.offline == 1
                                  ? "1 partition has no leader"
                                  : fmt::format("{} partitions have no leader", partitions.offline);
    return partitions.first_offline.empty() ? count : count + ": " + partitions.first_offline;
}

/// Why clients can't use all of it; empty: they can.
std::string unusable_text(const brokers::PartitionFacts& partitions) {
    if (partitions.offline > 0 || partitions.under_min_isr == 0) {
        return offline_text(partitions);
    }
    return fmt::format(
        "{} refuse{} records of acks=all: fewer replicas are in sync than min.insync.replicas asks "
        "for",
        partitions.under_min_isr == 1 ? "1 partition"
                                      : std::to_string(partitions.under_min_isr) + " partitions",
        partitions.under_min_isr == 1 ? "s" : "");
}

void set_health(Draft& draft, const Quorum& quorum, api::ClusterStatus& status,
                Conditions& conditions) {
    if (!draft.world.brokers || quorum.lost) {
        const char* reason = quorum.lost ? "NoController" : "NoAnswer";
        const std::string text = quorum.lost ? lost_text(quorum) : "no broker answers";
        conditions.unknown("Healthy", reason, text);
        conditions.set("Available", false, reason, text);
        if (status.health && status.health->as_of.empty()) {
            status.health->as_of = kube::time_text(draft.world.now);
        }
        return;
    }
    const brokers::PartitionFacts& partitions = draft.world.brokers->partitions;
    status.health = api::HealthStatus{partitions.offline, partitions.under_min_isr,
                                      partitions.under_replicated, partitions.rack_violations};
    const bool well = partitions.offline == 0 && partitions.under_min_isr == 0;
    conditions.set("Healthy", well && partitions.under_replicated == 0,
                   well ? (partitions.under_replicated == 0 ? "InSync" : "UnderReplicated")
                        : "PartitionsUnavailable",
                   well && partitions.under_replicated == 0
                       ? ""
                       : fmt::format("{} partitions offline, {} refuse writes, {} not in sync",
                                     partitions.offline, partitions.under_min_isr,
                                     partitions.under_replicated));
    conditions.set("Available", partitions.offline == 0,
                   partitions.offline == 0 ? "Serving" : "PartitionsOffline",
                   offline_text(partitions));
}

struct NoRack {
    std::string why;
    bool passes = false;  ///< It will be known by itself.
};

NoRack why_no_rack(const Draft& draft, const render::Member& member) {
    const api::RackSpec& rack = draft.world.cluster.spec.rack;
    if (rack.source == api::RackSource::pool) {
        return {
            fmt::format("broker {} has no rack: spec.rack.source is Pool and pool {} has none; "
                        "write spec.pools[].rack",
                        member.id, member.pool.name)};
    }
    const auto pod = draft.pods.find(member.id);
    if (pod == draft.pods.end() || pod->second.node.empty()) {
        return {fmt::format("broker {} has no {} yet: that tells its rack", member.id,
                            pod == draft.pods.end() ? "pod" : "node"),
                true};
    }
    if (draft.world.nodes.empty()) {
        return {
            fmt::format("broker {} has no rack: its pod has no label {} (before Kubernetes "
                        "1.35, install the operator with rbac.readNodes=true)",
                        member.id, rack.topology_key)};
    }
    if (!draft.world.nodes.contains(pod->second.node)) {
        return {fmt::format("broker {} is on node {}, which isn't known yet", member.id,
                            pod->second.node),
                true};
    }
    return {fmt::format("broker {} has no rack: its node {} has no label {}", member.id,
                        pod->second.node, rack.topology_key)};
}

void set_racks(const Draft& draft, Conditions& conditions) {
    if (draft.world.cluster.spec.rack.spread == api::RackSpread::off) {
        conditions.set("RackPlacement", true, "Off", "spec.rack.spread is Off");
        return;
    }
    NoRack passing;
    for (const auto& [id, member] : draft.membership.wanted) {
        NoRack none =
            member.broker && draft.rack_of(id).empty() ? why_no_rack(draft, member) : NoRack{};
        if (!none.why.empty() && !none.passes) {
            conditions.set("RackPlacement", false, "RackUnknown", std::move(none.why));
            return;
        }
        passing = passing.why.empty() ? std::move(none) : std::move(passing);
    }
    const int violations =
        draft.world.brokers ? draft.world.brokers->partitions.rack_violations : 0;
    if (violations == 0 && !passing.why.empty()) {
        conditions.unknown("RackPlacement", "RackNotYetKnown", std::move(passing.why));
        return;
    }
    conditions.set("RackPlacement", violations == 0, violations == 0 ? "Spread" : "Violations",
                   violations == 0
                       ? ""
                       : fmt::format("{} partitions have two replicas in one rack", violations));
}

void set_certificates(const Draft& draft, Conditions& conditions) {
    if (!render::has_certificates(draft.subject)) {
        return;
    }
    if (!draft.certificates_problem.empty()) {
        conditions.set("CertificatesValid", false, "NoAuthority", draft.certificates_problem);
    } else if (draft.missing_certificates > 0) {
        conditions.set("CertificatesValid", false, "Issuing",
                       fmt::format("{} certificates are missing", draft.missing_certificates));
    } else {
        conditions.set("CertificatesValid", true,
                       draft.certificates_wait.empty() ? "Issued" : "Renewing",
                       draft.certificates_wait);
    }
}

/// Who is still to get a share of the replicas, or to give one away; empty: nobody.
std::string who_comes_or_goes(const Draft& draft) {
    std::string ids;
    for (const auto& [id, pool] : draft.membership.leaving) {
        if (!draft.is_dedicated(id)) {
            ids += fmt::format("{}{}", ids.empty() ? "" : ", ", id);
        }
    }
    if (!ids.empty()) {
        return fmt::format("still to leave: brokers {}", ids);
    }
    if (draft.world.cluster.spec.balance.mode == api::BalanceMode::off) {
        return "";  // Nobody gives replicas to those that come.
    }
    for (const auto& [id, member] : draft.membership.wanted) {
        if (member.broker && !draft.balanced.contains(id)) {
            ids += fmt::format("{}{}", ids.empty() ? "" : ", ", id);
        }
    }
    return ids.empty() ? "" : fmt::format("still to get their share of replicas: brokers {}", ids);
}

void set_balance(const Draft& draft, Conditions& conditions) {
    if (!draft.balance_problem.empty()) {
        conditions.unknown("Balanced", "CantPlan", draft.balance_problem);
    } else if (draft.rebalance && draft.rebalance->state != api::RebalanceState::idle) {
        const bool waits = draft.rebalance->state == api::RebalanceState::awaiting_approval;
        conditions.set("Balanced", false, std::string(api::to_string(draft.rebalance->state)),
                       draft.rebalance->trigger + (waits ? fmt::format("; plan {} is not approved",
                                                                       draft.rebalance->plan_hash)
                                                         : std::string()));
    } else if (const std::string coming = who_comes_or_goes(draft); !coming.empty()) {
        conditions.set("Balanced", false, "Scaling", coming);
    } else {
        conditions.set("Balanced", true, "Settled", "");
    }
}

void set_rolling(Draft& draft, const Counts& counts, api::ClusterStatus& status,
                 Conditions& conditions) {
    const auto& before = draft.world.cluster.status.rolling;
    if (!draft.problems.empty() && !before) {  // Nobody restarts for a spec that isn't carried out.
        conditions.set("UpToDate", false, "SpecInvalid", "the spec is not carried out");
        status.rolling.reset();
        return;
    }
    const bool updated = counts.updated == counts.wanted && counts.controllers_well;
    conditions.set("UpToDate", updated, updated ? "Updated" : "Rolling", draft.roll_waits);
    bool rolls = false;
    for (const auto& [id, member] : draft.membership.wanted) {
        rolls |= draft.is_outdated(id);
    }
    const bool last_returns = before && !draft.ledger.down().empty();
    if (!rolls && !last_returns) {
        status.rolling.reset();
        return;
    }
    api::RollingStatus rolling;
    const auto& asked = draft.world.cluster.spec.rolling.restart;
    rolling.reason = !rolls ? before->reason
                     : asked && *asked != draft.world.cluster.status.restarted
                         ? "a restart was asked for"
                     : !draft.found_elsewhere.empty() ? "a load balancer has another address"
                                                      : "the spec has changed";
    rolling.total = static_cast<std::int32_t>(draft.membership.wanted.size());
    const bool is_stopped = !draft.problems.empty() && draft.world.refused_edit.empty();
    rolling.waiting_for = is_stopped                        ? "the spec is not valid"
                          : draft.world.cluster.spec.paused ? "spec.paused is set"
                                                            : draft.roll_waits;
    for (const int id : draft.ledger.down()) {
        if (draft.membership.wanted.contains(id) && !draft.is_outdated(id)) {
            rolling.current.push_back(id);
        }
    }
    for (const auto& [id, member] : draft.membership.wanted) {
        rolling.done +=
            draft.pods.contains(id) && !draft.is_outdated(id) && !draft.ledger.is_down(id) ? 1 : 0;
    }
    if (rolling.waiting_for.empty() && !rolling.current.empty()) {
        const Standing* standing = draft.ledger.find(rolling.current.front());
        rolling.waiting_for = fmt::format("broker {}: {}", rolling.current.front(), standing->why);
    }
    status.rolling = std::move(rolling);
}

std::string phase_of(const Draft& draft, const Counts& counts, const api::ClusterStatus& status) {
    const std::string& before = draft.world.cluster.status.phase;
    if (!draft.problems.empty()) {
        return "Invalid";
    }
    if (draft.world.cluster.spec.paused) {
        return "Paused";
    }
    const bool all_up = counts.up == counts.wanted;
    if (!all_up && (before.empty() || before == "Creating" || before == "Invalid")) {
        return "Creating";
    }
    if (status.rolling) {
        return "Rolling";
    }
    if (!draft.membership.leaving.empty() || !draft.membership.joining.empty() || draft.rebalance) {
        return "Scaling";
    }
    if (!all_up) {
        return before == "Scaling" ? "Scaling" : "Degraded";
    }
    const bool well = status.health && status.health->offline_partitions == 0 &&
                      status.health->under_min_isr == 0;
    return well ? "Running" : "Degraded";
}

/// What the API server would not have, one of each kind: a quota of pods and another one of disks
/// are two things to be mended.
std::vector<std::string> refusals(const Draft& draft) {
    std::vector<std::string> texts;
    std::map<std::string, std::size_t> more;
    std::map<std::string, std::size_t> place;
    for (const Refusal& one : draft.world.refused) {
        if (place.try_emplace(one.kind, texts.size()).second) {
            texts.push_back(one.text);
        } else {
            ++more[one.kind];
        }
    }
    for (const auto& [kind, count] : more) {
        texts[place[kind]] += fmt::format(" (and {} more)", count);
    }
    return texts;
}

std::string message_of(const Draft& draft, const Quorum& quorum, const api::ClusterStatus& status) {
    if (!draft.problems.empty()) {
        const std::string wait = draft.world.refused_edit.empty() ? "" : first_wait(status);
        return problems_text(draft.problems) +
               (wait.empty() ? "" : fmt::format(" (by the spec of before: {})", wait));
    }
    if (draft.world.cluster.spec.paused) {
        return "spec.paused is set: nothing is changed";
    }
    if (quorum.lost && quorum.voters.size() > 1) {  // A single one is any broker that is away.
        const std::string wait = first_wait(status);
        return lost_text(quorum) + (wait.empty() ? "" : " (" + wait + ")");
    }
    if (!draft.world.refused.empty()) {
        return fmt::format("{}", fmt::join(refusals(draft), "; "));
    }
    if (!draft.certificates_problem.empty()) {
        return draft.certificates_problem;
    }
    if (!draft.scale_waits.empty()) {
        return draft.scale_waits;
    }
    if (const std::string wait = first_wait(status); !wait.empty()) {
        return wait;
    }
    for (const std::string* wait : {&draft.quorum_waits, &draft.roll_waits, &draft.volume_waits}) {
        if (!wait->empty()) {
            return *wait;
        }
    }
    return draft.world.brokers ? unusable_text(draft.world.brokers->partitions) : "";
}

/// Ids that the spec names and that no broker has: hardly meant, unless it has left by now. No more
/// than a remark.
std::string unknown_brokers(const Draft& draft) {
    std::string text;
    const auto look = [&](const std::string& field, const std::vector<std::int32_t>& ids) {
        std::vector<std::int32_t> unknown;
        std::copy_if(ids.begin(), ids.end(), std::back_inserter(unknown), [&](std::int32_t id) {
            return !draft.membership.wanted.contains(id) && !draft.membership.leaving.contains(id);
        });
        std::sort(unknown.begin(), unknown.end());
        if (!unknown.empty()) {
            text += fmt::format("{}{} names {}, and there is no such broker",
                                text.empty() ? "" : "; ", field, fmt::join(unknown, ", "));
        }
    };
    const api::ClusterSpec& spec = draft.world.cluster.spec;
    look("spec.remove", spec.remove);
    for (const api::PoolSpec& pool : spec.pools) {
        look(fmt::format("spec.pools[{}].remove", pool.name), pool.remove);
    }
    look("spec.rolling.hold", spec.rolling.hold);
    return text;
}

std::string waiting_before(const Draft& draft, int id) {
    for (const api::BrokerStatus& one : draft.world.cluster.status.brokers) {
        if (one.id == id) {
            return one.waiting_for;
        }
    }
    return "";
}

/// It waits for what we are about to write: no news for anybody.
bool waits_for_us(const Draft& draft, const api::BrokerStatus& broker) {
    const std::string& wait = broker.waiting_for;
    return wait == settings_come ||
           wait.find(render::config_name(draft.name(), broker.id, "")) != std::string::npos ||
           wait.find(render::certificate_name(draft.name(), broker.id)) != std::string::npos;
}

/// What went wrong and wasn't said yet: the stored status is what was said.
void add_warnings(Draft& draft, const api::ClusterStatus& status) {
    const api::ClusterStatus& before = draft.world.cluster.status;
    if (!draft.problems.empty() && !before.message.starts_with(problems_text(draft.problems))) {
        draft.plan.warnings.push_back({"SpecInvalid", problems_text(draft.problems)});
    }
    for (const api::BrokerStatus& broker : status.brokers) {
        const auto pod = draft.pods.find(broker.id);
        if (pod != draft.pods.end() &&
            (!pod->second.trouble.empty() || !pod->second.last_end.empty()) &&
            broker.waiting_for != waiting_before(draft, broker.id) &&
            !waits_for_us(draft, broker)) {
            draft.plan.warnings.push_back(
                {"BrokerTroubled", fmt::format("broker {}: {}", broker.id, broker.waiting_for)});
        }
    }
    for (const auto& [id, text] : draft.doomed_disks) {
        if (text != waiting_before(draft, id)) {
            draft.plan.warnings.push_back({"DiskGoes", fmt::format("broker {}: {}", id, text)});
        }
    }
    if (!draft.certificates_problem.empty() && draft.certificates_problem != before.message) {
        draft.plan.warnings.push_back({"NoAuthority", draft.certificates_problem});
    }
    for (std::string& text : refusals(draft)) {
        if (before.message.find(text) == std::string::npos) {
            draft.plan.warnings.push_back({"Refused", std::move(text)});
        }
    }
    if (draft.roll_refused && status.message == draft.roll_waits &&
        draft.roll_waits != before.message) {
        draft.plan.warnings.push_back({"Refused", draft.roll_waits});
    }
    if (!draft.volume_waits.empty() && status.message == draft.volume_waits &&
        draft.volume_waits != before.message) {
        draft.plan.warnings.push_back({"DiskKept", draft.volume_waits});
    }
    if (draft.scale_refused && draft.scale_waits != before.message) {
        draft.plan.warnings.push_back({"ScaleRefused", draft.scale_waits});
    }
    if (!draft.beyond_repair.empty() && draft.beyond_repair != before.message) {
        draft.plan.warnings.push_back({"ReplicasLost", draft.beyond_repair});
    }
}

}  // namespace

void fill_status(Draft& draft) {
    const World& world = draft.world;
    api::ClusterStatus& status = draft.plan.status;
    status = world.cluster.status;
    status.observed_generation = world.cluster.metadata.generation;
    status.cluster_id = draft.cluster_id;
    status.selector = fmt::format("{}={}", render::label::cluster, draft.name());
    const Counts counts = counts_of(draft);
    // What the cluster stays with when the spec names none: never a version that nobody ran.
    const bool all_run_it = counts.up == counts.wanted && counts.updated == counts.wanted;
    if (!world.cluster.spec.version || all_run_it) {
        status.version = render::version_of(draft.subject);
    }
    status.revision.target = render::template_of(draft.subject);
    if (all_run_it || status.revision.current == 0) {
        status.revision.current = status.revision.target;
    }
    // As a Deployment: those that are to go count until they are gone.
    status.replicas = counts.wanted + counts.leaving;
    status.ready_replicas = counts.up + counts.leaving_up;
    status.updated_replicas = counts.updated;
    status.draining_replicas = static_cast<std::int32_t>(draft.membership.leaving.size());
    status.brokers.clear();
    for (const auto& [id, member] : draft.membership.wanted) {
        status.brokers.push_back(broker_status(draft, id, member.pool.name));
    }
    for (const auto& [id, pool] : draft.membership.leaving) {
        if (draft.pods.contains(id) || draft.broker(id) != nullptr) {
            status.brokers.push_back(broker_status(draft, id, pool));
        }
    }
    const Quorum quorum = quorum_of(draft);
    api::ControllersStatus controllers;
    controllers.voters.assign(quorum.voters.begin(), quorum.voters.end());
    const int leader = world.brokers && !quorum.lost ? world.brokers->controller : -1;
    if (leader >= 0 &&
        std::find(quorum.away.begin(), quorum.away.end(), leader) == quorum.away.end()) {
        controllers.leader = leader;
    }
    status.controllers = std::move(controllers);
    status.listeners = listener_status(draft);
    status.rebalance = draft.rebalance;

    Conditions conditions(draft, status);
    const std::string unknown = unknown_brokers(draft);
    conditions.set("SpecValid", draft.problems.empty(),
                   draft.problems.empty() ? "Valid" : "Invalid",
                   draft.problems.empty() ? unknown : problems_text(draft.problems));
    conditions.set("Paused", world.cluster.spec.paused,
                   world.cluster.spec.paused ? "Paused" : "Working", "");
    set_health(draft, quorum, status, conditions);
    conditions.set("BrokersReady", counts.up == counts.wanted,
                   counts.up == counts.wanted ? "AllReady" : "Waiting", first_wait(status));
    set_certificates(draft, conditions);
    set_rolling(draft, counts, status, conditions);
    set_racks(draft, conditions);
    set_balance(draft, conditions);

    status.phase = phase_of(draft, counts, status);
    status.message = message_of(draft, quorum, status);
    const bool clients_can_use_it = world.brokers && !quorum.lost &&
                                    world.brokers->partitions.offline == 0 &&
                                    world.brokers->partitions.under_min_isr == 0;
    const bool is_current = counts.updated == counts.wanted && counts.controllers_well;
    const bool rests = draft.roll_rests && draft.ledger.down().empty();
    const bool ready = draft.problems.empty() && counts.up == counts.wanted &&
                       (is_current || rests) && draft.membership.leaving.empty() &&
                       clients_can_use_it;
    conditions.set("Ready", ready, ready ? "Ready" : status.phase, ready ? "" : status.message);
    conditions.set("Progressing",
                   !ready || draft.rebalance.has_value() || !draft.quorum_waits.empty(),
                   status.phase, ready ? draft.quorum_waits : status.message);
    if (counts.updated == counts.wanted) {
        status.restarted = render::restart_of(draft.subject);
    }
    api::fill_summary(status, counts.wanted);
    add_warnings(draft, status);
}

}  // namespace millrace::planner
