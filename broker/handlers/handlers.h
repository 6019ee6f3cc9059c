// handlers/handlers.h
//
// Every handler, for the routing table. One .cc file each, named after its API.
#pragma once

#include "handlers/call.h"
#include "handlers/doors.h"

namespace millrace::protocol {
struct ApiVersionsRequest;
struct ApiVersionsResponse;
struct CreateAclsRequest;
struct CreateAclsResponse;
struct CreatePartitionsRequest;
struct CreatePartitionsResponse;
struct CreateTopicsRequest;
struct CreateTopicsResponse;
struct DeleteAclsRequest;
struct DeleteAclsResponse;
struct DeleteRecordsRequest;
struct DeleteRecordsResponse;
struct DeleteTopicsRequest;
struct DeleteTopicsResponse;
struct DescribeAclsRequest;
struct DescribeAclsResponse;
struct DescribeClusterRequest;
struct DescribeClusterResponse;
struct DescribeConfigsRequest;
struct DescribeConfigsResponse;
struct AlterConfigsRequest;
struct AlterConfigsResponse;
struct AlterReplicaLogDirsRequest;
struct AlterReplicaLogDirsResponse;
struct DescribeLogDirsRequest;
struct DescribeLogDirsResponse;
struct DescribeClientQuotasRequest;
struct DescribeClientQuotasResponse;
struct DescribeProducersRequest;
struct DescribeProducersResponse;
struct DescribeQuorumRequest;
struct DescribeQuorumResponse;
struct DescribeTopicPartitionsRequest;
struct DescribeTopicPartitionsResponse;
struct FetchRequest;
struct FetchResponse;
struct FindCoordinatorRequest;
struct FindCoordinatorResponse;
struct IncrementalAlterConfigsRequest;
struct IncrementalAlterConfigsResponse;
struct InitProducerIdRequest;
struct InitProducerIdResponse;
struct ListConfigResourcesRequest;
struct ListConfigResourcesResponse;
struct ListOffsetsRequest;
struct ListOffsetsResponse;
struct MetadataRequest;
struct MetadataResponse;
struct OffsetForLeaderEpochRequest;
struct OffsetForLeaderEpochResponse;
struct ProduceRequest;
struct ProduceResponse;
}  // namespace millrace::protocol

namespace millrace::handlers {

#define MR_HANDLER(function, Api) \
    void function(const Doors& doors, Call<protocol::Api##Request, protocol::Api##Response> call)

MR_HANDLER(create_acls, CreateAcls);
MR_HANDLER(create_partitions, CreatePartitions);
MR_HANDLER(create_topics, CreateTopics);
MR_HANDLER(delete_acls, DeleteAcls);
MR_HANDLER(delete_records, DeleteRecords);
MR_HANDLER(delete_topics, DeleteTopics);
MR_HANDLER(describe_acls, DescribeAcls);
MR_HANDLER(describe_cluster, DescribeCluster);
MR_HANDLER(describe_controllers, DescribeCluster);
MR_HANDLER(describe_configs, DescribeConfigs);
MR_HANDLER(describe_log_dirs, DescribeLogDirs);
MR_HANDLER(alter_configs, AlterConfigs);
MR_HANDLER(alter_replica_log_dirs, AlterReplicaLogDirs);
MR_HANDLER(describe_client_quotas, DescribeClientQuotas);
MR_HANDLER(describe_producers, DescribeProducers);
MR_HANDLER(describe_quorum, DescribeQuorum);
MR_HANDLER(describe_topic_partitions, DescribeTopicPartitions);
MR_HANDLER(fetch, Fetch);
MR_HANDLER(find_coordinator, FindCoordinator);
MR_HANDLER(incremental_alter_configs, IncrementalAlterConfigs);
MR_HANDLER(init_producer_id, InitProducerId);
MR_HANDLER(list_config_resources, ListConfigResources);
MR_HANDLER(list_offsets, ListOffsets);
MR_HANDLER(metadata_of, Metadata);
MR_HANDLER(offset_for_leader_epoch, OffsetForLeaderEpoch);
MR_HANDLER(produce, Produce);

}  // namespace millrace::handlers
