// operator/api/internal/topic_fields.h
//
// The description of kind Topic.
#pragma once

#include "operator/api/internal/shared_fields.h"
#include "operator/api/topic.h"

namespace millrace::api {

template <typename Visitor>
void describe(Visitor& v, ClusterReference& s) {
    v.field("name", s.name,
            {.doc = "Name of the Cluster.",
             .required = true,
             .pattern = object_name_pattern,
             .example = "main",
             .max_length = 253});
    v.field("namespace", s.space,
            {.doc = "Its namespace, if it differs: that Cluster's topics.allowedNamespaces must "
                    "name ours.",
             .max_length = 63});
}

// Judged in topic.cc.
bool names_no_internal_topic(const Json& self, const Json* old_self);
bool settings_leave_writes_possible(const Json& self, const Json* old_self);
std::string no_internal_topic_cel();

template <typename Visitor>
void describe_topic_rules(Visitor& v) {
    v.rule({.cel = "self.clusterRef == oldSelf.clusterRef",
            .message = "clusterRef can't change: make another Topic",
            .holds = [](const Json& self, const Json* old_self) {
                return same(self, *old_self, "clusterRef");
            }});
    v.rule({.cel = "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == "
                   "oldSelf.name)",
            .message = "name can't change, as a topic can't be renamed: make another Topic",
            .holds = [](const Json& self, const Json* old_self) {
                return same(self, *old_self, "name");
            }});
    v.rule({.cel = "!has(self.name) || !(self.name in ['.', '..'])",
            .message = "no topic can be named . or ..",
            .holds = [](const Json& self, const Json*) {
                return self["name"].text() != "." && self["name"].text() != "..";
            }});
    v.rule({.cel = no_internal_topic_cel(),
            .message = "the brokers keep this topic for themselves, no Topic can own it: its "
                       "settings stand in the Cluster's spec.config, for example "
                       "offsets.topic.replication.factor",
            .holds = names_no_internal_topic});
    v.rule({.cel = "!has(oldSelf.partitions) || !has(self.partitions) || self.partitions >= "
                   "oldSelf.partitions",
            .message = "partitions can't be lowered: their records would be lost",
            .holds = [](const Json& self, const Json* old_self) {
                return !old_self->has("partitions") || !self.has("partitions") ||
                       self["partitions"].integer() >= (*old_self)["partitions"].integer();
            }});
    v.rule({.cel = "!has(self.replicas) || !has(self.minInSyncReplicas) || "
                   "self.minInSyncReplicas <= self.replicas",
            .message = "minInSyncReplicas can't be more than replicas: no write with acks=all "
                       "would succeed",
            .holds = [](const Json& self, const Json*) {
                return !self.has("replicas") || !self.has("minInSyncReplicas") ||
                       self["minInSyncReplicas"].integer() <= self["replicas"].integer();
            }});
    v.rule({.cel = {},
            .message = "config's min.insync.replicas can't be more than replicas: no write with "
                       "acks=all would succeed",
            .holds = settings_leave_writes_possible});
    v.rule({.cel = {},
            .message = "minInSyncReplicas and config's min.insync.replicas say the same: remove "
                       "one",
            .holds = [](const Json& self, const Json*) {
                return !self.has("minInSyncReplicas") || !self["config"].has("min.insync.replicas");
            }});
}

template <typename Visitor>
void describe(Visitor& v, TopicSpec& s) {
    v.field("clusterRef", s.cluster_ref,
            {.doc = "The Cluster that has the topic.",
             .required = true,
             .example = "clusterRef: {name: main}"});
    v.field("name", s.name,
            {.doc = "Name of the topic, if it differs from the object's.",
             .pattern = topic_name_pattern,
             .example = "orders.eu",
             .max_length = 249});
    v.field("partitions", s.partitions,
            {.doc = "How many partitions. Can be raised, never lowered. Left out, a topic that is "
                    "there keeps as many as it has.",
             .minimum = 1,
             .maximum = 100000});
    v.field("replicas", s.replicas,
            {.doc = "Copies of each partition. A change moves replicas.",
             .minimum = 1,
             .maximum = 100});
    v.field("minInSyncReplicas", s.min_in_sync_replicas,
            {.doc = "Copies that must have a record before acks=all is answered.",
             .minimum = 1,
             .maximum = 100});
    v.field(
        "config", s.config,
        {.doc = "Kafka settings of the topic, by their Kafka names; several words are one text, "
                "'compact,delete'. What isn't named has its default, or what the topic had when it "
                "was "
                "taken over (status.adoptedConfig).",
         .max_length = 4096,
         .max_items = 100,
         .loose = true});
    v.field("deletionPolicy", s.deletion_policy,
            {.doc = "What happens to the topic and its records when this object is deleted."});
    v.field("adoption", s.adoption,
            {.doc = "Adopt: a topic of this name that is there already is taken over with its "
                    "records, partitions and replicas, and with its settings that config doesn't "
                    "name. CreateOnly: it is left alone, and the Ready condition says so."});
    v.field("paused", s.paused, {.doc = "The operator watches and changes nothing."});
    describe_topic_rules(v);
}

template <typename Visitor>
void describe(Visitor& v, ConfigDrift& s) {
    v.field("key", s.key, {.doc = "The setting.", .required = true});
    v.field("wanted", s.wanted, {.doc = "What the spec says; absent: the default."});
    v.field("found", s.found, {.doc = "What the topic had."});
}

template <typename Visitor>
void describe(Visitor& v, TopicChange& s) {
    v.field("kind", s.kind, {.doc = "What changes."});
    v.field("state", s.state, {.doc = "Waiting, Running or Blocked."});
    v.field("done", s.done, {.doc = "Partitions that are through."});
    v.field("total", s.total, {.doc = "Partitions that change."});
}

template <typename Visitor>
void describe(Visitor& v, TopicStatus& s) {
    v.field("observedGeneration", s.observed_generation,
            {.doc = "Generation of the spec that this status speaks of."});
    v.field("topicId", s.topic_id, {.doc = "Kafka's topic id."});
    v.field("topicName", s.topic_name, {.doc = "Name of the topic in the cluster."});
    v.field("partitions", s.partitions, {.doc = "Partitions that exist."});
    v.field("replicas", s.replicas, {.doc = "Copies of each partition."});
    v.field("adoptedConfig", s.adopted_config,
            {.doc = "Settings that the topic had when this object took it over, or when it stopped "
                    "being a mirror, and that spec.config doesn't name: they are kept, and put "
                    "back if changed elsewhere. Naming one in spec.config ends that."});
    v.field("configDrift", s.config_drift,
            {.doc = "Settings that were changed elsewhere and are put back.", .key = "key"});
    v.field("change", s.change, {.doc = "What is being changed; absent: nothing."});
    v.field("message", s.message, {.doc = "One line: what happens or what is waited for."});
    describe_conditions(v, s.conditions, "Ready, Synced, Placement, Owned, Writable.");
}

}  // namespace millrace::api
