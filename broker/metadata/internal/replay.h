// metadata/internal/replay.h
//
// What each record does to an image. An overload per record type; visit_record() picks it.
#pragma once

#include <optional>
#include <string_view>

#include "metadata/delta.h"
#include "metadata/internal/record_types.h"

namespace millrace::metadata {

struct Delta::Replayer {
    Delta& delta;

    Result<void> operator()(const protocol::FeatureLevelRecord& record);
    Result<void> operator()(const protocol::NoOpRecord& record);
    Result<void> operator()(const protocol::ZkMigrationStateRecord& record);
    Result<void> operator()(const protocol::BeginTransactionRecord& record);
    Result<void> operator()(const protocol::EndTransactionRecord& record);
    Result<void> operator()(const protocol::AbortTransactionRecord& record);

    Result<void> operator()(const protocol::RegisterBrokerRecord& record);
    Result<void> operator()(const protocol::UnregisterBrokerRecord& record);
    Result<void> operator()(const protocol::FenceBrokerRecord& record);
    Result<void> operator()(const protocol::UnfenceBrokerRecord& record);
    Result<void> operator()(const protocol::BrokerRegistrationChangeRecord& record);
    Result<void> operator()(const protocol::RegisterControllerRecord& record);
    Result<void> operator()(const protocol::UnregisterControllerRecord& record);

    Result<void> operator()(const protocol::TopicRecord& record);
    Result<void> operator()(const protocol::RemoveTopicRecord& record);
    Result<void> operator()(const protocol::PartitionRecord& record);
    Result<void> operator()(const protocol::PartitionChangeRecord& record);
    Result<void> operator()(const protocol::ClearElrRecord& record);

    Result<void> operator()(const protocol::ConfigRecord& record);
    Result<void> operator()(const protocol::ClientQuotaRecord& record);
    Result<void> operator()(const protocol::ProducerIdsRecord& record);
    Result<void> operator()(const protocol::UserScramCredentialRecord& record);
    Result<void> operator()(const protocol::RemoveUserScramCredentialRecord& record);
    Result<void> operator()(const protocol::AccessControlEntryRecord& record);
    Result<void> operator()(const protocol::RemoveAccessControlEntryRecord& record);
    Result<void> operator()(const protocol::DelegationTokenRecord& record);
    Result<void> operator()(const protocol::RemoveDelegationTokenRecord& record);

private:
    Image& next() { return delta.next_; }
    Changes& changes() { return delta.changes_; }
    /// The registration to change, if it is of that epoch.
    Result<const Broker*> registration(std::string_view what, std::int32_t id, std::int64_t epoch);
    void put_broker(Broker broker);
    void put_partition(const TopicIdPartition& which, Partition partition);
    void clear_elr(const Topic& topic);
};

}  // namespace millrace::metadata
