// raft/internal/wire_parts.h
//
// What requests and answers of the quorum have in common on the wire.
#pragma once

#include <type_traits>

namespace millrace::raft {

/// The one partition that requests of the quorum speak of; others are none of our business.
template <typename Topics>
auto only_partition(const Topics& topics) -> const
    typename std::decay_t<decltype(topics[0].partitions)>::value_type* {
    return topics.size() == 1 && topics[0].partitions.size() == 1 ? &topics[0].partitions[0]
                                                                  : nullptr;
}

}  // namespace millrace::raft
