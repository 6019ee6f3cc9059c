#include "groups/internal/records.h"

#include <algorithm>

#include "base/assert.h"
#include "protocol/messages/consumer_group_current_member_assignment_key.h"
#include "protocol/messages/consumer_group_current_member_assignment_value.h"
#include "protocol/messages/consumer_group_member_metadata_key.h"
#include "protocol/messages/consumer_group_member_metadata_value.h"
#include "protocol/messages/consumer_group_metadata_key.h"
#include "protocol/messages/consumer_group_metadata_value.h"
#include "protocol/messages/consumer_group_partition_metadata_key.h"
#include "protocol/messages/consumer_group_regular_expression_key.h"
#include "protocol/messages/consumer_group_regular_expression_value.h"
#include "protocol/messages/consumer_group_target_assignment_member_key.h"
#include "protocol/messages/consumer_group_target_assignment_member_value.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_key.h"
#include "protocol/messages/consumer_group_target_assignment_metadata_value.h"
#include "protocol/messages/group_metadata_key.h"
#include "protocol/messages/group_metadata_value.h"
#include "protocol/messages/offset_commit_key.h"
#include "protocol/messages/offset_commit_value.h"
#include "protocol/record_frame.h"

namespace millrace::groups::records {

namespace {

// The newest versions that every Kafka since 2.1 reads; the later ones only add tagged fields.
constexpr std::int16_t group_metadata_version = 3;
constexpr std::int16_t offset_commit_version = 4;
constexpr std::int16_t offset_commit_version_with_expiry = 1;

template <typename Key>
Record tombstone(const Key& key) {
    Record record;
    protocol::Writer out{record.key};
    protocol::write_coordinator_key(out, key);
    MR_ASSERT(out.ok());  // Ids came over the wire, so they fit into a field again.
    return record;
}

template <typename Key, typename Value>
Record with_value(const Key& key, const Value& value, std::int16_t version) {
    Record record = tombstone(key);
    protocol::Writer out{record.value.emplace()};
    protocol::write_versioned(out, value, version);
    MR_ASSERT(out.ok());
    return record;
}

std::optional<std::string_view> optional_view(const std::optional<std::string>& text) {
    return text ? std::optional<std::string_view>{*text} : std::nullopt;
}

protocol::GroupMetadataValue group_value(const ClassicGroup& group) {
    protocol::GroupMetadataValue value;
    value.protocol_type = group.protocol_type() ? std::string_view{*group.protocol_type()} : "";
    value.generation = group.generation();
    value.protocol = optional_view(group.protocol());
    value.leader = optional_view(group.leader());
    value.current_state_timestamp = group.since().milliseconds;
    return value;
}

template <typename AssignmentOf>
Record classic_record(const ClassicGroup& group, AssignmentOf assignment_of) {
    protocol::GroupMetadataValue value = group_value(group);
    for (const auto& [id, member] : group.members()) {
        protocol::GroupMetadataValue::MemberMetadata& out = value.members.emplace_back();
        out.member_id = member.id;
        out.group_instance_id = optional_view(member.instance_id);
        out.client_id = member.client_id;
        out.client_host = member.client_host;
        out.rebalance_timeout = member.rebalance_timeout_ms;
        out.session_timeout = member.session_timeout_ms;
        const auto offered =
            std::find_if(member.protocols.begin(), member.protocols.end(),
                         [&](const ClassicProtocol& p) { return p.name == group.protocol(); });
        out.subscription = offered == member.protocols.end() ? ByteView{} : view(offered->metadata);
        out.assignment = assignment_of(member);
    }
    return with_value(protocol::GroupMetadataKey{.group = group.id()}, value,
                      group_metadata_version);
}

using CurrentValue = protocol::ConsumerGroupCurrentMemberAssignmentValue;

std::vector<CurrentValue::TopicPartitions> topic_partitions(const EpochSet& partitions) {
    std::vector<CurrentValue::TopicPartitions> out;
    for (const auto& [topic, epochs] : partitions) {
        CurrentValue::TopicPartitions& entry = out.emplace_back();
        entry.topic_id = topic;
        entry.assignment_epochs.emplace();
        for (const auto& [partition, epoch] : epochs) {
            entry.partitions.push_back(partition);
            entry.assignment_epochs->push_back(epoch);
        }
    }
    return out;
}

}  // namespace

Record offset_commit(std::string_view group, std::string_view topic, std::int32_t partition,
                     const CommittedOffset& offset) {
    protocol::OffsetCommitValue value;
    value.offset = offset.offset.value;
    value.leader_epoch = offset.leader_epoch.value;
    value.metadata = offset.metadata;
    value.commit_timestamp = offset.committed_at.milliseconds;
    value.expire_timestamp = offset.expires_at ? offset.expires_at->milliseconds : -1;
    value.topic_id = offset.topic_id;
    return with_value(
        protocol::OffsetCommitKey{.group = group, .topic = topic, .partition = partition}, value,
        offset.expires_at ? offset_commit_version_with_expiry : offset_commit_version);
}

Record offset_tombstone(std::string_view group, std::string_view topic, std::int32_t partition) {
    return tombstone(
        protocol::OffsetCommitKey{.group = group, .topic = topic, .partition = partition});
}

Record classic_group(const ClassicGroup& group, const StringMap<Blob>& assignments) {
    return classic_record(group, [&](const ClassicMember& member) {
        const auto found = assignments.find(member.id);
        return found == assignments.end() ? ByteView{} : view(found->second);
    });
}

Record classic_group(const ClassicGroup& group) {
    return classic_record(group,
                          [](const ClassicMember& member) { return view(member.assignment); });
}

Record new_classic_group(const ClassicGroup& group) {
    protocol::GroupMetadataValue value;
    value.protocol = std::nullopt;
    value.leader = std::nullopt;
    value.current_state_timestamp = group.since().milliseconds;
    return with_value(protocol::GroupMetadataKey{.group = group.id()}, value,
                      group_metadata_version);
}

Record classic_group_tombstone(std::string_view group) {
    return tombstone(protocol::GroupMetadataKey{.group = group});
}

Record consumer_group(std::string_view group, std::int32_t epoch, std::int64_t metadata_hash) {
    return with_value(
        protocol::ConsumerGroupMetadataKey{.group_id = group},
        protocol::ConsumerGroupMetadataValue{.epoch = epoch, .metadata_hash = metadata_hash}, 0);
}

Record consumer_group_tombstone(std::string_view group) {
    return tombstone(protocol::ConsumerGroupMetadataKey{.group_id = group});
}

Record partition_metadata_tombstone(std::string_view group) {
    return tombstone(protocol::ConsumerGroupPartitionMetadataKey{.group_id = group});
}

Record member_metadata(std::string_view group, const ConsumerMember& member) {
    protocol::ConsumerGroupMemberMetadataValue value;
    value.instance_id = optional_view(member.instance_id);
    value.rack_id = optional_view(member.rack_id);
    value.client_id = member.client_id;
    value.client_host = member.client_host;
    value.subscribed_topic_names.assign(member.topics.begin(), member.topics.end());
    value.subscribed_topic_regex = member.regex;
    value.rebalance_timeout_ms = member.rebalance_timeout_ms;
    value.server_assignor = optional_view(member.assignor);
    value.classic_member_metadata.reset();  // Not the default: that is an empty one.
    if (member.classic) {
        value.classic_member_metadata.emplace();
        value.classic_member_metadata->session_timeout_ms = member.classic->session_timeout_ms;
        for (const ClassicProtocol& protocol : member.classic->protocols) {
            value.classic_member_metadata->supported_protocols.push_back(
                {.name = protocol.name, .metadata = view(protocol.metadata)});
        }
    }
    return with_value(
        protocol::ConsumerGroupMemberMetadataKey{.group_id = group, .member_id = member.id}, value,
        0);
}

Record member_metadata_tombstone(std::string_view group, std::string_view member) {
    return tombstone(
        protocol::ConsumerGroupMemberMetadataKey{.group_id = group, .member_id = member});
}

Record target_assignment(std::string_view group, std::int32_t epoch, std::optional<Timestamp> at) {
    return with_value(
        protocol::ConsumerGroupTargetAssignmentMetadataKey{.group_id = group},
        protocol::ConsumerGroupTargetAssignmentMetadataValue{
            .assignment_epoch = epoch, .assignment_timestamp = at ? at->milliseconds : 0},
        0);
}

Record target_assignment_tombstone(std::string_view group) {
    return tombstone(protocol::ConsumerGroupTargetAssignmentMetadataKey{.group_id = group});
}

Record member_target(std::string_view group, std::string_view member, const PartitionSet& target) {
    protocol::ConsumerGroupTargetAssignmentMemberValue value;
    for (const auto& [topic, partitions] : target) {
        value.topic_partitions.push_back({.topic_id = topic, .partitions = partitions});
    }
    return with_value(
        protocol::ConsumerGroupTargetAssignmentMemberKey{.group_id = group, .member_id = member},
        value, 0);
}

Record member_target_tombstone(std::string_view group, std::string_view member) {
    return tombstone(
        protocol::ConsumerGroupTargetAssignmentMemberKey{.group_id = group, .member_id = member});
}

Record current_assignment(std::string_view group, const ConsumerMember& member) {
    CurrentValue value;
    value.member_epoch = member.epoch;
    value.previous_member_epoch = member.previous_epoch;
    value.state = static_cast<std::int8_t>(member.state);
    value.assigned_partitions = topic_partitions(member.assigned);
    value.partitions_pending_revocation = topic_partitions(member.revoking);
    return with_value(protocol::ConsumerGroupCurrentMemberAssignmentKey{.group_id = group,
                                                                        .member_id = member.id},
                      value, 0);
}

Record current_assignment_tombstone(std::string_view group, std::string_view member) {
    return tombstone(
        protocol::ConsumerGroupCurrentMemberAssignmentKey{.group_id = group, .member_id = member});
}

Record regex(std::string_view group, std::string_view regex, const ResolvedRegex& resolved) {
    protocol::ConsumerGroupRegularExpressionValue value;
    value.topics.assign(resolved.topics.begin(), resolved.topics.end());
    value.version = resolved.version;
    value.timestamp = resolved.at.milliseconds;
    return with_value(
        protocol::ConsumerGroupRegularExpressionKey{.group_id = group, .regular_expression = regex},
        value, 0);
}

Record regex_tombstone(std::string_view group, std::string_view regex) {
    return tombstone(protocol::ConsumerGroupRegularExpressionKey{.group_id = group,
                                                                 .regular_expression = regex});
}

}  // namespace millrace::groups::records
