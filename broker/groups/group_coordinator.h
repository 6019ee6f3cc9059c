// groups/group_coordinator.h
//
// The group APIs. Every call is made on the control shard's loop, with a request whose version the
// listener has checked and whose group the caller may touch: handlers authorise, also topic by
// topic, before they call and filter what comes back. A request's views need to live only until the
// call returns. The reply runs exactly once, on the same loop, maybe inside the call, maybe after a
// rebalance; its response lives only during the reply, which may change it (throttle time,
// authorized operations, results of groups it answered itself).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/random.h"
#include "base/unique_function.h"
#include "coordinator/log_door.h"
#include "coordinator/record.h"
#include "groups/settings.h"
#include "groups/topics_view.h"
#include "model/ids.h"
#include "model/kafka_error.h"
#include "runtime/executor.h"

namespace millrace::protocol {
struct ConsumerGroupDescribeRequest;
struct ConsumerGroupDescribeResponse;
struct ConsumerGroupHeartbeatRequest;
struct ConsumerGroupHeartbeatResponse;
struct DeleteGroupsRequest;
struct DeleteGroupsResponse;
struct DescribeGroupsRequest;
struct DescribeGroupsResponse;
struct HeartbeatRequest;
struct HeartbeatResponse;
struct JoinGroupRequest;
struct JoinGroupResponse;
struct LeaveGroupRequest;
struct LeaveGroupResponse;
struct ListGroupsRequest;
struct ListGroupsResponse;
struct OffsetCommitRequest;
struct OffsetCommitResponse;
struct OffsetDeleteRequest;
struct OffsetDeleteResponse;
struct OffsetFetchRequest;
struct OffsetFetchResponse;
struct SyncGroupRequest;
struct SyncGroupResponse;
struct TxnOffsetCommitRequest;
struct TxnOffsetCommitResponse;
}  // namespace millrace::protocol

namespace millrace::groups {

/// Who asks, and in which version.
struct Caller {
    std::int16_t version = 0;
    std::string_view client_id;
    std::string_view client_host;  ///< "/10.0.0.7", as Kafka prints an address.
    /// Topics that a regular expression may resolve to; unset: all.
    std::function<bool(std::string_view topic)> may_describe;
};

template <typename Response>
using Reply = UniqueFunction<void(Response&)>;

/// One partition with a committed offset.
struct PartitionLag {
    TopicPartition partition;
    Offset committed;
    std::optional<Offset> end;        ///< Unknown here: no lag either.
    std::optional<std::int64_t> lag;  ///< Never negative.
    std::string member_id;            ///< Who owns it now; empty for nobody.
    std::string client_id;
    std::string client_host;
};

struct GroupLag {
    std::string group;
    std::string state;
    std::size_t members = 0;
    std::vector<PartitionLag> partitions;  ///< Sorted.
};

/// Where logs end (the high watermark); none for a partition not known here.
using EndOffsets = std::function<std::optional<Offset>(const TopicPartition&)>;

struct DeletedTopic {
    Uuid id;
    std::string name;
};

struct GroupCounts {
    std::map<std::string, std::size_t> classic_by_state;  ///< "Stable" -> n
    std::map<std::string, std::size_t> consumer_by_state;
    std::size_t offsets = 0;
    std::uint64_t classic_rebalances = 0;
    std::uint64_t consumer_rebalances = 0;
    std::uint64_t commits = 0;
    std::uint64_t expired_offsets = 0;
    std::uint64_t deleted_offsets = 0;
};

class GroupCoordinator {
public:
    /// `log` is `__consumer_offsets`. All references outlive this.
    GroupCoordinator(runtime::Executor& executor, coordinator::LogDoor& log, Random& random,
                     GroupSettings settings, Logger logger);
    ~GroupCoordinator();
    GroupCoordinator(const GroupCoordinator&) = delete;
    GroupCoordinator& operator=(const GroupCoordinator&) = delete;

    // From the metadata image, in order.
    void set_partition_count(std::int32_t count);  ///< Of __consumer_offsets; 0 until it exists.
    void elected(PartitionIndex partition, LeaderEpoch epoch);
    void resigned(PartitionIndex partition, std::optional<LeaderEpoch> epoch);
    /// The committed offsets of `deleted` topics go away where this broker coordinates.
    void topics_changed(std::shared_ptr<const TopicsView> topics,
                        const std::vector<DeletedTopic>& deleted);
    void settings_changed(GroupSettings settings);
    void overrides_changed(const std::string& group, GroupOverrides overrides);

    /// For FindCoordinator: the partition whose leader coordinates the group.
    PartitionIndex partition_of(std::string_view group) const;

    void join_group(const protocol::JoinGroupRequest& request, const Caller& caller,
                    Reply<protocol::JoinGroupResponse> reply);
    void sync_group(const protocol::SyncGroupRequest& request, const Caller& caller,
                    Reply<protocol::SyncGroupResponse> reply);
    void heartbeat(const protocol::HeartbeatRequest& request, const Caller& caller,
                   Reply<protocol::HeartbeatResponse> reply);
    void leave_group(const protocol::LeaveGroupRequest& request, const Caller& caller,
                     Reply<protocol::LeaveGroupResponse> reply);
    void consumer_group_heartbeat(const protocol::ConsumerGroupHeartbeatRequest& request,
                                  const Caller& caller,
                                  Reply<protocol::ConsumerGroupHeartbeatResponse> reply);

    void offset_commit(const protocol::OffsetCommitRequest& request, const Caller& caller,
                       Reply<protocol::OffsetCommitResponse> reply);
    void txn_offset_commit(const protocol::TxnOffsetCommitRequest& request, const Caller& caller,
                           Reply<protocol::TxnOffsetCommitResponse> reply);
    /// WriteTxnMarkers for a partition of __consumer_offsets that this broker leads.
    void end_transaction(PartitionIndex partition, ProducerId producer, ProducerEpoch epoch,
                         std::int32_t coordinator_epoch, coordinator::TransactionResult result,
                         UniqueFunction<void(KafkaError)> done);
    void offset_fetch(const protocol::OffsetFetchRequest& request, const Caller& caller,
                      Reply<protocol::OffsetFetchResponse> reply);
    void offset_delete(const protocol::OffsetDeleteRequest& request, const Caller& caller,
                       Reply<protocol::OffsetDeleteResponse> reply);

    void describe_groups(const protocol::DescribeGroupsRequest& request, const Caller& caller,
                         Reply<protocol::DescribeGroupsResponse> reply);
    void consumer_group_describe(const protocol::ConsumerGroupDescribeRequest& request,
                                 const Caller& caller,
                                 Reply<protocol::ConsumerGroupDescribeResponse> reply);
    void list_groups(const protocol::ListGroupsRequest& request, const Caller& caller,
                     Reply<protocol::ListGroupsResponse> reply);
    void delete_groups(const protocol::DeleteGroupsRequest& request, const Caller& caller,
                       Reply<protocol::DeleteGroupsResponse> reply);

    /// Consumer lag as this broker sees it now, without waiting for commits; none if the group is
    /// not coordinated here. For metrics and the admin door.
    std::optional<GroupLag> lag(std::string_view group, const EndOffsets& ends) const;
    std::vector<GroupLag> lags(const EndOffsets& ends) const;
    GroupCounts counts() const;

private:
    template <typename Item, typename Response, typename Items, typename Describe>
    void describe_each(const std::vector<std::string_view>& groups, KafkaError of_all,
                       KafkaError if_unnamed, Reply<Response> reply, Items items,
                       Describe describe);

    struct Inside;
    std::unique_ptr<Inside> inside_;
};

}  // namespace millrace::groups
