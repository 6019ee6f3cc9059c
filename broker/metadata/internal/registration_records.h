// metadata/internal/registration_records.h
//
// Objects of an image as the records that recreate them. The records' views are into the object.
#pragma once

#include "metadata/image.h"
#include "protocol/messages/access_control_entry_record.h"
#include "protocol/messages/partition_record.h"
#include "protocol/messages/register_broker_record.h"
#include "protocol/messages/register_controller_record.h"

namespace millrace::metadata {

protocol::RegisterBrokerRecord registration_record(const Broker& broker, MetadataVersion version);
protocol::RegisterControllerRecord registration_record(const ControllerNode& controller);
protocol::PartitionRecord partition_record(const TopicIdPartition& which,
                                           const Partition& partition, MetadataVersion version);
protocol::AccessControlEntryRecord acl_record(const Uuid& id, const Acl& acl);

}  // namespace millrace::metadata
