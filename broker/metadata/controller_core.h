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
#include <functional>
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
#include "config/alter.h"
#include "metadata/controller_index.h"
#include "metadata/copies.h"
#include "metadata/delta.h"
#include "metadata/image.h"
#include "metadata/records.h"
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
struct UnregisterControllerRequest;
struct UnregisterControllerResponse;
struct UpdateFeaturesRequest;
struct UpdateFeaturesResponse;
}  // namespace millrace::protocol

namespace millrace::metadata {

/// What may be configured: config's rules with this node's configuration (config_rules.h).
class ConfigRules {
public:
    virtual ~ConfigRules() = default;
    /// IncrementalAlterConfigs on one resource, which has `current` set.
    virtual config::Altered alter(const ConfigResource& resource, const config::Entries& current,
                                  const std::vector<config::Alteration>& asked,
                                  const Image& image) const = 0;
    /// AlterConfigs: the resource has exactly `wanted` afterwards.
    virtual config::Altered replace(const ConfigResource& resource, const config::Entries& current,
                                    const config::Entries& wanted, const Image& image) const = 0;
    virtual config::Altered check_new_topic(const config::Entries& wanted,
                                            const Image& image) const = 0;
    /// Every setting of a topic with these overrides, for the answer of CreateTopics.
    virtual std::vector<config::Described> describe_topic(const config::Entries& overrides,
                                                          const Image& image) const = 0;
};

/// This node's own configuration: what holds where the metadata says nothing.
struct ControllerOptions {
    BrokerId node;
    /// Of the broker in this very process, if there is one: an earlier incarnation of it is dead.
    std::optional<Uuid> own_incarnation;
    /// Whether a node of that id is one of the quorum's.
    std::function<bool(BrokerId)> is_controller = [](BrokerId) { return false; };
    std::string cluster_id;
    std::int32_t default_partitions = 1;
    CopiesOptions default_copies;
    std::int32_t min_insync_replicas = 1;
    bool unclean_leader_election = false;
    bool delete_topics = true;  ///< delete.topic.enable
    bool synced = true;         ///< millrace.durability of topics that don't say.
    /// A user operation that needs more is refused, as by Kafka.
    std::size_t max_records_per_operation = 10'000;
    std::int32_t producer_id_block = 1'000;
    /// Levels of a new cluster that are not the defaults of its metadata.version.
    std::map<std::string, std::int16_t, std::less<>> bootstrap_features;
};

struct Context {
    const Image& image;
    const ControllerIndex& index;
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

/// Records under construction. Each is applied to `image()` at once, so that a decision of several
/// steps sees its own.
class Draft {
public:
    explicit Draft(const Image& base);
    Draft(const Draft&);
    Draft(Draft&&) noexcept;
    Draft& operator=(const Draft&);
    Draft& operator=(Draft&&) noexcept;
    ~Draft();

    /// `record` is a generated metadata record. One that doesn't fit the image is a bug of ours.
    template <typename Record>
    void add(const Record& record, std::int16_t version) {
        records_.add(record, version);
        apply_last();
    }

    const Image& image() const { return delta_.after(); }
    const Delta& delta() const { return delta_; }
    const RecordList& records() const { return records_; }

private:
    void apply_last();

    Delta delta_;
    RecordList records_;
};

template <typename Answer>
struct Decision {
    explicit Decision(const Context& context) : draft(context.image) {}

    Draft draft;
    Answer answer{};
    Texts texts;
    /// All records or none. Otherwise each record stands for itself and they may be cut into
    /// several batches.
    bool atomic = true;
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
Decision<protocol::UnregisterControllerResponse> unregister_controller(
    Context& context, const protocol::UnregisterControllerRequest& request);
/// Fences all brokers whose session has run out.
Decision<NoAnswer> fence_overdue_brokers(Context& context);
/// A probe after a lost connection went unanswered: fence now, if it is still that incarnation.
Decision<NoAnswer> fence_broker(Context& context, BrokerId broker, BrokerEpoch epoch);

// Topics and partitions (internal/topic_create.cc and its neighbours).
Decision<protocol::CreateTopicsResponse> create_topics(
    Context& context, const protocol::CreateTopicsRequest& request,
    const std::set<std::string, std::less<>>& describable);  ///< Whose details may be answered.
Decision<protocol::DeleteTopicsResponse> delete_topics(
    Context& context, const protocol::DeleteTopicsRequest& request);
Decision<protocol::CreatePartitionsResponse> create_partitions(
    Context& context, const protocol::CreatePartitionsRequest& request);
Decision<protocol::AlterPartitionResponse> alter_partition(
    Context& context, const protocol::AlterPartitionRequest& request);
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
/// Leaders leave drained brokers (standing.h), some of them in one decision; no records when every
/// one that can has left.
Decision<NoAnswer> drain_leaders(Context& context);
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
