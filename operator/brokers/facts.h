// operator/brokers/facts.h
//
// What brokers say about a cluster and what they are asked to do, as plain values: what the planner
// reads, and what a test makes up. client.h turns millrace.admin.v1 into these.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace millrace::brokers {

enum class BrokerState { unknown, starting, recovering, running, draining, fenced, dead };

struct BrokerFacts {
    int id = -1;
    std::string rack;
    BrokerState state = BrokerState::unknown;
    bool cordoned = false;
    std::int64_t epoch = 0;
    int replicas = 0;
    int leaders = 0;
    int lagging_replicas = 0;
    int recovery_percent = 0;
    std::string waiting_for;
    friend bool operator==(const BrokerFacts&, const BrokerFacts&) = default;
};

struct PartitionFacts {
    int total = 0;
    int offline = 0;
    int under_min_isr = 0;
    int under_replicated = 0;
    int rack_violations = 0;
    int reassigning = 0;
    std::string first_offline{};  ///< One of them by name: "orders-3, whose replicas are on 2, 4".
    friend bool operator==(const PartitionFacts&, const PartitionFacts&) = default;
};

/// One look at the cluster: all of it holds at the same metadata offset.
struct ClusterFacts {
    std::string cluster_id;
    std::int64_t epoch = 0;
    std::int64_t metadata_offset = 0;
    int controller = -1;
    std::map<int, BrokerFacts> brokers;
    PartitionFacts partitions;
    std::vector<int> voters;
    friend bool operator==(const ClusterFacts&, const ClusterFacts&) = default;
};

/// What one node's listeners show and believe at this moment.
struct CertificateUse {
    std::vector<std::string> serials;  ///< Of its own certificates, as openssl x509 prints them.
    std::vector<std::string>
        trusted;  ///< Fingerprints of authorities that every listener believes.
    friend bool operator==(const CertificateUse&, const CertificateUse&) = default;
};
/// By broker; who didn't answer is not in it.
using CertificateUses = std::map<int, CertificateUse>;

struct RestartVerdict {
    bool allowed = false;
    bool partitions = false;  ///< Partitions forbid it: they would be offline or refuse writes.
    bool quorum = false;      ///< The metadata quorum forbids it.
    bool other = false;       ///< Something else does: a broker recovers, or isn't known.
    std::string reason;       ///< The first blocker's sentence, and how many more there are.
    friend bool operator==(const RestartVerdict&, const RestartVerdict&) = default;
};

struct VolumeFacts {
    std::string path;  ///< As its broker calls it.
    int replicas = 0;
    bool cordoned = false;  ///< Takes no new replica.
    friend bool operator==(const VolumeFacts&, const VolumeFacts&) = default;
};

/// By number of the volume.
using Volumes = std::map<int, VolumeFacts>;

struct RestartProgress {
    bool caught_up = false;
    int recovery_percent = 0;
    int in_sync_percent = 0;
    std::string waiting_for;
    friend bool operator==(const RestartProgress&, const RestartProgress&) = default;
};

/// One node of the metadata quorum: who it is and on which directory.
struct QuorumNode {
    int id = -1;
    std::string directory;
    friend bool operator==(const QuorumNode&, const QuorumNode&) = default;
};

/// As the quorum's leader has it now.
struct QuorumFacts {
    std::vector<QuorumNode> voters;
    std::vector<QuorumNode> observers;  ///< Brokers and controllers that follow without a vote.
    friend bool operator==(const QuorumFacts&, const QuorumFacts&) = default;
};

enum class PlanMode { repair, drain, scale_out };

struct PlanWish {
    PlanMode mode = PlanMode::scale_out;
    std::vector<int> drain;
    std::vector<int> lost;
    std::map<std::string, int> replication_factors;
    std::vector<std::string> exclude_topics;
    bool empty_cordoned_volumes = false;  ///< Their replicas go to their brokers' other volumes.
    int max_moves_per_broker = 0;
    std::int64_t throttle_bytes_per_second = 0;
    friend bool operator==(const PlanWish&, const PlanWish&) = default;
};

/// What a plan can't meet.
struct Unmet {
    std::string constraint;  ///< drain, lost, rack, ...
    std::string reason;      ///< A sentence with an example and the numbers.
    int count = 0;           ///< Partitions.
    friend bool operator==(const Unmet&, const Unmet&) = default;
};

struct PlanFacts {
    std::string hash;
    int moves = 0;     ///< Partitions that change, be it their order or a disk alone.
    int replicas = 0;  ///< That are copied, to other brokers or disks.
    std::int64_t bytes = 0;
    int lower_bound = 0;
    std::vector<Unmet> unmet;
    friend bool operator==(const PlanFacts&, const PlanFacts&) = default;
};

/// A plan's name has what it was asked for behind a slash; people are shown, and say, what is
/// before it.
inline std::string plan_id(const std::string& hash) {
    return hash.substr(0, hash.find('/'));
}

enum class PlanState { none, planned, running, paused, cancelling, cancelled, done, failed };

struct PlanProgress {
    std::string hash;
    PlanState state = PlanState::none;
    int moves_total = 0;  ///< Replicas, as these all.
    int moves_done = 0;
    int moves_in_flight = 0;
    int moves_failed = 0;
    std::int64_t bytes_total = 0;
    std::int64_t bytes_done = 0;
    std::int64_t bytes_per_second = 0;
    std::int64_t eta_seconds = -1;
    int lower_bound = 0;
    std::int64_t throttle_bytes_per_second = 0;  ///< 0: what clients leave.
    std::string blocked_by;
    friend bool operator==(const PlanProgress&, const PlanProgress&) = default;
};

// ---- Topics -------------------------------------------------------------------------------------

using Settings = std::map<std::string, std::string, std::less<>>;

struct TopicFacts {
    std::string name;
    std::string id;
    int partitions = 0;
    int replication_factor = 0;
    int moving = 0;    ///< Partitions whose replicas are being changed.
    Settings configs;  ///< Of its own.
    friend bool operator==(const TopicFacts&, const TopicFacts&) = default;
};

struct NewTopic {
    std::string name;
    int partitions = 0;          ///< 0: the cluster's default.
    int replication_factor = 0;  ///< 0: the cluster's default.
    Settings configs;
};

struct SettingsChange {
    std::string topic;  ///< Empty: the default of all brokers.
    Settings set;
    std::vector<std::string> remove;
    friend bool operator==(const SettingsChange&, const SettingsChange&) = default;
};

/// How one of several asked-for things went: 0 is fine, else Kafka's error code.
struct Outcome {
    std::string name;
    std::string id;  ///< Of a topic just created.
    int kafka_error = 0;
    std::string message;
};

}  // namespace millrace::brokers
