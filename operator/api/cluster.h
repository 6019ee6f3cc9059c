// operator/api/cluster.h
//
// Kind Cluster: brokers, their disks, racks and listeners. A member's initial value is the field's
// default. Parsing accepts what the API server accepts and fills in defaults; an error names each
// wrong field and what to write instead. Pure: any thread, no clock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "operator/api/values.h"

namespace millrace::api {

// ---- Wanted --------------------------------------------------------------------------------

enum class ReclaimPolicy { retain, remove };
template <>
struct Words<ReclaimPolicy> {
    static constexpr std::array<std::string_view, 2> list{"Retain", "Delete"};
};

struct StorageRetention {
    ReclaimPolicy when_scaled = ReclaimPolicy::retain;
    ReclaimPolicy when_deleted = ReclaimPolicy::retain;
    friend bool operator==(const StorageRetention&, const StorageRetention&) = default;
};

struct VolumeSpec {
    std::int32_t id = 0;
    Quantity size;
    std::optional<std::string> storage_class;
    friend bool operator==(const VolumeSpec&, const VolumeSpec&) = default;
};

struct StorageSpec {
    std::optional<Quantity> size;
    std::optional<std::string> storage_class;
    std::vector<VolumeSpec> volumes;  ///< Ask all_volumes(): `size` alone is one volume with id 0.
    bool ephemeral = false;
    StorageRetention retention;
    friend bool operator==(const StorageSpec&, const StorageSpec&) = default;
};

/// Volumes by id, each with its size and class.
std::vector<VolumeSpec> all_volumes(const StorageSpec& storage);

struct KeyReference {
    std::string name;  ///< Of the ConfigMap or Secret.
    std::string key;
    friend bool operator==(const KeyReference&, const KeyReference&) = default;
};

struct ValueSource {  ///< Exactly one.
    std::optional<KeyReference> config_map_key;
    std::optional<KeyReference> secret_key;
    friend bool operator==(const ValueSource&, const ValueSource&) = default;
};

struct EnvironmentVariable {  ///< Exactly one of value and value_from.
    std::string name;
    std::optional<std::string> value;
    std::optional<ValueSource> value_from;
    friend bool operator==(const EnvironmentVariable&, const EnvironmentVariable&) = default;
};

struct Toleration {
    std::string key;
    std::string op = "Equal";
    std::string value;
    std::string effect;
    std::optional<std::int64_t> toleration_seconds;
    friend bool operator==(const Toleration&, const Toleration&) = default;
};

struct EmptyDirectory {
    std::optional<Quantity> size_limit;
    friend bool operator==(const EmptyDirectory&, const EmptyDirectory&) = default;
};

struct ExtraVolume {  ///< Exactly one of config_map and empty_dir.
    std::string name;
    std::string mount_path;
    std::optional<LocalReference> config_map;
    std::optional<EmptyDirectory> empty_dir;
    friend bool operator==(const ExtraVolume&, const ExtraVolume&) = default;
};

/// What of a pod an object may shape; never image, command, service account or security context.
struct PodTemplate {
    Texts labels;
    Texts annotations;
    kube::Json affinity;  ///< Kubernetes' own type, handed on as it is; null if absent.
    std::vector<Toleration> tolerations;
    Texts node_selector;
    std::optional<std::string> priority_class;
    std::vector<EnvironmentVariable> env;
    std::vector<ExtraVolume> volumes;
    friend bool operator==(const PodTemplate&, const PodTemplate&) = default;
};

struct ControllersSpec {
    std::int32_t replicas = 3;  ///< 1, 3 or 5.
    StorageSpec storage;
    Resources resources;
    friend bool operator==(const ControllersSpec&, const ControllersSpec&) = default;
};

struct PoolSpec {
    std::string name;
    std::int32_t replicas = 0;
    std::optional<std::string> rack;
    StorageSpec storage;
    std::optional<Resources> resources;       ///< Else the cluster's.
    std::optional<PodTemplate> pod_template;  ///< Else the cluster's.
    std::vector<std::int32_t> remove;
    friend bool operator==(const PoolSpec&, const PoolSpec&) = default;
};

enum class RackSource { automatic, node, pool };
template <>
struct Words<RackSource> {
    static constexpr std::array<std::string_view, 3> list{"Auto", "Node", "Pool"};
};

enum class RackSpread { required, preferred, off };
template <>
struct Words<RackSpread> {
    static constexpr std::array<std::string_view, 3> list{"Required", "Preferred", "Off"};
};

struct RackSpec {
    std::string topology_key = "topology.kubernetes.io/zone";
    RackSource source = RackSource::automatic;
    RackSpread spread = RackSpread::preferred;
    friend bool operator==(const RackSpec&, const RackSpec&) = default;
};

enum class ListenerType { internal, cluster_ip, node_port, load_balancer };
template <>
struct Words<ListenerType> {
    static constexpr std::array<std::string_view, 4> list{"Internal", "ClusterIP", "NodePort",
                                                          "LoadBalancer"};
};

enum class ListenerAuth { none, tls, scram, oauth };
template <>
struct Words<ListenerAuth> {
    static constexpr std::array<std::string_view, 4> list{"None", "TLS", "SCRAM", "OAuth"};
};

struct AdvertisedAddress {
    std::string host;  ///< "{id}" in it is the broker's id.
    std::optional<std::int32_t> port;
    friend bool operator==(const AdvertisedAddress&, const AdvertisedAddress&) = default;
};

struct ListenerSpec {
    std::string name;
    std::int32_t port = 0;
    ListenerType type = ListenerType::internal;
    bool tls = false;
    ListenerAuth auth = ListenerAuth::none;
    std::optional<AdvertisedAddress> advertised;
    friend bool operator==(const ListenerSpec&, const ListenerSpec&) = default;
};

enum class CertificateAuthority { managed, secret };
template <>
struct Words<CertificateAuthority> {
    static constexpr std::array<std::string_view, 2> list{"Managed", "Secret"};
};

struct TlsSpec {
    CertificateAuthority ca = CertificateAuthority::managed;
    std::optional<std::string> secret_name;
    Span validity = std::chrono::hours(24 * 365);
    Span renew_before = std::chrono::hours(24 * 30);
    friend bool operator==(const TlsSpec&, const TlsSpec&) = default;
};

enum class UnsafePartitions { allow, block };
template <>
struct Words<UnsafePartitions> {
    static constexpr std::array<std::string_view, 2> list{"Allow", "Block"};
};

struct RollingWindow {
    std::vector<std::string> days;  ///< "Mon" to "Sun"; empty: every day.
    std::string from;               ///< "HH:MM", UTC.
    Span length;
    friend bool operator==(const RollingWindow&, const RollingWindow&) = default;
};

struct RollingSpec {
    std::int32_t max_unavailable_per_rack = 1;
    UnsafePartitions unsafe_partitions = UnsafePartitions::allow;
    std::int32_t caught_up_percent = 100;
    std::vector<RollingWindow> windows;
    std::vector<std::int32_t> hold;
    std::optional<std::int64_t> revision;
    std::optional<std::string> restart;
    friend bool operator==(const RollingSpec&, const RollingSpec&) = default;
};

enum class BalanceMode { on_scale, continuous, manual, off };
template <>
struct Words<BalanceMode> {
    static constexpr std::array<std::string_view, 4> list{"OnScale", "Continuous", "Manual", "Off"};
};

struct BalanceSpec {
    BalanceMode mode = BalanceMode::on_scale;
    std::optional<Quantity> throttle;  ///< Bytes a second and broker; absent: adapts itself.
    std::int32_t max_moves_per_broker = 4;
    Span dead_broker_timeout = std::chrono::minutes(10);
    std::vector<std::string> exclude;
    std::optional<std::string> approve;
    friend bool operator==(const BalanceSpec&, const BalanceSpec&) = default;
};

struct TopicDefaults {
    std::optional<std::int32_t> partitions;
    std::optional<std::int32_t> replicas;
    std::optional<std::int32_t> min_in_sync_replicas;
    friend bool operator==(const TopicDefaults&, const TopicDefaults&) = default;
};

struct TopicsSpec {
    TopicDefaults defaults;
    std::vector<std::string> allowed_namespaces;
    friend bool operator==(const TopicsSpec&, const TopicsSpec&) = default;
};

struct MonitoringSpec {
    bool pod_monitor = false;
    Texts labels;
    friend bool operator==(const MonitoringSpec&, const MonitoringSpec&) = default;
};

struct ClusterSpec {
    std::optional<std::string> version;
    std::optional<std::int32_t> replicas;  ///< Set unless `pools` is.
    std::optional<ControllersSpec> controllers;
    std::vector<PoolSpec> pools;
    std::optional<StorageSpec> storage;  ///< Set unless `pools` is.
    std::vector<std::int32_t> remove;
    Resources resources;
    PodTemplate pod_template;
    RackSpec rack;
    std::vector<ListenerSpec> listeners;  ///< Ask all_listeners().
    std::optional<TlsSpec> tls;           ///< Set: brokers and operator speak TLS with each other.
    Texts config;
    RollingSpec rolling;
    BalanceSpec balance;
    TopicsSpec topics;
    MonitoringSpec monitoring;
    bool paused = false;
    friend bool operator==(const ClusterSpec&, const ClusterSpec&) = default;
};

inline constexpr std::string_view default_pool = "brokers";

/// Dedicated controllers, as a pool of this name; none: brokers carry the quorum.
inline constexpr std::string_view controllers_name = "controllers";
std::optional<PoolSpec> controllers_pool(const ClusterSpec& spec);

/// The pools a cluster consists of: its own, or one named default_pool from replicas and storage;
/// resources and template are filled in from the cluster.
std::vector<PoolSpec> all_pools(const ClusterSpec& spec);
std::int32_t total_replicas(const ClusterSpec& spec);

/// Replicas of a topic that doesn't say, if there are as many brokers.
inline constexpr std::int32_t default_topic_replicas = 3;

/// What is written, or one internal listener "plain" on port 9092.
std::vector<ListenerSpec> all_listeners(const ClusterSpec& spec);

/// Ports that the operator takes for itself on every broker; a listener may not name them.
namespace owned_port {
inline constexpr std::int32_t replication = 9091;
inline constexpr std::int32_t controller = 9093;
inline constexpr std::int32_t admin = 9095;
inline constexpr std::int32_t metrics = 9404;
}  // namespace owned_port

// ---- Seen ----------------------------------------------------------------------------------

enum class BrokerState { starting, recovering, running, draining, fenced, dead };
template <>
struct Words<BrokerState> {
    static constexpr std::array<std::string_view, 6> list{"Starting", "Recovering", "Running",
                                                          "Draining", "Fenced",     "Dead"};
};

struct BrokerStatus {
    std::int32_t id = 0;
    std::string pool;
    std::string rack;
    std::string pod;
    bool ready = false;
    bool updated = false;
    BrokerState state = BrokerState::starting;
    std::optional<std::int32_t> recovery_percent;
    std::string since{};                  ///< When it came into that state.
    bool balanced = false;                ///< It was given its share of replicas since it came.
    std::vector<std::int32_t> volumes{};  ///< Ids of those that were given theirs.
    /// Of those that take no new replica, as the spec has them no more.
    std::vector<std::int32_t> closed_volumes{};
    std::string waiting_for;  ///< One line; empty when it waits for nothing.
    friend bool operator==(const BrokerStatus&, const BrokerStatus&) = default;
};

struct RevisionStatus {
    std::int64_t current = 0;
    std::int64_t target = 0;
    friend bool operator==(const RevisionStatus&, const RevisionStatus&) = default;
};

struct ControllersStatus {
    std::optional<std::int32_t> leader;
    std::vector<std::int32_t> voters;
    friend bool operator==(const ControllersStatus&, const ControllersStatus&) = default;
};

struct ListenerStatus {
    std::string name;
    ListenerType type = ListenerType::internal;
    std::string bootstrap;               ///< "host:port"; empty until it has an address.
    std::vector<std::string> addresses;  ///< Of every broker, in the order of ids.
    friend bool operator==(const ListenerStatus&, const ListenerStatus&) = default;
};

struct RollingStatus {
    std::string reason;
    std::int32_t done = 0;
    std::int32_t total = 0;
    std::vector<std::int32_t> current;
    std::string waiting_for;
    friend bool operator==(const RollingStatus&, const RollingStatus&) = default;
};

enum class RebalanceState { idle, planning, awaiting_approval, moving, paused, blocked };
template <>
struct Words<RebalanceState> {
    static constexpr std::array<std::string_view, 6> list{"Idle",   "Planning", "AwaitingApproval",
                                                          "Moving", "Paused",   "Blocked"};
};

struct RebalanceMoves {
    std::int64_t total = 0;
    std::int64_t done = 0;
    std::int64_t in_flight = 0;
    friend bool operator==(const RebalanceMoves&, const RebalanceMoves&) = default;
};

struct RebalanceBytes {
    std::int64_t total = 0;
    std::int64_t done = 0;
    friend bool operator==(const RebalanceBytes&, const RebalanceBytes&) = default;
};

struct RebalanceStatus {
    RebalanceState state = RebalanceState::idle;
    std::string trigger;
    std::string plan_hash;
    RebalanceMoves moves;
    RebalanceBytes bytes;
    std::int64_t rate = 0;  ///< Bytes a second.
    std::optional<Span> eta;
    std::int64_t lower_bound = 0;  ///< Moves that no plan can do without.
    std::string blocked_by;
    friend bool operator==(const RebalanceStatus&, const RebalanceStatus&) = default;
};

struct HealthStatus {
    std::int64_t offline_partitions = 0;
    std::int64_t under_min_isr = 0;
    std::int64_t under_replicated = 0;
    std::int64_t rack_violations = 0;
    std::string as_of{};  ///< When they were last known to hold; empty: they hold now.
    friend bool operator==(const HealthStatus&, const HealthStatus&) = default;
};

/// What the columns of `kubectl get` show: fill_summary() makes it from the rest.
struct ClusterSummary {
    std::string ready;      ///< "3/3"
    std::string rolling;    ///< "1/3"; empty when nothing rolls.
    std::string moving;     ///< "42%"; empty when nothing moves.
    std::string racks;      ///< "a,b,c"
    std::string bootstrap;  ///< Of the first listener that has one.
    friend bool operator==(const ClusterSummary&, const ClusterSummary&) = default;
};

struct ClusterStatus {
    std::int64_t observed_generation = 0;
    std::string cluster_id;
    std::string version;
    RevisionStatus revision;
    std::string phase;  ///< Creating, Running, Rolling, Scaling, Degraded, Paused, Invalid.
    std::string message;
    std::int32_t replicas = 0;
    std::int32_t ready_replicas = 0;
    std::int32_t updated_replicas = 0;
    std::int32_t draining_replicas = 0;
    std::string selector;
    std::vector<BrokerStatus> brokers;
    std::optional<ControllersStatus> controllers;
    std::vector<ListenerStatus> listeners;
    std::optional<RollingStatus> rolling;
    std::optional<RebalanceStatus> rebalance;
    std::optional<HealthStatus> health;
    std::string restarted;  ///< The `rolling.restart` that every broker has seen.
    ClusterSummary summary;
    std::vector<Condition> conditions;
    friend bool operator==(const ClusterStatus&, const ClusterStatus&) = default;
};

/// `wanted`: how many brokers the spec asks for.
void fill_summary(ClusterStatus& status, std::int32_t wanted);

struct Cluster {
    Metadata metadata;
    ClusterSpec spec;
    ClusterStatus status;
};

/// Of whole objects. A status that can't be read (an older operator's) reads as empty.
Result<Cluster> parse_cluster(const kube::Json& object);

Result<ClusterSpec> parse_cluster_spec(const kube::Json& spec);
Result<ClusterStatus> parse_cluster_status(const kube::Json& status);
kube::Json to_json(const ClusterSpec& spec);
kube::Json to_json(const ClusterStatus& status);

}  // namespace millrace::api
