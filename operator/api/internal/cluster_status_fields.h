// operator/api/internal/cluster_status_fields.h
//
// The description of Cluster's status.
#pragma once

#include "operator/api/cluster.h"
#include "operator/api/internal/shared_fields.h"

namespace millrace::api {

template <typename Visitor>
void describe(Visitor& v, BrokerStatus& s) {
    v.field("id", s.id, {.doc = "Kafka's broker id.", .required = true});
    v.field("pool", s.pool, {.doc = "Its pool."});
    v.field("rack", s.rack, {.doc = "Its rack; absent: unknown."});
    v.field("pod", s.pod, {.doc = "Its pod."});
    v.field("ready", s.ready, {.doc = "Clients can use it."});
    v.field("updated", s.updated, {.doc = "It runs what the spec asks for."});
    v.field("state", s.state, {.doc = "What it does."});
    v.field("since", s.since, {.doc = "When it came into that state."});
    v.field("recoveryPercent", s.recovery_percent,
            {.doc = "While Recovering: how much of its log is checked."});
    v.field("balanced", s.balanced,
            {.doc = "It was given its share of replicas since it came, or none were to move."});
    v.field("volumes", s.volumes,
            {.doc = "Ids of its volumes that were given their share of its replicas."});
    v.field("closedVolumes", s.closed_volumes,
            {.doc = "Ids of volumes that take no new replica: the spec has them no more."});
    v.field("waitingFor", s.waiting_for, {.doc = "What it waits for, in one line."});
}

template <typename Visitor>
void describe(Visitor& v, RevisionStatus& s) {
    v.field("current", s.current, {.doc = "Revision of the pod template that all brokers run."});
    v.field("target", s.target, {.doc = "Revision that is being rolled out."});
}

template <typename Visitor>
void describe(Visitor& v, ControllersStatus& s) {
    v.field("leader", s.leader, {.doc = "Id of the active controller; absent: none answers."});
    v.field("voters", s.voters, {.doc = "Ids of the quorum's voters."});
}

template <typename Visitor>
void describe(Visitor& v, ListenerStatus& s) {
    v.field("name", s.name, {.doc = "Its name.", .required = true});
    v.field("type", s.type, {.doc = "Its type."});
    v.field("bootstrap", s.bootstrap, {.doc = "What clients are configured with."});
    v.field("addresses", s.addresses, {.doc = "Of every broker."});
}

template <typename Visitor>
void describe(Visitor& v, RollingStatus& s) {
    v.field("reason", s.reason, {.doc = "Why brokers are restarted."});
    v.field("done", s.done, {.doc = "Brokers that are through."});
    v.field("total", s.total, {.doc = "Brokers that have to be restarted."});
    v.field("current", s.current, {.doc = "Brokers that are down on purpose now."});
    v.field("waitingFor", s.waiting_for, {.doc = "What the next one waits for, in one line."});
}

template <typename Visitor>
void describe(Visitor& v, RebalanceMoves& s) {
    v.field("total", s.total, {.doc = "Replicas that move."});
    v.field("done", s.done, {.doc = "Replicas that have moved."});
    v.field("inFlight", s.in_flight, {.doc = "Replicas that are moving now."});
}

template <typename Visitor>
void describe(Visitor& v, RebalanceBytes& s) {
    v.field("total", s.total, {.doc = "Bytes to copy."});
    v.field("done", s.done, {.doc = "Bytes copied."});
}

template <typename Visitor>
void describe(Visitor& v, RebalanceStatus& s) {
    v.field("state", s.state, {.doc = "What happens."});
    v.field("trigger", s.trigger, {.doc = "Why: what changed."});
    v.field("planHash", s.plan_hash,
            {.doc = "Identity of the plan: what balance.approve has to say in mode Manual."});
    v.field("moves", s.moves, {.doc = "Replicas."});
    v.field("bytes", s.bytes, {.doc = "Data."});
    v.field("rate", s.rate, {.doc = "Bytes a second."});
    v.field("eta", s.eta, {.doc = "How long it will still take."});
    v.field("lowerBound", s.lower_bound, {.doc = "Moves that no plan can do without."});
    v.field("blockedBy", s.blocked_by, {.doc = "What keeps it from going on, in one line."});
}

template <typename Visitor>
void describe(Visitor& v, HealthStatus& s) {
    v.field("offlinePartitions", s.offline_partitions, {.doc = "Partitions without a leader."});
    v.field("underMinIsr", s.under_min_isr,
            {.doc = "Partitions with fewer replicas in sync than min.insync.replicas."});
    v.field("underReplicated", s.under_replicated,
            {.doc = "Partitions with a replica that isn't in sync."});
    v.field("rackViolations", s.rack_violations,
            {.doc = "Partitions with more replicas in a rack than need be."});
    v.field("asOf", s.as_of,
            {.doc = "When no controller or no broker answers: since when these figures are old. "
                    "Absent: they hold now."});
}

template <typename Visitor>
void describe(Visitor& v, ClusterSummary& s) {
    v.field("ready", s.ready, {.doc = "Ready brokers of all."});
    v.field("rolling", s.rolling, {.doc = "Restarted brokers of all that have to be."});
    v.field("moving", s.moving, {.doc = "Share of the data that has moved."});
    v.field("racks", s.racks, {.doc = "Racks with a broker."});
    v.field("bootstrap", s.bootstrap, {.doc = "Bootstrap address of the first listener."});
}

template <typename Visitor>
void describe(Visitor& v, ClusterStatus& s) {
    v.field("observedGeneration", s.observed_generation,
            {.doc = "Generation of the spec that this status speaks of."});
    v.field("clusterId", s.cluster_id, {.doc = "Kafka's cluster id."});
    v.field("version", s.version, {.doc = "Version that the brokers run."});
    v.field("revision", s.revision, {.doc = "Revisions of the pod template."});
    v.field("phase", s.phase, {.doc = "One word for all of it."});
    v.field("message", s.message, {.doc = "One line: what happens or what is waited for."});
    v.field("replicas", s.replicas, {.doc = "Brokers that exist."});
    v.field("ready", s.ready_replicas, {.doc = "Brokers that clients can use."});
    v.field("updated", s.updated_replicas, {.doc = "Brokers that run what the spec asks for."});
    v.field("draining", s.draining_replicas, {.doc = "Brokers that are leaving."});
    v.field("selector", s.selector, {.doc = "Label selector of the brokers' pods."});
    v.field("brokers", s.brokers, {.doc = "Each broker.", .key = "id"});
    v.field("controllers", s.controllers, {.doc = "The metadata quorum."});
    v.field("listeners", s.listeners, {.doc = "Where clients connect.", .key = "name"});
    v.field("rolling", s.rolling, {.doc = "The rolling restart; absent: none."});
    v.field("rebalance", s.rebalance, {.doc = "The movement of replicas."});
    v.field("health", s.health, {.doc = "What the brokers' metadata says."});
    v.field("restarted", s.restarted, {.doc = "The rolling.restart that has been carried out."});
    v.field("summary", s.summary, {.doc = "What kubectl get shows."});
    describe_conditions(v, s.conditions,
                        "Ready, Available, Healthy, Progressing, SpecValid, BrokersReady, "
                        "UpToDate, Balanced, RackPlacement, CertificatesValid, "
                        "OperatorUpdateAvailable, Paused, Stable.");
}

}  // namespace millrace::api
