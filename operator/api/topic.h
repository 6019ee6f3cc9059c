// operator/api/topic.h
//
// Kind Topic: one topic of one cluster. See cluster.h for what parsing promises.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "operator/api/cluster.h"

namespace millrace::api {

/// A Cluster; in another namespace only if that Cluster's topics.allowedNamespaces names ours.
struct ClusterReference {
    std::string name;
    std::optional<std::string> space;
    friend bool operator==(const ClusterReference&, const ClusterReference&) = default;
};

enum class TopicAdoption { adopt, create_only };
template <>
struct Words<TopicAdoption> {
    static constexpr std::array<std::string_view, 2> list{"Adopt", "CreateOnly"};
};

struct TopicSpec {
    ClusterReference cluster_ref;
    std::optional<std::string> name;  ///< Ask topic_name().
    std::optional<std::int32_t> partitions;
    std::optional<std::int32_t> replicas;
    std::optional<std::int32_t> min_in_sync_replicas;
    Texts config;
    ReclaimPolicy deletion_policy = ReclaimPolicy::retain;
    TopicAdoption adoption = TopicAdoption::adopt;
    bool paused = false;
    friend bool operator==(const TopicSpec&, const TopicSpec&) = default;
};

struct ConfigDrift {
    std::string key;
    std::string wanted;  ///< Empty: the default.
    std::string found;
    friend bool operator==(const ConfigDrift&, const ConfigDrift&) = default;
};

enum class TopicChangeKind { create, partitions, replicas, config, remove };
template <>
struct Words<TopicChangeKind> {
    static constexpr std::array<std::string_view, 5> list{"Create", "Partitions", "Replicas",
                                                          "Config", "Delete"};
};

struct TopicChange {
    TopicChangeKind kind = TopicChangeKind::create;
    std::string state;  ///< Waiting, Running, Blocked.
    std::int64_t done = 0;
    std::int64_t total = 0;
    friend bool operator==(const TopicChange&, const TopicChange&) = default;
};

struct TopicStatus {
    std::int64_t observed_generation = 0;
    std::string topic_id;
    std::string topic_name;
    std::int32_t partitions = 0;
    std::int32_t replicas = 0;
    Texts adopted_config;
    std::vector<ConfigDrift> config_drift;
    std::optional<TopicChange> change;
    std::string message;
    std::vector<Condition> conditions;  ///< Ready, Synced, Placement, Owned, Writable.
    friend bool operator==(const TopicStatus&, const TopicStatus&) = default;
};

struct Topic {
    Metadata metadata;
    TopicSpec spec;
    TopicStatus status;
};

/// The name in the cluster: spec.name, else the object's.
const std::string& topic_name(const Topic& topic);

/// The brokers made it for themselves: no Topic may own it, least of all delete it.
bool is_internal_topic(std::string_view name);

/// Of an object that parse_topic() refuses: as much as says whose it is and what becomes of the
/// topic when the object goes.
Topic outline_of_topic(const kube::Json& object);

Result<Topic> parse_topic(const kube::Json& object);
Result<TopicSpec> parse_topic_spec(const kube::Json& spec);
Result<TopicStatus> parse_topic_status(const kube::Json& status);
kube::Json to_json(const TopicSpec& spec);
kube::Json to_json(const TopicStatus& status);

}  // namespace millrace::api
