// groups/internal/records.h
//
// The records of __consumer_offsets that groups write, byte for byte as Kafka 4.4 does.
#pragma once

#include <string_view>

#include "coordinator/record.h"
#include "groups/internal/classic_group.h"
#include "groups/internal/consumer_group.h"
#include "groups/internal/offset_store.h"

namespace millrace::groups::records {

using coordinator::Record;

// Offsets.
Record offset_commit(std::string_view group, std::string_view topic, std::int32_t partition,
                     const CommittedOffset& offset);
Record offset_tombstone(std::string_view group, std::string_view topic, std::int32_t partition);

// Classic groups. Members carry `assignments` (by member id) instead of what they have.
Record classic_group(const ClassicGroup& group, const StringMap<Blob>& assignments);
Record classic_group(const ClassicGroup& group);      ///< With what the members have.
Record new_classic_group(const ClassicGroup& group);  ///< Nobody has joined yet.
Record classic_group_tombstone(std::string_view group);

// Consumer groups.
Record consumer_group(std::string_view group, std::int32_t epoch, std::int64_t metadata_hash);
Record consumer_group_tombstone(std::string_view group);
Record partition_metadata_tombstone(std::string_view group);
Record member_metadata(std::string_view group, const ConsumerMember& member);
Record member_metadata_tombstone(std::string_view group, std::string_view member);
Record target_assignment(std::string_view group, std::int32_t epoch, std::optional<Timestamp> at);
Record target_assignment_tombstone(std::string_view group);
Record member_target(std::string_view group, std::string_view member, const PartitionSet& target);
Record member_target_tombstone(std::string_view group, std::string_view member);
Record current_assignment(std::string_view group, const ConsumerMember& member);
Record current_assignment_tombstone(std::string_view group, std::string_view member);
Record regex(std::string_view group, std::string_view regex, const ResolvedRegex& resolved);
Record regex_tombstone(std::string_view group, std::string_view regex);

}  // namespace millrace::groups::records
