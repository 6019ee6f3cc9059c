// admin/offsets.h
//
// Where partitions end, or what they hold from a time on, whoever leads them: each leader is asked
// once for all that it leads.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "admin/doors.h"
#include "model/kafka_error.h"

namespace millrace::admin {

using PartitionKey = std::pair<std::string, std::int32_t>;

struct FoundOffset {
    std::int64_t offset = -1;  ///< -1: no record at or after the timestamp.
    KafkaError error = KafkaError::none;
};

using Timestamps = std::map<PartitionKey, std::int64_t>;
using FoundOffsets = std::map<PartitionKey, FoundOffset>;

constexpr std::int64_t latest = -1;

/// `timestamp` for all of them; `latest` is their high watermark.
Timestamps at(std::int64_t timestamp, const std::set<PartitionKey>& partitions);

/// Each partition's leader is asked. There is an entry for every question.
void find_offsets(AdminDoors& doors, const Caller& caller, Timestamps wanted,
                  Reply<FoundOffsets> answer);

}  // namespace millrace::admin
