"""Every API in every version: a request of defaults is answered, in a layout that can be read to its last byte."""

from registry import case

# These would change the cluster, wait for ever, or end the broker, when taken at their word.
NOT_AT_ITS_WORD = {"UnregisterBroker", "RemoveRaftVoter", "AddRaftVoter", "ElectLeaders", "ShareFetch", "ShareAcknowledge", "WriteTxnMarkers",
                   "SaslAuthenticate", "SaslHandshake"}
# What an empty request asks of these is everything there is.
ASKS_FOR_ALL = {"Metadata", "ListGroups", "DescribeTopicPartitions", "DescribeLogDirs", "DescribeClientQuotas", "ListTransactions",
                "ListConfigResources", "DescribeUserScramCredentials", "ApiVersions", "DescribeCluster"}
APIS = """Produce Fetch ListOffsets Metadata OffsetCommit OffsetFetch FindCoordinator JoinGroup Heartbeat LeaveGroup SyncGroup DescribeGroups
ListGroups ApiVersions CreateTopics DeleteTopics DeleteRecords InitProducerId OffsetForLeaderEpoch AddPartitionsToTxn AddOffsetsToTxn EndTxn
TxnOffsetCommit DescribeAcls CreateAcls DeleteAcls DescribeConfigs AlterConfigs AlterReplicaLogDirs DescribeLogDirs CreatePartitions
CreateDelegationToken RenewDelegationToken ExpireDelegationToken DescribeDelegationToken DeleteGroups IncrementalAlterConfigs
AlterPartitionReassignments ListPartitionReassignments OffsetDelete DescribeClientQuotas AlterClientQuotas DescribeUserScramCredentials
AlterUserScramCredentials DescribeQuorum UpdateFeatures DescribeCluster DescribeProducers DescribeTransactions ListTransactions
ConsumerGroupHeartbeat ConsumerGroupDescribe ListConfigResources DescribeTopicPartitions ShareGroupHeartbeat ShareGroupDescribe
StreamsGroupHeartbeat StreamsGroupDescribe DescribeShareGroupOffsets AlterShareGroupOffsets DeleteShareGroupOffsets""".split()


def register(api):
    def asked_for_nothing(side, version):
        side.group()  # the offsets topic is there, whoever comes first
        body = {"Acks": 1} if api == "Produce" else {}
        answer = side.tell(api, body, version)
        side.note("answer", sorted(answer) if api in ASKS_FOR_ALL else answer)
    asked_for_nothing.__name__ = f"{api}_asked_for_nothing"
    case(api, trap=4)(asked_for_nothing)


for one in APIS:
    if one not in NOT_AT_ITS_WORD:
        register(one)
