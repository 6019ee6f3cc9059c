// metadata/judged_mark.h
//
// How a broker tells the controller that it has judged changes of its own settings: some name what
// only that broker has, such as its log directories. A tagged field that brokers of ours put on a
// resource of AlterConfigs and IncrementalAlterConfigs, empty, and take off a client's.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "protocol/types.h"

namespace millrace::metadata {

inline constexpr std::uint32_t judged_tag = 10'002;

inline bool is_judged(const std::vector<protocol::UnknownTag>& tags) {
    return std::any_of(tags.begin(), tags.end(),
                       [](const auto& tag) { return tag.tag == judged_tag; });
}

}  // namespace millrace::metadata
