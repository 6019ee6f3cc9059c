// coordinator/key_hash.h
//
// Which partition of a coordinator topic owns a group, a transactional id, a link: the hash that
// every Kafka broker and tool computes (Java's String.hashCode over UTF-16).
#pragma once

#include <cstdint>
#include <string_view>

#include "model/ids.h"

namespace millrace::coordinator {

std::int32_t java_string_hash(std::string_view utf8);

/// abs(hash) % count, where abs of the smallest int is 0 as in Kafka's Utils.abs.
PartitionIndex partition_for_key(std::string_view key, std::int32_t partition_count);

}  // namespace millrace::coordinator
