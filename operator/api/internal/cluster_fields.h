// operator/api/internal/cluster_fields.h
//
// The description of kind Cluster: names, words for people, limits and rules of every field.
#pragma once

#include <algorithm>
#include <fmt/core.h>

#include "operator/api/cluster.h"
#include "operator/api/internal/shared_fields.h"

namespace millrace::api {

inline constexpr std::int64_t most_brokers = 1000;
inline constexpr std::int64_t most_brokers_of_a_pool = most_brokers;
inline constexpr std::int64_t most_id = 1'000'000;

// Judged in cluster.cc, beside the CEL that says the same.
bool is_host(const Json& self, const Json* old_self);
bool hides_nothing_of_ours(const Json& self, const Json* old_self);
bool has_plain_path(const Json& self, const Json* old_self);
bool names_a_class(const Json& self, const Json* old_self);
bool keeps_first_disk(const Json& self, const Json* old_self);
bool listener_ports_differ(const Json& self, const Json* old_self);
bool advertised_addresses_differ(const Json& self, const Json* old_self);
bool has_a_broker(const Json& self, const Json* old_self);
bool renews_in_time(const Json& self, const Json* old_self);
std::string host_cel();
std::string plain_path_cel();
std::string own_path_cel();
std::string class_cel();
std::string first_disk_cel();
std::string renewal_cel();

// ---- Storage ---------------------------------------------------------------------------------

template <typename Visitor>
void describe(Visitor& v, StorageRetention& s) {
    v.field("whenScaled", s.when_scaled,
            {.doc = "What happens to the disks of a broker that left by scaling in."});
    v.field("whenDeleted", s.when_deleted,
            {.doc = "What happens to all disks when the Cluster is deleted. Retain keeps the data; "
                    "a Cluster of the same name finds it again."});
}

/// Of a StorageSpec and of each of its volumes.
template <typename Visitor>
void describe_disk_rules(Visitor& v) {
    v.rule({.cel = "!has(self.size) || !isQuantity(string(self.size)) || "
                   "quantity(string(self.size)).compareTo(quantity('1Mi')) >= 0",
            .message = "size is less than 1Mi: write it with a unit, for example 100Gi",
            .holds = [](const Json& self, const Json*) {
                return !is_quantity(self["size"]) ||
                       quantity_of(self["size"]) >= *Quantity::parse("1Mi");
            }});
    v.rule({.cel = class_cel(),
            .message = "class is no name that a StorageClass can have: kubectl get storageclass "
                       "shows them",
            .holds = names_a_class});
}

template <typename Visitor>
void describe(Visitor& v, VolumeSpec& s) {
    v.field("id", s.id,
            {.doc = "Number of the disk, kept for life.",
             .required = true,
             .minimum = 0,
             .maximum = 99});
    v.field("size", s.size,
            {.doc = "Size of the disk. It can grow, never shrink.",
             .required = true,
             .example = "100Gi"});
    v.field("class", s.storage_class,
            {.doc = "StorageClass; absent: the namespace's default. Disks that exist keep theirs.",
             .max_length = 253});
    v.rule({.cel = "!isQuantity(string(self.size)) || "
                   "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
            .message = "a disk can only grow: give a size that is not smaller than before",
            .holds = [](const Json& self, const Json* old_self) {
                return !is_quantity(self["size"]) ||
                       quantity_of(self["size"]) >= quantity_of((*old_self)["size"]);
            }});
    describe_disk_rules(v);
}

template <typename Visitor>
void describe(Visitor& v, StorageSpec& s) {
    v.field(
        "size", s.size,
        {.doc = "Size of each broker's one disk. It can grow, never shrink.", .example = "100Gi"});
    v.field(
        "class", s.storage_class,
        {.doc = "StorageClass of the disk; absent: the namespace's default. Disks that exist keep "
                "theirs.",
         .max_length = 253});
    v.field("volumes", s.volumes,
            {.doc = "Several disks a broker, instead of size. A new entry receives replicas.",
             .max_items = 16,
             .key = "id"});
    v.field("ephemeral", s.ephemeral,
            {.doc = "Disks live and die with the pod. For tests: a broker that restarts on "
                    "another node has lost its copies."});
    v.field("retention", s.retention, {.doc = "What happens to disks that are no longer used."});
    v.rule({.cel = "has(self.size) != (has(self.volumes) && size(self.volumes) > 0)",
            .message = "give either size (one disk a broker) or volumes (several), for example "
                       "size: 100Gi",
            .holds = [](const Json& self, const Json*) {
                return self.has("size") == self["volumes"].empty();
            }});
    v.rule({.cel = "!has(self.size) || !has(oldSelf.size) || !isQuantity(string(self.size)) || "
                   "quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0",
            .message = "a disk can only grow: give a size that is not smaller than before",
            .holds = [](const Json& self, const Json* old_self) {
                return !is_quantity(self["size"]) || !old_self->has("size") ||
                       quantity_of(self["size"]) >= quantity_of((*old_self)["size"]);
            }});
    v.rule({.cel = first_disk_cel(),
            .message = "the disk with the lowest id (size is disk 0) has the metadata: "
                       "it stays the first",
            .holds = keeps_first_disk});
    v.rule({.cel = "self.ephemeral == oldSelf.ephemeral",
            .message = "ephemeral can't change on a running cluster: create another one",
            .holds = [](const Json& self, const Json* old_self) {
                return same(self, *old_self, "ephemeral");
            }});
    describe_disk_rules(v);
}

// ---- Pods ------------------------------------------------------------------------------------

template <typename Visitor>
void describe(Visitor& v, KeyReference& s) {
    v.field(
        "name", s.name,
        {.doc = "Name of the object in the same namespace.", .required = true, .max_length = 253});
    v.field("key", s.key, {.doc = "Key in it.", .required = true, .max_length = 253});
}

template <typename Visitor>
void describe(Visitor& v, ValueSource& s) {
    v.field("configMapKeyRef", s.config_map_key, {.doc = "A key of a ConfigMap."});
    v.field("secretKeyRef", s.secret_key, {.doc = "A key of a Secret."});
    v.rule({.cel = "has(self.configMapKeyRef) != has(self.secretKeyRef)",
            .message = "give one of configMapKeyRef and secretKeyRef",
            .holds = [](const Json& self, const Json*) {
                return self.has("configMapKeyRef") != self.has("secretKeyRef");
            }});
}

template <typename Visitor>
void describe(Visitor& v, EnvironmentVariable& s) {
    v.field("name", s.name,
            {.doc = "Name of the variable.",
             .required = true,
             .pattern = "^[A-Za-z_][A-Za-z0-9_]*$",
             .max_length = 128});
    v.field("value", s.value, {.doc = "Its value.", .max_length = 4096});
    v.field("valueFrom", s.value_from, {.doc = "Where its value is read."});
    v.rule({.cel = "has(self.value) != has(self.valueFrom)",
            .message = "give one of value and valueFrom",
            .holds = [](const Json& self, const Json*) {
                return self.has("value") != self.has("valueFrom");
            }});
    v.rule({.cel = "!self.name.startsWith('MILLRACE_') && !self.name.startsWith('LD_') && "
                   "!(self.name in ['PATH', 'HOME', 'POD_IP', 'RACK'])",
            .message = "MILLRACE_*, LD_*, PATH, HOME, POD_IP and RACK are the operator's own: "
                       "settings belong into spec.config",
            .holds = [](const Json& self, const Json*) {
                const std::string& name = self["name"].text();
                return !name.starts_with("MILLRACE_") && !name.starts_with("LD_") &&
                       name != "PATH" && name != "HOME" && name != "POD_IP" && name != "RACK";
            }});
}

template <typename Visitor>
void describe(Visitor& v, Toleration& s) {
    v.field("key", s.key, {.doc = "Key of the taint; absent: any.", .max_length = 316});
    v.field("operator", s.op,
            {.doc = "Equal or Exists.", .pattern = "^(Equal|Exists)$", .example = "Exists"});
    v.field("value", s.value, {.doc = "Value of the taint.", .max_length = 63});
    v.field("effect", s.effect,
            {.doc = "NoSchedule, PreferNoSchedule or NoExecute; absent: any.",
             .pattern = "^(NoSchedule|PreferNoSchedule|NoExecute)?$",
             .example = "NoSchedule"});
    v.field("tolerationSeconds", s.toleration_seconds, {.doc = "For NoExecute: for how long."});
}

template <typename Visitor>
void describe(Visitor& v, EmptyDirectory& s) {
    v.field("sizeLimit", s.size_limit, {.doc = "The most it may hold.", .example = "1Gi"});
}

template <typename Visitor>
void describe(Visitor& v, ExtraVolume& s) {
    v.field("name", s.name,
            {.doc = "Name of the volume.",
             .required = true,
             .pattern = object_name_pattern,
             .max_length = 50});
    v.field("mountPath", s.mount_path,
            {.doc = "Where it appears in the container.",
             .required = true,
             .pattern = "^/[^:]*$",
             .max_length = 512});
    v.field("configMap", s.config_map, {.doc = "Files from a ConfigMap."});
    v.field("emptyDir", s.empty_dir, {.doc = "Scratch space."});
    v.rule({.cel = "has(self.configMap) != has(self.emptyDir)",
            .message = "give one of configMap and emptyDir",
            .holds = [](const Json& self, const Json*) {
                return self.has("configMap") != self.has("emptyDir");
            }});
    v.rule({.cel = "!self.mountPath.startsWith('/etc/millrace') && "
                   "!self.mountPath.startsWith('/var/lib/millrace')",
            .message = "/etc/millrace and /var/lib/millrace are the operator's own: mount it "
                       "elsewhere",
            .holds = [](const Json& self, const Json*) {
                const std::string& path = self["mountPath"].text();
                return !path.starts_with("/etc/millrace") && !path.starts_with("/var/lib/millrace");
            }});
    v.rule({.cel = plain_path_cel(),
            .message = "mountPath has a component that is empty, . or ..: write where it leads to, "
                       "for example /etc/other",
            .holds = has_plain_path});
    v.rule({.cel = own_path_cel(),
            .message = "a volume at this mountPath would hide the broker's own files: mount it in "
                       "a directory of its own, for example /etc/other",
            .holds = hides_nothing_of_ours});
}

inline bool names_an_owned_label(const Json& labels) {
    return std::any_of(labels.members().begin(), labels.members().end(), [](const auto& label) {
        return label.first.starts_with("millrace.dev/") ||
               label.first.starts_with("app.kubernetes.io/");
    });
}

template <typename Visitor>
void describe(Visitor& v, PodTemplate& s) {
    v.field("labels", s.labels,
            {.doc = "Labels added to the pods.", .max_length = 63, .max_items = 32});
    v.field("annotations", s.annotations,
            {.doc = "Annotations added to the pods.", .max_length = 4096, .max_items = 32});
    v.field("affinity", s.affinity,
            {.doc = "Kubernetes' own affinity, beside the rack rules of the operator."});
    v.field("tolerations", s.tolerations, {.doc = "Taints that are borne.", .max_items = 16});
    v.field("nodeSelector", s.node_selector,
            {.doc = "Labels that a node must have.", .max_length = 63, .max_items = 16});
    v.field("priorityClass", s.priority_class,
            {.doc = "Name of a PriorityClass.", .max_length = 253});
    v.field("env", s.env,
            {.doc = "Variables of the broker's process.", .max_items = 32, .key = "name"});
    v.field("volumes", s.volumes,
            {.doc = "ConfigMaps and scratch space to mount.", .max_items = 8, .key = "name"});
    v.rule({.cel = "!has(self.labels) || self.labels.all(name, !name.startsWith('millrace.dev/') "
                   "&& !name.startsWith('app.kubernetes.io/'))",
            .message = "labels of millrace.dev/ and app.kubernetes.io/ are the operator's own: "
                       "choose another name",
            .holds = [](const Json& self, const Json*) {
                return !names_an_owned_label(self["labels"]);
            }});
    v.rule({.cel = "!has(self.annotations) || self.annotations.all(name, "
                   "!name.startsWith('millrace.dev/'))",
            .message = "annotations of millrace.dev/ are the operator's own: choose another name",
            .holds = [](const Json& self, const Json*) {
                const Json::Object& names = self["annotations"].members();
                return std::none_of(names.begin(), names.end(), [](const auto& annotation) {
                    return annotation.first.starts_with("millrace.dev/");
                });
            }});
}

template <typename Visitor>
void describe(Visitor& v, ControllersSpec& s) {
    v.field("replicas", s.replicas, {.doc = "How many: 1, 3 or 5.", .minimum = 1, .maximum = 5});
    v.field("storage", s.storage,
            {.doc = "Disk of each controller.", .required = true, .example = "size: 10Gi"});
    v.field("resources", s.resources, {.doc = "CPU and memory of each controller."});
    v.rule({.cel = "self.replicas in [1, 3, 5]",
            .message = "a quorum has 1, 3 or 5 voters: an even number bears no more failures than "
                       "one less",
            .holds = [](const Json& self, const Json*) {
                return self["replicas"].integer() % 2 == 1;
            }});
}

template <typename Visitor>
void describe(Visitor& v, PoolSpec& s) {
    v.field("name", s.name,
            {.doc = "Its name; 'brokers' keeps those that were there before pools.",
             .required = true,
             .pattern = object_name_pattern,
             .example = "main",
             .max_length = 30});
    v.field("replicas", s.replicas,
            {.doc = "How many brokers.",
             .required = true,
             .minimum = 0,
             .maximum = most_brokers_of_a_pool});
    v.field("rack", s.rack,
            {.doc = "Their rack, where nodes carry no zone label.", .max_length = 63});
    v.field("storage", s.storage,
            {.doc = "Disks of each broker.", .required = true, .example = "size: 100Gi"});
    v.field("resources", s.resources, {.doc = "Instead of the cluster's resources."});
    v.field("template", s.pod_template, {.doc = "Instead of the cluster's template."});
    v.field(
        "remove", s.remove,
        {.doc = "Ids of brokers that leave first; with replicas unchanged, others replace them.",
         .minimum = 0,
         .maximum = most_id,
         .max_items = most_brokers,
         .set = true});
}

// ---- Racks, listeners, certificates ----------------------------------------------------------

template <typename Visitor>
void describe(Visitor& v, RackSpec& s) {
    v.field("topologyKey", s.topology_key,
            {.doc = "Label of a node that names its rack.", .max_length = 316});
    v.field("source", s.source,
            {.doc = "Where a broker's rack is read: Auto takes what is there (the pod's own label, "
                    "the node, the pool), Node insists on the label, Pool on pools[].rack."});
    v.field("spread", s.spread,
            {.doc = "Required: a pod waits rather than crowd a rack. Preferred: it runs, and the "
                    "RackPlacement condition says so. Off: racks are ignored for pods."});
}

template <typename Visitor>
void describe(Visitor& v, AdvertisedAddress& s) {
    v.field("host", s.host,
            {.doc = "Host that clients are told; {id} in it becomes the broker's id.",
             .required = true,
             .example = "broker-{id}.example.com",
             .max_length = 253});
    v.field("port", s.port,
            {.doc = "Port that clients are told; absent: the service's.",
             .minimum = 1,
             .maximum = 65535});
    v.rule({.cel = host_cel(),
            .message = "host is no name or address that a client could connect to: write for "
                       "example broker-{id}.example.com, 192.0.2.10 or [2001:db8::10]",
            .holds = is_host});
}

template <typename Visitor>
void describe(Visitor& v, ListenerSpec& s) {
    v.field("name", s.name,
            {.doc = "Name of the listener.",
             .required = true,
             .pattern = object_name_pattern,
             .example = "external",
             .max_length = 15});
    v.field("port", s.port,
            {.doc = "Port on each broker.",
             .required = true,
             .minimum = 1024,
             .maximum = 65535,
             .example = "9092"});
    v.field("type", s.type,
            {.doc = "Internal: inside the Kubernetes network, by pod. ClusterIP: a service a "
                    "broker. NodePort: a port on every node. LoadBalancer: an address of its own a "
                    "broker."});
    v.field("tls", s.tls, {.doc = "Clients speak TLS."});
    v.field("auth", s.auth, {.doc = "How clients prove who they are."});
    v.field("advertised", s.advertised,
            {.doc = "What clients are told instead of the addresses that Kubernetes gives."});
    v.rule({.cel = fmt::format("!(self.port in [{}, {}, {}, {}])", owned_port::replication,
                               owned_port::controller, owned_port::admin, owned_port::metrics),
            .message = "ports 9091, 9093, 9095 and 9404 are the operator's own: choose another, "
                       "for example 9092",
            .holds = [](const Json& self, const Json*) {
                const std::int64_t port = self["port"].integer();
                return port != owned_port::replication && port != owned_port::controller &&
                       port != owned_port::admin && port != owned_port::metrics;
            }});
    v.rule({.cel = "!(self.name in ['controller', 'replication'])",
            .message = "the names controller and replication are the operator's own: choose "
                       "another",
            .holds = [](const Json& self, const Json*) {
                return self["name"].text() != "controller" && self["name"].text() != "replication";
            }});
    v.rule({.cel = "self.auth != 'TLS' || self.tls",
            .message = "auth: TLS needs tls: true on the same listener",
            .holds = [](const Json& self, const Json*) {
                return self["auth"].text() != "TLS" || self["tls"].boolean();
            }});
    v.rule({.cel = "self.auth != 'SCRAM' && self.auth != 'OAuth'",
            .message = "auth: SCRAM and OAuth come with kind User and are not offered yet: use "
                       "None or TLS",
            .holds = [](const Json& self, const Json*) {
                return self["auth"].text() != "SCRAM" && self["auth"].text() != "OAuth";
            }});
}

template <typename Visitor>
void describe(Visitor& v, TlsSpec& s) {
    v.field("ca", s.ca,
            {.doc = "Managed: the operator makes and renews a certificate authority. Secret: it "
                    "signs with yours."});
    v.field("secretName", s.secret_name,
            {.doc = "For ca: Secret, a Secret with tls.crt and tls.key.", .max_length = 253});
    v.field("validity", s.validity, {.doc = "How long certificates are valid."});
    v.field("renewBefore", s.renew_before, {.doc = "How long before their end they are renewed."});
    v.rule({.cel = "self.ca != 'Secret' || has(self.secretName)",
            .message = "ca: Secret needs secretName, a Secret with tls.crt and tls.key",
            .holds = [](const Json& self, const Json*) {
                return self["ca"].text() != "Secret" || self.has("secretName");
            }});
    v.rule({.cel = renewal_cel(),
            .message = "renewBefore (30d unless given) has to be shorter than validity, or "
                       "certificates would be renewed all the time: write for example validity: "
                       "90d and renewBefore: 30d",
            .holds = renews_in_time});
}

// ---- Care ------------------------------------------------------------------------------------

template <typename Visitor>
void describe(Visitor& v, RollingWindow& s) {
    v.field("days", s.days,
            {.doc = "Days on which it opens, Mon to Sun; absent: every day.",
             .pattern = "^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)$",
             .example = "Mon",
             .max_items = 7,
             .set = true});
    v.field("from", s.from,
            {.doc = "When it opens, in UTC.",
             .required = true,
             .pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$",
             .example = "\"02:00\""});
    v.field("length", s.length,
            {.doc = "How long it stays open.", .required = true, .example = "3h"});
    v.rule({.cel = "self.length.matches('[1-9]')",
            .message = "a window of length 0 never opens: write for example length: 3h",
            .holds = [](const Json& self, const Json*) {
                const auto length = Span::parse(self["length"].text());
                return length && length->length.count() > 0;
            }});
}

template <typename Visitor>
void describe(Visitor& v, RollingSpec& s) {
    v.field("maxUnavailablePerRack", s.max_unavailable_per_rack,
            {.doc = "How many brokers of one rack may be stopped on purpose at a time.",
             .minimum = 1,
             .maximum = 100});
    v.field("unsafePartitions", s.unsafe_partitions,
            {.doc = "Partitions with one replica go offline while their broker restarts. Allow "
                    "takes that, Block waits."});
    v.field("caughtUpPercent", s.caught_up_percent,
            {.doc = "Share of a restarted broker's replicas that must be in sync before the next "
                    "one stops.",
             .minimum = 50,
             .maximum = 100});
    v.field("windows", s.windows,
            {.doc = "When restarts may begin; absent: always.", .max_items = 14});
    v.field("hold", s.hold,
            {.doc = "Ids of brokers that are not restarted.",
             .minimum = 0,
             .maximum = most_id,
             .max_items = most_brokers,
             .set = true});
    v.field("revision", s.revision,
            {.doc = "Revision of the pod template to run; absent: the one the cluster was created "
                    "with, or the last one set.",
             .minimum = 1});
    v.field("restart", s.restart,
            {.doc = "Any text; changing it restarts every broker once.", .max_length = 63});
}

template <typename Visitor>
void describe(Visitor& v, BalanceSpec& s) {
    v.field("mode", s.mode,
            {.doc = "OnScale: replicas move when brokers join or leave. Continuous: also when load "
                    "drifts apart. Manual: a plan waits for approve. Off: only what a leaving "
                    "broker needs."});
    v.field("throttle", s.throttle,
            {.doc = "Bytes a second and broker that moves may use; absent: what clients leave.",
             .example = "100Mi"});
    v.field("maxMovesPerBroker", s.max_moves_per_broker,
            {.doc = "Moves into or out of one broker at a time.", .minimum = 1, .maximum = 100});
    v.field("deadBrokerTimeout", s.dead_broker_timeout,
            {.doc = "How long a broker may be gone before its replicas are made anew elsewhere."});
    v.field("exclude", s.exclude,
            {.doc = "Topics that are never moved to balance load; * stands for any text.",
             .max_length = 249,
             .max_items = 100,
             .set = true});
    v.field("approve", s.approve,
            {.doc = "For Manual: status.rebalance.planHash of the plan that may run.",
             .max_length = 64});
}

template <typename Visitor>
void describe(Visitor& v, TopicDefaults& s) {
    v.field("partitions", s.partitions,
            {.doc = "Partitions of a topic that doesn't say.", .minimum = 1, .maximum = 100000});
    v.field("replicas", s.replicas,
            {.doc = "Replicas of a topic that doesn't say; absent: 3, or as many as there are "
                    "brokers when it is made.",
             .minimum = 1,
             .maximum = 100});
    v.field("minInSyncReplicas", s.min_in_sync_replicas,
            {.doc = "Replicas that must have a record before acks=all is answered; absent: 2 "
                    "of three replicas or more, else 1.",
             .minimum = 1,
             .maximum = 100});
    v.rule({.cel = "!has(self.replicas) || !has(self.minInSyncReplicas) || "
                   "self.minInSyncReplicas <= self.replicas",
            .message = "minInSyncReplicas can't be more than replicas",
            .holds = [](const Json& self, const Json*) {
                return !self.has("replicas") || !self.has("minInSyncReplicas") ||
                       self["minInSyncReplicas"].integer() <= self["replicas"].integer();
            }});
}

template <typename Visitor>
void describe(Visitor& v, TopicsSpec& s) {
    v.field("defaults", s.defaults, {.doc = "For topics that don't say."});
    v.field("allowedNamespaces", s.allowed_namespaces,
            {.doc = "Namespaces besides the cluster's own whose Topics may name it.",
             .max_length = 63,
             .max_items = 100,
             .set = true});
}

template <typename Visitor>
void describe(Visitor& v, MonitoringSpec& s) {
    v.field("podMonitor", s.pod_monitor,
            {.doc = "Make a PodMonitor for the Prometheus operator, where its kind exists."});
    v.field("labels", s.labels,
            {.doc = "Labels of the PodMonitor.", .max_length = 63, .max_items = 16});
}

template <typename Visitor>
void describe_brokers(Visitor& v, ClusterSpec& s) {
    v.field("version", s.version,
            {.doc = "Version of the brokers; absent: the operator's at creation, kept in status.",
             .pattern = "^[0-9]+\\.[0-9]+\\.[0-9]+(-[a-z0-9.]+)?$",
             .example = "0.1.0",
             .max_length = 63});
    v.field("replicas", s.replicas,
            {.doc = "How many brokers.", .minimum = 1, .maximum = most_brokers, .example = "3"});
    v.field("controllers", s.controllers,
            {.doc = "A metadata quorum of its own; absent: brokers are controllers too."});
    v.field("pools", s.pools,
            {.doc = "Groups of brokers, instead of replicas and storage.",
             .max_items = 50,
             .key = "name"});
    v.field("storage", s.storage, {.doc = "Disks of each broker.", .example = "size: 100Gi"});
    v.field(
        "remove", s.remove,
        {.doc = "Ids of brokers that leave first; with replicas unchanged, others replace them.",
         .minimum = 0,
         .maximum = most_id,
         .max_items = most_brokers,
         .set = true});
    v.field("resources", s.resources, {.doc = "CPU and memory of each broker."});
    v.field("template", s.pod_template, {.doc = "What of the brokers' pods may be shaped."});
    v.field("rack", s.rack, {.doc = "How brokers are spread over racks."});
}

template <typename Visitor>
void describe_cluster_rules(Visitor& v) {
    v.rule({.cel = "!(has(self.pools) && size(self.pools) > 0) || (!has(self.replicas) && "
                   "!has(self.storage) && !has(self.remove))",
            .message = "with pools, replicas, storage and remove stand in each pool: remove them "
                       "from spec",
            .holds = [](const Json& self, const Json*) {
                return self["pools"].empty() ||
                       (!self.has("replicas") && !self.has("storage") && !self.has("remove"));
            }});
    v.rule({.cel = "(has(self.pools) && size(self.pools) > 0) || (has(self.replicas) && "
                   "has(self.storage))",
            .message = "replicas and storage are needed, for example replicas: 3 and storage: "
                       "{size: 100Gi}; or give pools",
            .holds = [](const Json& self, const Json*) {
                return !self["pools"].empty() || (self.has("replicas") && self.has("storage"));
            }});
    v.rule({.cel = "has(self.tls) == has(oldSelf.tls)",
            .message = "tls can't be turned on or off later, brokers with and without it don't "
                       "reach each other: create the cluster with or without it",
            .holds = [](const Json& self, const Json* old_self) {
                return self.has("tls") == old_self->has("tls");
            }});
    v.rule({.cel = "!has(self.listeners) || self.listeners.all(a, self.listeners.exists_one(b, "
                   "a.port == b.port))",
            .message = "two listeners have the same port: give each its own",
            .holds = listener_ports_differ});
    v.rule({.cel = "!has(self.pools) || size(self.pools) == 0 || self.pools.exists(p, p.replicas > "
                   "0)",
            .message = "the pools have no broker among them: give one of them replicas: 1 or more; "
                       "to stop all brokers, delete the Cluster, its disks stay unless "
                       "storage.retention says otherwise",
            .holds = has_a_broker});
    v.rule({.cel =
                "!has(self.listeners) || (has(self.pools) && size(self.pools) > 0 ? "
                "self.pools.map(p, p.replicas).sum() : (has(self.replicas) ? self.replicas : 0)) "
                "<= 1 || self.listeners.all(l, !has(l.advertised) || "
                "l.advertised.host.contains('{id}') || (l.type == 'NodePort' && "
                "!has(l.advertised.port)))",
            .message = "advertised gives all brokers one address, and clients have to reach each "
                       "of them: write {id} into advertised.host, it becomes the broker's id, for "
                       "example broker-{id}.example.com",
            .holds = advertised_addresses_differ});
}

template <typename Visitor>
void describe(Visitor& v, ClusterSpec& s) {
    describe_brokers(v, s);
    v.field("listeners", s.listeners,
            {.doc = "Where clients connect; absent: one of type Internal on port 9092.",
             .max_items = 16,
             .key = "name"});
    v.field("tls", s.tls,
            {.doc = "Brokers and operator speak TLS with each other; tls: {} is enough."});
    v.field("config", s.config,
            {.doc = "Kafka settings of every broker, by their Kafka names.",
             .max_length = 4096,
             .max_items = 500,
             .loose = true});
    v.field("rolling", s.rolling, {.doc = "How brokers are restarted."});
    v.field("balance", s.balance, {.doc = "How replicas are moved between brokers."});
    v.field("topics", s.topics, {.doc = "About kind Topic."});
    v.field("monitoring", s.monitoring, {.doc = "About metrics."});
    v.field("paused", s.paused,
            {.doc = "The operator watches and changes nothing. Brokers go on serving."});
    describe_cluster_rules(v);
}

}  // namespace millrace::api
