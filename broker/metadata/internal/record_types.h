// metadata/internal/record_types.h
//
// The records of __cluster_metadata, and from a frame to the struct that it holds.
#pragma once

#include <tuple>

#include "base/result.h"
#include "metadata/records.h"
#include "protocol/messages/abort_transaction_record.h"
#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/begin_transaction_record.h"
#include "protocol/messages/broker_registration_change_record.h"
#include "protocol/messages/clear_elr_record.h"
#include "protocol/messages/client_quota_record.h"
#include "protocol/messages/config_record.h"
#include "protocol/messages/delegation_token_record.h"
#include "protocol/messages/end_transaction_record.h"
#include "protocol/messages/feature_level_record.h"
#include "protocol/messages/fence_broker_record.h"
#include "protocol/messages/no_op_record.h"
#include "protocol/messages/partition_change_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/producer_ids_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"
#include "protocol/messages/remove_access_control_entry_record.h"
#include "protocol/messages/remove_delegation_token_record.h"
#include "protocol/messages/remove_topic_record.h"
#include "protocol/messages/remove_user_scram_credential_record.h"
#include "protocol/messages/topic_record.h"
#include "protocol/messages/unfence_broker_record.h"
#include "protocol/messages/unregister_broker_record.h"
#include "protocol/messages/unregister_controller_record.h"
#include "protocol/messages/user_scram_credential_record.h"
#include "protocol/messages/zk_migration_state_record.h"
#include "protocol/reader.h"

namespace millrace::metadata {

template <typename... Records>
struct RecordTypes {};

using MetadataRecords = RecordTypes<
    protocol::AbortTransactionRecord, protocol::AccessControlEntryRecord,
    protocol::BeginTransactionRecord, protocol::BrokerRegistrationChangeRecord,
    protocol::ClearElrRecord, protocol::ClientQuotaRecord, protocol::ConfigRecord,
    protocol::DelegationTokenRecord, protocol::EndTransactionRecord, protocol::FeatureLevelRecord,
    protocol::FenceBrokerRecord, protocol::NoOpRecord, protocol::PartitionChangeRecord,
    protocol::PartitionRecord, protocol::ProducerIdsRecord, protocol::RegisterBrokerRecord,
    protocol::RegisterControllerRecord, protocol::RemoveAccessControlEntryRecord,
    protocol::RemoveDelegationTokenRecord, protocol::RemoveTopicRecord,
    protocol::RemoveUserScramCredentialRecord, protocol::TopicRecord, protocol::UnfenceBrokerRecord,
    protocol::UnregisterBrokerRecord, protocol::UnregisterControllerRecord,
    protocol::UserScramCredentialRecord, protocol::ZkMigrationStateRecord>;

template <typename Record>
Result<Record> decode_record(const RecordFrame& frame) {
    if (frame.version < Record::min_version || frame.version > Record::max_version) {
        return Error::make(Code::unsupported, "metadata record {} in version {}", frame.api_key,
                           frame.version);
    }
    Record record;
    protocol::Reader reader(frame.body);
    record.decode(reader, frame.version);
    if (!reader.ok()) {
        return reader.error().with_context(
            fmt::format("metadata record {} v{}", frame.api_key, frame.version));
    }
    if (reader.remaining() != 0) {
        return Error::make(Code::corrupt, "metadata record {} v{}: {} bytes too many",
                           frame.api_key, frame.version, reader.remaining());
    }
    return record;
}

/// Calls `visit` with the decoded struct and returns its Result<void>. An unknown kind is an error.
template <typename Visit>
Result<void> visit_record(ByteView bytes, Visit&& visit) {
    MR_TRY(const RecordFrame frame, parse_record_frame(bytes));
    const auto try_types = [&]<typename... Records>(RecordTypes<Records...>) -> Result<void> {
        Result<void> result =
            Error::make(Code::unsupported, "unknown metadata record kind {}", frame.api_key);
        const auto try_one = [&]<typename Record>() {
            if (frame.api_key != Record::api_key) {
                return false;
            }
            Result<Record> record = decode_record<Record>(frame);
            result = record ? visit(*record) : Result<void>(record.error());
            return true;
        };
        (void)(try_one.template operator()<Records>() || ...);
        return result;
    };
    return try_types(MetadataRecords{});
}

}  // namespace millrace::metadata
