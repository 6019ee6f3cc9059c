// app/internal/change_counts.h
//
// What a change of the metadata counts for: leaders elected, replicas that left or joined in-sync
// sets, new epochs of the quorum. Pure.
#pragma once

#include <cstdint>

#include "metadata/delta.h"

namespace millrace::app {

struct ChangeCounts {
    std::uint64_t isr_shrinks = 0;  ///< Of partitions that `self` leads.
    std::uint64_t isr_expands = 0;
    std::uint64_t elections = 0;  ///< In the whole cluster; a new partition's first is none.
    std::uint64_t unclean_elections = 0;
    std::uint64_t quorum_elections = 0;
    friend bool operator==(const ChangeCounts&, const ChangeCounts&) = default;
};

ChangeCounts count_changes(const metadata::Delta& delta, BrokerId self);

}  // namespace millrace::app
