// raft/internal/wire_names.h
//
// What the quorum's partition is called on the wire.
#pragma once

#include <string_view>

#include "base/uuid.h"

namespace millrace::raft {

inline constexpr std::string_view metadata_topic = "__cluster_metadata";
inline constexpr Uuid metadata_topic_id{0, 1};

}  // namespace millrace::raft
