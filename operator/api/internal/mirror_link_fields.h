// operator/api/internal/mirror_link_fields.h
//
// The description of kind MirrorLink.
#pragma once

#include <algorithm>

#include "operator/api/internal/shared_fields.h"
#include "operator/api/mirror_link.h"

namespace millrace::api {

template <typename Visitor>
void describe(Visitor& v, LinkTls& s) {
    v.field("caSecret", s.ca_secret,
            {.doc = "Secret with ca.crt; absent: the system's authorities.", .max_length = 253});
    v.field("clientSecret", s.client_secret,
            {.doc = "Secret with tls.crt and tls.key to show to the source.", .max_length = 253});
    v.field("verifyHostName", s.verify_host_name,
            {.doc = "The source's certificate must carry the name we connect to."});
}

template <typename Visitor>
void describe(Visitor& v, LinkAuth& s) {
    v.field("mechanism", s.mechanism, {.doc = "SASL mechanism."});
    v.field("secretName", s.secret_name,
            {.doc = "Secret with username and password.",
             .required = true,
             .example = "source-login",
             .max_length = 253});
}

template <typename Visitor>
void describe(Visitor& v, LinkSource& s) {
    v.field("clusterRef", s.cluster_ref, {.doc = "A Cluster in this namespace."});
    v.field("bootstrapServers", s.bootstrap_servers,
            {.doc = "Addresses of any Kafka-compatible cluster.",
             .pattern = "^[^:/ ]+:[0-9]{1,5}$",
             .example = "kafka-1:9092",
             .max_length = 260,
             .max_items = 50,
             .set = true});
    v.field("tls", s.tls, {.doc = "Speak TLS with the source; tls: {} is enough."});
    v.field("auth", s.auth, {.doc = "How to log in at the source."});
    v.field("clusterId", s.cluster_id,
            {.doc = "Cluster id that the source must have; absent: the first one seen is kept.",
             .max_length = 64});
    v.rule({.cel = "has(self.clusterRef) != (has(self.bootstrapServers) && "
                   "size(self.bootstrapServers) > 0)",
            .message = "give either clusterRef (a Cluster in this namespace) or bootstrapServers "
                       "(any Kafka-compatible cluster)",
            .holds = [](const Json& self, const Json*) {
                return self.has("clusterRef") == self["bootstrapServers"].empty();
            }});
    v.rule({.cel = "!has(self.clusterRef) || (!has(self.tls) && !has(self.auth))",
            .message = "tls and auth of a source that is a Cluster are known: remove them",
            .holds = [](const Json& self, const Json*) {
                return !self.has("clusterRef") || (!self.has("tls") && !self.has("auth"));
            }});
}

template <typename Visitor>
void describe(Visitor& v, TopicOverride& s) {
    v.field("name", s.name,
            {.doc = "A mirrored topic.",
             .required = true,
             .pattern = topic_name_pattern,
             .max_length = 249});
    v.field("state", s.state, {.doc = "Its state, instead of the link's."});
}

template <typename Visitor>
void describe(Visitor& v, LinkTopics& s) {
    v.field("include", s.include,
            {.doc = "Topics to mirror; * stands for any text, ? for one character: no regular "
                    "expressions.",
             .required = true,
             .example = "include: [\"orders*\"]",
             .max_length = 249,
             .max_items = 1000,
             .min_items = 1,
             .set = true});
    v.field("exclude", s.exclude,
            {.doc = "Topics not to mirror, though included.",
             .max_length = 249,
             .max_items = 1000,
             .set = true});
    v.field("startFrom", s.start_from, {.doc = "Where a topic's mirror begins."});
    v.field(
        "overrides", s.overrides,
        {.doc = "Topics whose state differs from the link's.", .max_items = 100, .key = "name"});
}

/// No text is absent or unreadable, which is told elsewhere.
inline bool is_some_time(const Json& span) {
    const auto length = Span::parse(span.text());
    return !length || length->length.count() > 0;
}

template <typename Visitor>
void describe(Visitor& v, LinkGroups& s) {
    v.field("include", s.include,
            {.doc = "Consumer groups whose offsets are mirrored; * stands for any text.",
             .max_length = 249,
             .max_items = 1000,
             .set = true});
    v.field("exclude", s.exclude,
            {.doc = "Groups not to mirror, though included.",
             .max_length = 249,
             .max_items = 1000,
             .set = true});
    v.field("interval", s.interval, {.doc = "How often offsets are read."});
    v.rule({.cel = "!has(self.interval) || self.interval.matches('[1-9]')",
            .message = "an interval of 0 leaves no time to read: write for example interval: 5s; "
                       "include: [] copies no offsets",
            .holds = [](const Json& self, const Json*) {
                return !self.has("interval") || is_some_time(self["interval"]);
            }});
}

template <typename Visitor>
void describe(Visitor& v, LinkSync& s) {
    v.field("configs", s.configs, {.doc = "How often topic settings are read; 0s: never."});
    v.field("acls", s.acls, {.doc = "Mirror ACLs of mirrored topics."});
}

template <typename Visitor>
void describe(Visitor& v, LinkLimits& s) {
    v.field("bytesPerSecond", s.bytes_per_second,
            {.doc = "Most that the link reads; absent: no limit.", .example = "500Mi"});
    v.field("connectionsPerBroker", s.connections_per_broker,
            {.doc = "Connections to each source broker: auto, or a number up to 99.",
             .pattern = "^(auto|[1-9][0-9]?)$",
             .example = "auto",
             .max_length = 4,
             .loose = true});
    v.rule({.cel = "!has(self.bytesPerSecond) || string(self.bytesPerSecond).matches('[1-9]')",
            .message = "with 0 bytes a second nothing would come: remove bytesPerSecond for no "
                       "limit, or say state: Paused",
            .holds = [](const Json& self, const Json*) {
                const Json& limit = self["bytesPerSecond"];
                const std::string text = limit.is_string() ? limit.text() : limit.dump();
                return !self.has("bytesPerSecond") ||
                       text.find_first_of("123456789") != std::string::npos;
            }});
}

template <typename Visitor>
void describe(Visitor& v, LinkPolicy& s) {
    v.field("readLevel", s.read_level,
            {.doc = "HighWatermark: copy all that is replicated at the source. LastStable: only "
                    "what no open transaction may still take back."});
    v.field("openTransactions", s.open_transactions,
            {.doc = "At promotion: abort what is open, or cut the log before it."});
    v.field("onGap", s.on_gap,
            {.doc = "Records that the source dropped before we read them: go on behind the gap and "
                    "report it, or halt the topic."});
    v.field("onSourceTopicDeleted", s.on_source_topic_deleted,
            {.doc = "Keep the mirrored topic, or delete it too after a grace."});
    v.field("onSourceTopicRecreated", s.on_source_topic_recreated,
            {.doc = "Halt, or archive the old mirror and begin anew."});
    v.field("onDivergence", s.on_divergence,
            {.doc = "After an unclean election at the source: cut the mirror to the common part, "
                    "or halt the topic."});
}

/// Every override that was promoted still is.
inline bool keeps_promoted_overrides(const Json& self, const Json& old_self) {
    const Json::Array& now = self["topics"]["overrides"].items();
    const Json::Array& before = old_self["topics"]["overrides"].items();
    return std::all_of(before.begin(), before.end(), [&](const Json& old_override) {
        return old_override["state"].text() != "Promoted" ||
               std::any_of(now.begin(), now.end(), [&](const Json& override) {
                   return override["name"] == old_override["name"] &&
                          override["state"].text() == "Promoted";
               });
    });
}

template <typename Visitor>
void describe_promotion_rules(Visitor& v) {
    v.rule({.cel = "oldSelf.state != 'Promoted' || self.state == 'Promoted' || "
                   "self.onExistingData == 'Truncate'",
            .message = "leaving Promoted drops what was written here since: say onExistingData: "
                       "Truncate in the same edit",
            .holds = [](const Json& self, const Json* old_self) {
                return (*old_self)["state"].text() != "Promoted" ||
                       self["state"].text() == "Promoted" ||
                       self["onExistingData"].text() == "Truncate";
            }});
    v.rule({.cel = "oldSelf.state != 'Promoted' || self.state != 'Paused'",
            .message = "what is promoted follows nothing, so there is nothing to pause: it goes on "
                       "following its source with state: Mirroring",
            .holds = [](const Json& self, const Json* old_self) {
                return (*old_self)["state"].text() != "Promoted" ||
                       self["state"].text() != "Paused";
            }});
    v.rule({.cel = "self.state == 'Promoted' || self.onExistingData == 'Truncate' || "
                   "!has(oldSelf.topics.overrides) || oldSelf.topics.overrides.all(o, o.state != "
                   "'Promoted' || (has(self.topics.overrides) && self.topics.overrides.exists(n, "
                   "n.name == o.name && n.state == 'Promoted')))",
            .message = "a topic that leaves Promoted drops what was written here since: say "
                       "onExistingData: Truncate in the same edit",
            .holds = [](const Json& self, const Json* old_self) {
                return self["state"].text() == "Promoted" ||
                       self["onExistingData"].text() == "Truncate" ||
                       keeps_promoted_overrides(self, *old_self);
            }});
}

template <typename Visitor>
void describe_link_rules(Visitor& v) {
    v.rule({.cel = "!has(self.source.clusterRef) || self.source.clusterRef.name != "
                   "self.clusterRef.name",
            .message = "source and destination are the same Cluster: a link needs two",
            .holds = [](const Json& self, const Json*) {
                return self["source"]["clusterRef"]["name"] != self["clusterRef"]["name"];
            }});
    v.rule({.cel = "self.naming != 'Prefix' || has(self.alias)",
            .message = "naming: Prefix needs alias, the text before each topic's name",
            .holds = [](const Json& self, const Json*) {
                return self["naming"].text() != "Prefix" || self.has("alias");
            }});
    v.rule({.cel = "self.clusterRef == oldSelf.clusterRef",
            .message = "clusterRef can't change, as the destination owns the link: make another "
                       "MirrorLink",
            .holds = [](const Json& self, const Json* old_self) {
                return same(self, *old_self, "clusterRef");
            }});
    v.rule({.cel = "self.naming == oldSelf.naming && has(self.alias) == has(oldSelf.alias) && "
                   "(!has(self.alias) || self.alias == oldSelf.alias)",
            .message = "naming and alias can't change, as mirrored topics carry them: make another "
                       "MirrorLink",
            .holds = [](const Json& self, const Json* old_self) {
                return same(self, *old_self, "naming") && same(self, *old_self, "alias");
            }});
    v.rule({.cel = "!has(self.maxLag) || self.maxLag.matches('[1-9]')",
            .message = "a maxLag of 0 is never kept, as records take time to arrive: write for "
                       "example maxLag: 30s",
            .holds = [](const Json& self, const Json*) {
                return !self.has("maxLag") || is_some_time(self["maxLag"]);
            }});
    describe_promotion_rules(v);
}

template <typename Visitor>
void describe(Visitor& v, MirrorLinkSpec& s) {
    v.field("clusterRef", s.cluster_ref,
            {.doc = "The destination: it owns the link.",
             .required = true,
             .example = "clusterRef: {name: west}"});
    v.field("source", s.source,
            {.doc = "Where records come from: exactly one form.",
             .required = true,
             .example = "source: {clusterRef: {name: east}}"});
    v.field("naming", s.naming,
            {.doc = "Identity: topics keep their names. Prefix: ALIAS.TOPIC, as MirrorMaker 2 "
                    "names them."});
    v.field("alias", s.alias,
            {.doc = "Short name of the source, the prefix of topics.",
             .pattern = topic_name_pattern,
             .example = "dc-east",
             .max_length = 63});
    v.field("topics", s.topics,
            {.doc = "What is mirrored.",
             .required = true,
             .example = "topics: {include: [\"orders*\"]}"});
    v.field("groups", s.groups, {.doc = "Consumer groups' offsets."});
    v.field("sync", s.sync, {.doc = "Settings and ACLs."});
    v.field("state", s.state,
            {.doc = "The one verb of disaster recovery. Promoted makes the topics writable here."});
    v.field("promotion", s.promotion,
            {.doc = "Planned: the source is fenced and drained, nothing is lost. Forced: the "
                    "source is dead, and what is lost is reported."});
    v.field("onExistingData", s.on_existing_data,
            {.doc = "Topics that have records here already. Truncate cuts them to the part that "
                    "both have: what failback needs."});
    v.field("limits", s.limits, {.doc = "What the link may use."});
    v.field("policy", s.policy, {.doc = "What to do in the hard cases."});
    v.field("maxLag", s.max_lag, {.doc = "What LagWithinTarget and its alert compare with."});
    v.field("onDelete", s.on_delete,
            {.doc = "What deleting this object does: never a failover by accident."});
    describe_link_rules(v);
}

template <typename Visitor>
void describe(Visitor& v, TopicLag& s) {
    v.field("name", s.name, {.doc = "The topic.", .required = true});
    v.field("state", s.state, {.doc = "Its state."});
    v.field("lagRecords", s.lag_records, {.doc = "Records behind the source."});
    v.field("lagSeconds", s.lag_seconds, {.doc = "Seconds behind the source."});
    v.field("reason", s.reason, {.doc = "Why it is halted."});
}

template <typename Visitor>
void describe(Visitor& v, LinkGap& s) {
    v.field("topic", s.topic, {.doc = "The topic."});
    v.field("partition", s.partition, {.doc = "The partition."});
    v.field("from", s.from, {.doc = "First offset that is not here."});
    v.field("to", s.to, {.doc = "One past the last such offset."});
    v.field("at", s.at, {.doc = "When it was noticed."});
    v.field("cut", s.cut,
            {.doc = "They were here, and were cut as the source does not have them: kept in the "
                    "partition's directory, *.diverged.quarantined. Otherwise the source had "
                    "dropped them before they were read."});
}

template <typename Visitor>
void describe(Visitor& v, FailoverReport& s) {
    v.field("at", s.at, {.doc = "When topics became writable."});
    v.field("topics", s.topics, {.doc = "Topics that were promoted."});
    v.field("partitions", s.partitions, {.doc = "Partitions that were promoted."});
    v.field("lostRecords", s.lost_records, {.doc = "Records known at the source and not here."});
    v.field("lostSeconds", s.lost_seconds, {.doc = "Seconds of records that are not here."});
    v.field("clampedGroupOffsets", s.clamped_group_offsets,
            {.doc = "Group offsets that were set back to the end of what is here."});
    v.field("leftOutTopics", s.left_out_topics,
            {.doc = "Topics of the link that were not promoted, as they are halted."});
    v.field("abortedTransactions", s.aborted_transactions,
            {.doc = "Transactions that were open and are aborted."});
    v.field("splitProducers", s.split_producers,
            {.doc = "Producer ids whose transaction is committed in one partition and aborted in "
                    "another."});
}

template <typename Visitor>
void describe(Visitor& v, LinkSummary& s) {
    v.field("source", s.source, {.doc = "Name or first address of the source."});
    v.field("topics", s.topics, {.doc = "Topics that are followed of all."});
    v.field("lag", s.lag, {.doc = "Time behind the source, of the topic that is furthest behind."});
}

template <typename Visitor>
void describe(Visitor& v, MirrorLinkStatus& s) {
    v.field("observedGeneration", s.observed_generation,
            {.doc = "Generation of the spec that this status speaks of."});
    v.field("state", s.state, {.doc = "What the link does."});
    v.field("linkId", s.link_id, {.doc = "Identity of the link in the destination."});
    v.field("sourceClusterId", s.source_cluster_id, {.doc = "Cluster id of the source."});
    v.field("message", s.message, {.doc = "One line: what happens or what is waited for."});
    v.field("topics", s.topics, {.doc = "Mirrored topics."});
    v.field("topicsByState", s.topics_by_state, {.doc = "How many topics are in each state."});
    v.field("lagSeconds", s.lag_seconds, {.doc = "Of the topic that is furthest behind."});
    v.field("rpoSeconds", s.rpo_seconds, {.doc = "What a failover now would lose, in seconds."});
    v.field("lagRecords", s.lag_records, {.doc = "Records behind the source, of all topics."});
    v.field("worstTopics", s.worst_topics,
            {.doc = "The ten topics that are furthest behind.", .key = "name"});
    v.field(
        "gaps", s.gaps,
        {.doc = "Records that are not here: dropped by the source before they were read, or cut "
                "here."});
    v.field("failoverReport", s.failover_report, {.doc = "What the last promotion did."});
    v.field("summary", s.summary, {.doc = "What kubectl get shows."});
    describe_conditions(v, s.conditions,
                        "Ready, SourceReachable, CredentialsValid, CaughtUp, LagWithinTarget, "
                        "GroupsSynced, AclsSynced, EnoughRoom, DataGap, Diverged, "
                        "SplitBrain, TombstoneHorizonExceeded.");
}

}  // namespace millrace::api
