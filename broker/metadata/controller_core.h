// metadata/controller_core.h
//
// The controller's decisions: pure managers, one function per request, (context, request) to
// records and an answer. The records are one atomic batch; the answer is true once they are
// committed, and at once if there are none. Nothing here waits, logs, or reads a clock.
//
// Requests and answers are the protocol's own structs. A Decision owns every text its answer shows;
// nothing of the request is referred to after the call.
//
// Authorisation has happened before: handlers ask security, then submit.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>

#include "base/random.h"
#include "base/result.h"
#include "base/time.h"
#include "metadata/image.h"
#include "metadata/records.h"
#include "metadata/replica_index.h"
#include "metadata/sessions.h"
#include "model/ids.h"
#include "model/kafka_error.h"

namespace millrace::protocol {
struct AllocateProducerIdsRequest;
struct AllocateProducerIdsResponse;
struct AlterClientQuotasRequest;
struct AlterClientQuotasResponse;
struct AlterConfigsRequest;
struct AlterConfigsResponse;
struct AlterPartitionReassignmentsRequest;
struct AlterPartitionReassignmentsResponse;
struct AlterPartitionRequest;
struct AlterPartitionResponse;
struct AlterUserScramCredentialsRequest;
struct AlterUserScramCredentialsResponse;
struct AssignReplicasToDirsRequest;
struct AssignReplicasToDirsResponse;
struct BrokerHeartbeatRequest;
struct BrokerHeartbeatResponse;
struct BrokerRegistrationRequest;
struct BrokerRegistrationResponse;
struct ControllerRegistrationRequest;
struct ControllerRegistrationResponse;
struct CreateAclsRequest;
struct CreateAclsResponse;
struct CreatePartitionsRequest;
struct CreatePartitionsResponse;
struct CreateTopicsRequest;
struct CreateTopicsResponse;
struct DeleteAclsRequest;
struct DeleteAclsResponse;
struct DeleteTopicsRequest;
struct DeleteTopicsResponse;
struct ElectLeadersRequest;
struct ElectLeadersResponse;
struct IncrementalAlterConfigsRequest;
struct IncrementalAlterConfigsResponse;
struct ListPartitionReassignmentsRequest;
struct ListPartitionReassignmentsResponse;
struct UnregisterBrokerRequest;
struct UnregisterBrokerResponse;
struct UpdateFeaturesRequest;
struct UpdateFeaturesResponse;
}  // namespace millrace::protocol

namespace millrace::metadata {

/// What may be configured. config's table implements it (through app); tests bring their own.
class ConfigRules {
public:
    virtual ~ConfigRules() = default;
    /// Whether all of `values` may be set together on `resource`: names, types, ranges,
    /// combinations.
    virtual Result<void> check(
        const ConfigResource& resource,
        const std::map<std::string, std::string, std::less<>>& values) const = 0;
    virtual bool is_known(ConfigResourceType type, std::string_view key) const = 0;
    /// APPEND and SUBTRACT apply to lists only.
    virtual bool is_list(ConfigResourceType type, std::string_view key) const = 0;
    /// What holds for a topic where nobody set anything: this node's static configuration, else the
    /// default.
    virtual std::string topic_default(std::string_view key) const = 0;
};

struct ControllerOptions {
    std::string cluster_id;
    std::int32_t default_partitions = 1;
    std::int16_t default_replication_factor = 1;
    std::size_t max_records_per_operation =
        10'000;  ///< As Kafka's: larger user operations are refused.
    std::int32_t producer_id_block = 1'000;
    std::map<std::string, std::int16_t, std::less<>> bootstrap_features;  ///< Over the defaults.
};

struct Context {
    const Image& image;
    const ReplicaIndex& index;
    Sessions& sessions;
    Instant now;
    Random& random;
    const ConfigRules& config_rules;
    const ControllerOptions& options;
    /// Where the first record of this decision will lie: a broker's epoch is the offset of its
    /// registration.
    Offset next_offset;
};

/// Texts that live as long as the answer that shows them.
class Texts {
public:
    std::string_view keep(std::string text) { return texts_->emplace_back(std::move(text)); }

private:
    std::unique_ptr<std::deque<std::string>> texts_ = std::make_unique<std::deque<std::string>>();
};

template <typename Answer>
struct Decision {
    RecordList records;
    Answer answer{};
    Texts texts;
};
/// For what the controller does on its own.
struct NoAnswer {};

// Brokers and controllers (internal/cluster_control.cc).
Decision<protocol::BrokerRegistrationResponse> register_broker(
    Context& context, const protocol::BrokerRegistrationRequest& request);
Decision<protocol::BrokerHeartbeatResponse> broker_heartbeat(
    Context& context, const protocol::BrokerHeartbeatRequest& request);
Decision<protocol::UnregisterBrokerResponse> unregister_broker(
    Context& context, const protocol::UnregisterBrokerRequest& request);
Decision<protocol::ControllerRegistrationResponse> register_controller(
    Context& context, const protocol::ControllerRegistrationRequest& request);
/// Fences brokers whose session has run out: up to a batch of records; ask again while any came.
Decision<NoAnswer> fence_overdue_brokers(Context& context);
/// A probe after a lost connection went unanswered: fence now, if it is still that incarnation.
Decision<NoAnswer> fence_broker(Context& context, BrokerId broker, BrokerEpoch epoch);

// Topics and partitions (internal/topic_control.cc and its neighbours).
Decision<protocol::CreateTopicsResponse> create_topics(
    Context& context, const protocol::CreateTopicsRequest& request,
    const std::set<std::string, std::less<>>& describable);  ///< Whose details may be answered.
Decision<protocol::DeleteTopicsResponse> delete_topics(
    Context& context, const protocol::DeleteTopicsRequest& request);
Decision<protocol::CreatePartitionsResponse> create_partitions(
    Context& context, const protocol::CreatePartitionsRequest& request);
/// `version`: of the request; version 2 names ISR members without broker epochs.
Decision<protocol::AlterPartitionResponse> alter_partition(
    Context& context, const protocol::AlterPartitionRequest& request, std::int16_t version);
Decision<protocol::ElectLeadersResponse> elect_leaders(
    Context& context, const protocol::ElectLeadersRequest& request);
Decision<protocol::AlterPartitionReassignmentsResponse> alter_partition_reassignments(
    Context& context, const protocol::AlterPartitionReassignmentsRequest& request);
Decision<protocol::ListPartitionReassignmentsResponse> list_partition_reassignments(
    Context& context, const protocol::ListPartitionReassignmentsRequest& request);
Decision<protocol::AssignReplicasToDirsResponse> assign_replicas_to_dirs(
    Context& context, const protocol::AssignReplicasToDirsRequest& request);
/// Gives up to a batch of partitions back to their first replica where that is in the ISR.
Decision<NoAnswer> balance_leaders(Context& context);
/// Elects for leaderless partitions whose topic allows unclean election (case 25).
Decision<NoAnswer> elect_unclean_where_allowed(Context& context);

// Configs, features and the rest.
Decision<protocol::IncrementalAlterConfigsResponse> incremental_alter_configs(
    Context& context, const protocol::IncrementalAlterConfigsRequest& request);
Decision<protocol::AlterConfigsResponse> alter_configs(
    Context& context, const protocol::AlterConfigsRequest& request);
Decision<protocol::UpdateFeaturesResponse> update_features(
    Context& context, const protocol::UpdateFeaturesRequest& request);
Decision<protocol::AllocateProducerIdsResponse> allocate_producer_ids(
    Context& context, const protocol::AllocateProducerIdsRequest& request);
Decision<protocol::AlterClientQuotasResponse> alter_client_quotas(
    Context& context, const protocol::AlterClientQuotasRequest& request);
Decision<protocol::AlterUserScramCredentialsResponse> alter_user_scram_credentials(
    Context& context, const protocol::AlterUserScramCredentialsRequest& request);
Decision<protocol::CreateAclsResponse> create_acls(Context& context,
                                                   const protocol::CreateAclsRequest& request);
Decision<protocol::DeleteAclsResponse> delete_acls(Context& context,
                                                   const protocol::DeleteAclsRequest& request);

/// What the first controller of a new cluster writes: feature levels, and nothing that was there.
Decision<NoAnswer> bootstrap(Context& context);

}  // namespace millrace::metadata
