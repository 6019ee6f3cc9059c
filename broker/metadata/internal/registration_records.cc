#include "metadata/internal/registration_records.h"

#include "metadata/internal/brokers.h"

namespace millrace::metadata {
namespace {

template <typename Record, typename Object>
void set_endpoints_and_features(Record& record, const Object& from) {
    for (const Endpoint& endpoint : from.endpoints) {
        auto& to = record.end_points.emplace_back();
        to.name = endpoint.listener;
        to.host = endpoint.host;
        to.port = endpoint.port;
        to.security_protocol = endpoint.security_protocol;
    }
    for (const auto& [name, range] : from.features) {
        auto& to = record.features.emplace_back();
        to.name = name;
        to.min_supported_version = range.min;
        to.max_supported_version = range.max;
    }
}

}  // namespace

protocol::RegisterBrokerRecord registration_record(const Broker& broker, MetadataVersion version) {
    protocol::RegisterBrokerRecord record;
    record.broker_id = broker.id.value;
    record.is_migrating_zk_broker = broker.is_migrating && version.register_broker_record() >= 2;
    record.incarnation_id = broker.incarnation;
    record.broker_epoch = broker.epoch.value;
    set_endpoints_and_features(record, broker);
    record.rack = broker.rack ? std::optional<std::string_view>(*broker.rack) : std::nullopt;
    record.fenced = broker.fenced;
    record.in_controlled_shutdown = broker.in_controlled_shutdown;
    if (version.has_directories()) {
        record.log_dirs = broker.directories;
    }
    if (version.has_cordoned_directories()) {
        record.cordoned_log_dirs = broker.cordoned_directories;
    }
    return record;
}

protocol::RegisterControllerRecord registration_record(const ControllerNode& controller) {
    protocol::RegisterControllerRecord record;
    record.controller_id = controller.id.value;
    record.incarnation_id = controller.incarnation;
    record.zk_migration_ready = controller.is_migration_ready;
    set_endpoints_and_features(record, controller);
    return record;
}

protocol::PartitionRecord partition_record(const TopicIdPartition& which,
                                           const Partition& partition, MetadataVersion version) {
    protocol::PartitionRecord record;
    record.partition_id = which.partition.value;
    record.topic_id = which.topic_id;
    record.replicas = raw_ids(partition.replicas);
    record.isr = raw_ids(partition.isr);
    record.removing_replicas = raw_ids(partition.removing);
    record.adding_replicas = raw_ids(partition.adding);
    record.leader = partition.leader.value;
    record.leader_recovery_state = static_cast<std::int8_t>(partition.recovery);
    record.leader_epoch = partition.leader_epoch.value;
    record.partition_epoch = partition.epoch.value;
    if (version.has_directories()) {
        record.directories = partition.directories.to_vector();
    }
    if (version.has_elr() && !partition.elr.empty()) {
        record.eligible_leader_replicas = raw_ids(partition.elr);
    }
    if (version.has_elr() && !partition.last_known_elr.empty()) {
        record.last_known_elr = raw_ids(partition.last_known_elr);
    }
    return record;
}

protocol::AccessControlEntryRecord acl_record(const Uuid& id, const Acl& acl) {
    protocol::AccessControlEntryRecord record;
    record.id = id;
    record.resource_type = acl.resource_type;
    record.resource_name = acl.resource_name;
    record.pattern_type = acl.pattern_type;
    record.principal = acl.principal;
    record.host = acl.host;
    record.operation = acl.operation;
    record.permission_type = acl.permission_type;
    return record;
}

}  // namespace millrace::metadata
