// runtime/disk_lanes.h
//
// Lanes of the DiskPool that mean something to it.
#pragma once

#include <cstdint>

namespace millrace::runtime {

/// What the whole cluster waits for: the metadata log. The real pool takes such a job before all
/// that waits, for behind a thousand partitions' syncs it would be seconds late.
inline constexpr std::uint64_t first_lane = ~std::uint64_t{0};

}  // namespace millrace::runtime
