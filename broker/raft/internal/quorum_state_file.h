// raft/internal/quorum_state_file.h
//
// Kafka's `quorum-state`: one line of JSON with the epoch, the leader and the vote. Read in
// versions 0 and 1, written in 1. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "raft/events.h"

namespace millrace::raft {

std::string print_quorum_state(const ElectionState& state);

/// Code::unsupported for a version we don't know: a newer release wrote it and may have promised
/// what we would break. Code::corrupt for everything else that is wrong.
Result<ElectionState> parse_quorum_state(std::string_view text);

}  // namespace millrace::raft
