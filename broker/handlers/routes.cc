// The routing tables: which API goes to which handler, on which kind of listener.

#include <algorithm>

#include "handlers/controller_apis.h"
#include "handlers/dispatch.h"
#include "handlers/forwarded.h"
#include "handlers/group_calls.h"
#include "handlers/handlers.h"
#include "handlers/listener_apis.h"
#include "protocol/messages/add_raft_voter_request.h"
#include "protocol/messages/add_raft_voter_response.h"
#include "protocol/messages/allocate_producer_ids_request.h"
#include "protocol/messages/alter_client_quotas_request.h"
#include "protocol/messages/alter_client_quotas_response.h"
#include "protocol/messages/alter_configs_request.h"
#include "protocol/messages/alter_configs_response.h"
#include "protocol/messages/alter_partition_reassignments_request.h"
#include "protocol/messages/alter_partition_reassignments_response.h"
#include "protocol/messages/alter_partition_request.h"
#include "protocol/messages/alter_replica_log_dirs_request.h"
#include "protocol/messages/alter_replica_log_dirs_response.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"
#include "protocol/messages/assign_replicas_to_dirs_request.h"
#include "protocol/messages/begin_quorum_epoch_request.h"
#include "protocol/messages/broker_heartbeat_request.h"
#include "protocol/messages/broker_registration_request.h"
#include "protocol/messages/consumer_group_describe_request.h"
#include "protocol/messages/consumer_group_describe_response.h"
#include "protocol/messages/consumer_group_heartbeat_request.h"
#include "protocol/messages/consumer_group_heartbeat_response.h"
#include "protocol/messages/controller_registration_request.h"
#include "protocol/messages/create_acls_request.h"
#include "protocol/messages/create_acls_response.h"
#include "protocol/messages/create_partitions_request.h"
#include "protocol/messages/create_partitions_response.h"
#include "protocol/messages/create_topics_request.h"
#include "protocol/messages/create_topics_response.h"
#include "protocol/messages/delete_acls_request.h"
#include "protocol/messages/delete_acls_response.h"
#include "protocol/messages/delete_groups_request.h"
#include "protocol/messages/delete_groups_response.h"
#include "protocol/messages/delete_records_request.h"
#include "protocol/messages/delete_records_response.h"
#include "protocol/messages/delete_topics_request.h"
#include "protocol/messages/delete_topics_response.h"
#include "protocol/messages/describe_acls_request.h"
#include "protocol/messages/describe_acls_response.h"
#include "protocol/messages/describe_client_quotas_request.h"
#include "protocol/messages/describe_client_quotas_response.h"
#include "protocol/messages/describe_cluster_request.h"
#include "protocol/messages/describe_cluster_response.h"
#include "protocol/messages/describe_configs_request.h"
#include "protocol/messages/describe_configs_response.h"
#include "protocol/messages/describe_groups_request.h"
#include "protocol/messages/describe_groups_response.h"
#include "protocol/messages/describe_log_dirs_request.h"
#include "protocol/messages/describe_log_dirs_response.h"
#include "protocol/messages/describe_producers_request.h"
#include "protocol/messages/describe_producers_response.h"
#include "protocol/messages/describe_quorum_request.h"
#include "protocol/messages/describe_quorum_response.h"
#include "protocol/messages/describe_topic_partitions_request.h"
#include "protocol/messages/describe_topic_partitions_response.h"
#include "protocol/messages/elect_leaders_request.h"
#include "protocol/messages/elect_leaders_response.h"
#include "protocol/messages/end_quorum_epoch_request.h"
#include "protocol/messages/fetch_request.h"
#include "protocol/messages/fetch_response.h"
#include "protocol/messages/fetch_snapshot_request.h"
#include "protocol/messages/find_coordinator_request.h"
#include "protocol/messages/find_coordinator_response.h"
#include "protocol/messages/heartbeat_request.h"
#include "protocol/messages/heartbeat_response.h"
#include "protocol/messages/incremental_alter_configs_request.h"
#include "protocol/messages/incremental_alter_configs_response.h"
#include "protocol/messages/init_producer_id_request.h"
#include "protocol/messages/init_producer_id_response.h"
#include "protocol/messages/join_group_request.h"
#include "protocol/messages/join_group_response.h"
#include "protocol/messages/leave_group_request.h"
#include "protocol/messages/leave_group_response.h"
#include "protocol/messages/list_config_resources_request.h"
#include "protocol/messages/list_config_resources_response.h"
#include "protocol/messages/list_groups_request.h"
#include "protocol/messages/list_groups_response.h"
#include "protocol/messages/list_offsets_request.h"
#include "protocol/messages/list_offsets_response.h"
#include "protocol/messages/list_partition_reassignments_request.h"
#include "protocol/messages/list_partition_reassignments_response.h"
#include "protocol/messages/metadata_request.h"
#include "protocol/messages/metadata_response.h"
#include "protocol/messages/offset_commit_request.h"
#include "protocol/messages/offset_commit_response.h"
#include "protocol/messages/offset_delete_request.h"
#include "protocol/messages/offset_delete_response.h"
#include "protocol/messages/offset_fetch_request.h"
#include "protocol/messages/offset_fetch_response.h"
#include "protocol/messages/offset_for_leader_epoch_request.h"
#include "protocol/messages/offset_for_leader_epoch_response.h"
#include "protocol/messages/produce_request.h"
#include "protocol/messages/produce_response.h"
#include "protocol/messages/remove_raft_voter_request.h"
#include "protocol/messages/remove_raft_voter_response.h"
#include "protocol/messages/sync_group_request.h"
#include "protocol/messages/sync_group_response.h"
#include "protocol/messages/unregister_broker_request.h"
#include "protocol/messages/unregister_broker_response.h"
#include "protocol/messages/update_features_request.h"
#include "protocol/messages/update_features_response.h"
#include "protocol/messages/update_raft_voter_request.h"
#include "protocol/messages/vote_request.h"

namespace millrace::handlers {

void api_versions_broker(const Doors&,
                         Call<protocol::ApiVersionsRequest, protocol::ApiVersionsResponse>);
void api_versions_controller(const Doors&,
                             Call<protocol::ApiVersionsRequest, protocol::ApiVersionsResponse>);
void refuse_api_versions(const Doors&, RequestMeta&&, net::Frame&&, std::size_t, net::Reply&&);

namespace {

using namespace protocol;  // NOLINT: this file names nearly all of it
using groups::GroupCoordinator;

// --- When no controller answers
// --------------------------------------------------------------------

void fail_alter_client_quotas(const AlterClientQuotasRequest& request,
                              AlterClientQuotasResponse& response, KafkaError error) {
    for (const auto& entry : request.entries) {
        auto& to = response.entries.emplace_back();
        to.error_code = code_of(error);
        for (const auto& part : entry.entity) {
            auto& named = to.entity.emplace_back();
            named.entity_type = part.entity_type;
            named.entity_name = part.entity_name;
        }
    }
}

// --- The controller's listener
// ---------------------------------------------------------------------

/// Bodies go to the controller or the quorum as they are; what is made of one there is held until
/// it is answered, within the share of one request.
void to_control(const Doors& doors, RequestMeta&& meta, net::Frame&& frame, std::size_t body_at,
                net::Reply&& reply) {
    auto held = std::make_shared<std::tuple<RequestMeta, net::Frame, net::Reply>>(
        std::move(meta), std::move(frame), std::move(reply));
    doors.control->post([&doors, held, body_at] {
        const RequestMeta& about = std::get<0>(*held);
        net::Frame& frame = std::get<1>(*held);
        const ByteView bytes = frame.bytes().subspan(body_at);
        const auto room = static_cast<std::size_t>(frame.room());
        const std::size_t usual = Reader::budget_for(bytes.size());
        std::size_t made = 0;
        doors.quorum->handle(
            about.api_key, about.version,
            RequestBody(bytes, std::min(room, internal::most_decoded), made),
            [&doors, held, room, usual](Result<Buffer> answer) {
                const RequestMeta& asked = std::get<0>(*held);
                if (!answer && answer.error().code() == Code::exhausted &&
                    usual > std::min(room, internal::most_decoded)) {
                    internal::log_undecodable(
                        doors, asked, internal::why_undecodable(answer.error(), room, usual));
                    return;
                }
                if (!answer) {
                    MR_LOG(*doors.log, debug, "handlers.control_request_failed",
                           field("api_key", asked.api_key),
                           field("reason", answer.error().message()));
                    return;  // the reply is dropped: the peer dials again and finds the leader
                }
                Buffer bytes = begin_response(asked);
                bytes.insert(bytes.end(), answer->begin(), answer->end());
                std::get<2>(*held).send(
                    handlers::about(asked, net::Response{.bytes = std::move(bytes)}));
            });
        frame.hold(static_cast<std::int64_t>(made));
    });
}

/// Controllers' answers have no place for it: the connection ends, and the log says why.
void drop(const Doors& doors, RequestMeta&& meta, net::Frame&&, std::size_t, net::Reply&&) {
    internal::log_undecodable(doors, meta, "this version is not served");
}

template <typename Request>
Route control_route() {
    Route route;
    route.api_key = Request::api_key;
    route.min_version = route.advertised_min = Request::min_version;
    route.max_version = Request::max_version;
    route.first_flexible = Request::first_flexible_version;
    route.handle = &to_control;
    route.refuse_version = &drop;
    return route;
}

Route api_versions_route(ListenerKind kind) {
    Route route =
        kind == ListenerKind::broker
            ? route_to<ApiVersionsRequest, ApiVersionsResponse, api_versions_broker>()
            : route_to<ApiVersionsRequest, ApiVersionsResponse, api_versions_controller>();
    route.refuse_version = &refuse_api_versions;
    return route;
}

Route produce_route() {
    Route route = route_to<ProduceRequest, ProduceResponse, produce>(/*lends_frame=*/true);
    // Served from 3, shown from 0: old librdkafka turns compression off otherwise (KAFKA-18659).
    route.advertised_min = 0;
    return route;
}

#define MR_GROUP(Api, door)               \
    route_to<Api##Request, Api##Response, \
             group_call<Api##Request, Api##Response, &GroupCoordinator::door>>()
#define MR_FORWARD(Api, fail) \
    route_to<Api##Request, Api##Response, forward<Api##Request, Api##Response, fail>>()

#define MR_FORWARD_TOP(Api)               \
    route_to<Api##Request, Api##Response, \
             forward<Api##Request, Api##Response, fail_at_top<Api##Request, Api##Response>>>()

std::vector<Route> broker_routes() {
    return {
        api_versions_route(ListenerKind::broker),
        produce_route(),
        route_to<FetchRequest, FetchResponse, fetch>(),
        route_to<ListOffsetsRequest, ListOffsetsResponse, list_offsets>(),
        route_to<MetadataRequest, MetadataResponse, metadata_of>(),
        route_to<FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator>(),
        route_to<DeleteRecordsRequest, DeleteRecordsResponse, delete_records>(),
        route_to<DescribeAclsRequest, DescribeAclsResponse, describe_acls>(),
        route_to<CreateAclsRequest, CreateAclsResponse, create_acls>(),
        route_to<DeleteAclsRequest, DeleteAclsResponse, delete_acls>(),
        route_to<DescribeClientQuotasRequest, DescribeClientQuotasResponse,
                 describe_client_quotas>(),
        route_to<DescribeClusterRequest, DescribeClusterResponse, describe_cluster>(),
        route_to<DescribeConfigsRequest, DescribeConfigsResponse, describe_configs>(),
        route_to<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse, alter_replica_log_dirs>(),
        route_to<DescribeLogDirsRequest, DescribeLogDirsResponse, describe_log_dirs>(),
        route_to<DescribeProducersRequest, DescribeProducersResponse, describe_producers>(),
        route_to<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponse,
                 describe_topic_partitions>(),
        route_to<ListConfigResourcesRequest, ListConfigResourcesResponse, list_config_resources>(),
        route_to<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse,
                 offset_for_leader_epoch>(),
        route_to<InitProducerIdRequest, InitProducerIdResponse, init_producer_id>(),
        MR_GROUP(JoinGroup, join_group),
        MR_GROUP(SyncGroup, sync_group),
        MR_GROUP(Heartbeat, heartbeat),
        MR_GROUP(LeaveGroup, leave_group),
        MR_GROUP(OffsetCommit, offset_commit),
        MR_GROUP(OffsetFetch, offset_fetch),
        MR_GROUP(OffsetDelete, offset_delete),
        MR_GROUP(DescribeGroups, describe_groups),
        MR_GROUP(ListGroups, list_groups),
        MR_GROUP(DeleteGroups, delete_groups),
        MR_GROUP(ConsumerGroupHeartbeat, consumer_group_heartbeat),
        MR_GROUP(ConsumerGroupDescribe, consumer_group_describe),
        route_to<CreateTopicsRequest, CreateTopicsResponse, create_topics>(),
        route_to<DeleteTopicsRequest, DeleteTopicsResponse, delete_topics>(),
        route_to<CreatePartitionsRequest, CreatePartitionsResponse, create_partitions>(),
        MR_FORWARD(AlterClientQuotas, fail_alter_client_quotas),
        route_to<AlterConfigsRequest, AlterConfigsResponse, alter_configs>(),
        route_to<IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
                 incremental_alter_configs>(),
        route_to<DescribeQuorumRequest, DescribeQuorumResponse, describe_quorum>(),
        MR_FORWARD_TOP(ElectLeaders),
        MR_FORWARD_TOP(AlterPartitionReassignments),
        MR_FORWARD_TOP(ListPartitionReassignments),
        MR_FORWARD_TOP(UpdateFeatures),
        MR_FORWARD_TOP(UnregisterBroker),
        MR_FORWARD_TOP(AddRaftVoter),
        MR_FORWARD_TOP(RemoveRaftVoter),
    };
}

std::vector<Route> controller_routes() {
    return {
        api_versions_route(ListenerKind::controller),
        control_route<FetchRequest>(),
        control_route<VoteRequest>(),
        control_route<BeginQuorumEpochRequest>(),
        control_route<EndQuorumEpochRequest>(),
        control_route<DescribeQuorumRequest>(),
        control_route<FetchSnapshotRequest>(),
        control_route<AddRaftVoterRequest>(),
        control_route<RemoveRaftVoterRequest>(),
        control_route<UpdateRaftVoterRequest>(),
        route_to<DescribeClusterRequest, DescribeClusterResponse, describe_controllers>(),
        route_to<DescribeConfigsRequest, DescribeConfigsResponse, describe_configs>(),
        control_route<CreateTopicsRequest>(),
        control_route<DeleteTopicsRequest>(),
        control_route<CreatePartitionsRequest>(),
        control_route<AlterClientQuotasRequest>(),
        control_route<AlterConfigsRequest>(),
        control_route<IncrementalAlterConfigsRequest>(),
        control_route<ElectLeadersRequest>(),
        control_route<AlterPartitionReassignmentsRequest>(),
        control_route<ListPartitionReassignmentsRequest>(),
        control_route<UpdateFeaturesRequest>(),
        control_route<UnregisterBrokerRequest>(),
        control_route<AlterPartitionRequest>(),
        control_route<AllocateProducerIdsRequest>(),
        control_route<AssignReplicasToDirsRequest>(),
        control_route<BrokerRegistrationRequest>(),
        control_route<BrokerHeartbeatRequest>(),
        control_route<ControllerRegistrationRequest>(),
    };
}

}  // namespace

std::vector<Route> make_routes(ListenerKind kind) {
    std::vector<Route> routes =
        kind == ListenerKind::broker ? broker_routes() : controller_routes();
    std::sort(routes.begin(), routes.end(),
              [](const Route& a, const Route& b) { return a.api_key < b.api_key; });
    return routes;
}

const std::vector<Route>& routes_of(ListenerKind kind) {
    static const std::vector<Route> broker = make_routes(ListenerKind::broker);
    static const std::vector<Route> controller = make_routes(ListenerKind::controller);
    return kind == ListenerKind::broker ? broker : controller;
}

}  // namespace millrace::handlers
