// admin/doors.h
//
// What the admin endpoint asks of a broker, in plain C++: app wires it to the doors that the Kafka
// listener uses too. Calls come from gRPC's threads, already authenticated, authorised and within
// their limits; an implementation posts to the loop that owns the state and calls `reply` once,
// from any thread. What a broker can't do yet it leaves as it is here: callers are told
// UNIMPLEMENTED.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "base/unique_function.h"
#include "base/uuid.h"
#include "config/config.h"
#include "mirror/link.h"
#include "mirror/state.h"
#include "model/ids.h"

namespace millrace::admin {

template <typename T>
using Reply = UniqueFunction<void(Result<T>)>;

/// Who is at the other end, before it is known who that means.
struct Peer {
    bool tls = false;
    std::string subject;  ///< The certificate's distinguished name; empty without one.
    std::string address;
};

struct Caller {
    Principal principal;
    std::string address;
    std::string call;  ///< "ApplyPlan"
    bool dry_run = false;
};

struct LogDirectory {
    Uuid id;
    std::string path;
};

struct Identity {
    std::string cluster_id;
    BrokerId broker_id;
    BrokerEpoch broker_epoch;
    std::vector<LogDirectory> directories;
    std::string version;
    std::string kafka_version;
    std::map<std::string, std::int16_t> features;
    std::vector<std::string> roles;
    std::string rack;
};

enum class BrokerState { starting = 1, recovering, running, draining, fenced, dead };

struct BrokerHealth {
    BrokerId id;
    std::string rack;
    BrokerState state = BrokerState::starting;
    bool cordoned = false;
    BrokerEpoch epoch;
    int replicas = 0;
    int leaders = 0;
    int lagging_replicas = 0;
    int recovery_percent = 0;
    std::string waiting_for;
    std::vector<std::string> offline_directories;
    int in_moves = 0;
    int out_moves = 0;
};

struct UnhealthyPartition {
    TopicPartition partition;
    BrokerId leader = no_broker;
    std::vector<BrokerId> isr;
    std::vector<BrokerId> replicas;
    int min_isr = 0;
};

struct PartitionHealth {
    int total = 0;
    int offline = 0;
    int under_min_isr = 0;
    int under_replicated = 0;
    int rack_violations = 0;
    int reassigning = 0;
    std::vector<UnhealthyPartition> worst;
};

struct VoterEndpoint {
    std::string listener;
    std::string host;
    std::uint16_t port = 0;
};

struct Voter {
    BrokerId id;
    Uuid directory_id;
    Offset end = no_offset;
    std::int64_t last_fetch_ms = -1;
    std::int64_t last_caught_up_ms = -1;
    std::vector<VoterEndpoint> endpoints;
};

struct QuorumHealth {
    BrokerId leader = no_broker;
    std::vector<Voter> voters;
    std::vector<Voter> observers;
    Offset high_watermark;
};

struct Health {
    QuorumEpoch epoch;
    Offset metadata_offset;
    std::vector<BrokerHealth> brokers;
    PartitionHealth partitions;
    QuorumHealth quorum;
};

struct RestartQuestion {
    std::vector<BrokerId> brokers;
    bool with_those_down = false;
};

struct RestartBlocker {
    enum class Reason { offline = 1, under_min_isr, quorum, recovering, unknown_broker };
    Reason reason = Reason::offline;
    std::optional<TopicPartition> partition;
    BrokerId broker = no_broker;
    std::string message;
};

struct RestartVerdict {
    bool allowed = false;
    std::vector<RestartBlocker> blockers;  ///< The shell passes on a hundred and counts the rest.
    QuorumEpoch epoch;
    Offset metadata_offset;
};

struct RestartProgress {
    BrokerState state = BrokerState::starting;
    BrokerEpoch epoch;
    int recovery_percent = 0;
    int in_sync_percent = 0;
    int leaders_percent = 0;
    bool caught_up = false;
    std::string waiting_for;
};

struct DrainResult {
    int leaders_left = 0;
    std::vector<TopicPartition> stuck;
};

struct ReloadedCertificate {
    std::string listener;
    bool changed = false;
    std::string subject;
    std::string serial;
    Timestamp not_after;
    std::string error;
    std::vector<std::string>
        trusted;  ///< Fingerprints of the authorities that peers may come from.
};

/// A request of the Kafka protocol, to be served as if it had come through a listener.
struct KafkaCall {
    std::int16_t api_key = 0;
    std::int16_t api_version = 0;
    BrokerId target = no_broker;  ///< no_broker: whoever serves it from here.
    Buffer body;                  ///< Without a header.
};

struct LinkChange {
    mirror::LinkSpec spec;
    std::int64_t expected_version = 0;  ///< 0: whatever is there.
};

struct AppliedLink {
    std::string id;
    std::int64_t version = 0;
    bool changed = false;
};

struct KnownLink {
    mirror::Link link;
    mirror::LinkView view;
};

/// Ends a stream of news when destroyed. News may still arrive a moment later; the receiver copes.
class Subscription {
public:
    virtual ~Subscription() = default;
};

class PlanDoors;  // plan_doors.h

class AdminDoors {
public:
    virtual ~AdminDoors() = default;

    // These answer at once and may be called from any thread.

    /// Without TLS everybody is ANONYMOUS.
    virtual Principal principal_of(const Peer& peer) const;
    /// `operation` and `resource_type` are Kafka's numbers; the cluster's name is "kafka-cluster".
    virtual bool allows(const Principal& principal, std::string_view address, std::int8_t operation,
                        std::int8_t resource_type, std::string_view resource_name) const = 0;
    /// Of the metadata quorum, as far as this broker knows.
    virtual QuorumEpoch epoch() const = 0;
    virtual std::shared_ptr<const config::BrokerConfig> config() const = 0;
    virtual BrokerId self() const = 0;
    /// Brokers that can't be asked from here.
    virtual std::vector<BrokerId> other_brokers() const { return {}; }

    virtual void identity(Reply<Identity> reply) = 0;
    /// The first news comes at once, then one for each change; calls to `news` don't overlap.
    virtual std::unique_ptr<Subscription> watch_health(UniqueFunction<void(Health)> news);
    virtual void restart_check(Caller caller, RestartQuestion question,
                               Reply<RestartVerdict> reply);
    virtual void restart_progress(Caller caller, BrokerId broker, BrokerEpoch before,
                                  Reply<RestartProgress> reply);
    virtual void drain_leaders(Caller caller, BrokerId broker, bool undo, Reply<DrainResult> reply);
    /// All cordoned brokers afterwards.
    virtual void cordon(Caller caller, std::vector<BrokerId> brokers, bool cordoned,
                        Reply<std::vector<BrokerId>> reply);
    virtual void unregister_broker(Caller caller, BrokerId broker, Reply<bool> reply);
    virtual void describe_quorum(Caller caller, Reply<QuorumHealth> reply);
    virtual void add_voter(Caller caller, Voter voter, Reply<bool> reply);
    virtual void remove_voter(Caller caller, BrokerId id, Uuid directory_id, Reply<bool> reply);
    /// Placement and plans; null where nobody plans.
    virtual PlanDoors* plans() { return nullptr; }
    virtual void reload_certificates(Caller caller, Reply<std::vector<ReloadedCertificate>> reply);
    virtual void apply_link(Caller caller, LinkChange change, Reply<AppliedLink> reply);
    virtual void delete_link(Caller caller, std::string name, bool promote_topics,
                             Reply<bool> reply);
    /// All of them, by name.
    virtual void links(Caller caller, Reply<std::vector<KnownLink>> reply);
    virtual void mirror_partitions(Caller caller, std::string link,
                                   Reply<std::vector<mirror::PartitionView>> reply);
    /// As watch_health(): the first news at once, then one for each change.
    virtual std::unique_ptr<Subscription> watch_links(
        UniqueFunction<void(std::vector<KnownLink>)> news);
    /// The answer's body, without a header.
    virtual void kafka(Caller caller, KafkaCall call, Reply<Buffer> reply);
};

}  // namespace millrace::admin
