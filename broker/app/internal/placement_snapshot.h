// app/internal/placement_snapshot.h
//
// The cluster as the planner and PlacementView see it, from an image and the replicas' sizes.
#pragma once

#include <set>

#include "admin/plan_doors.h"
#include "app/internal/replica_sizes.h"
#include "metadata/image.h"
#include "placement/execution.h"

namespace millrace::app {

/// A broker that is down keeps what it has and gets nothing, unless it is said to be lost.
placement::Snapshot snapshot_of(const metadata::Image& image, const ReplicaSizes& sizes,
                                const std::set<BrokerId>& draining, const std::set<BrokerId>& lost);

admin::PlacementView placement_view(const metadata::Image& image, const ReplicaSizes& sizes,
                                    const admin::PlacementQuestion& question);

/// For the execution of a plan. Refers to the image while it lives.
placement::WorldNow world_of(const metadata::ImagePtr& image);

/// "*" stands for any number of characters, "?" for one.
bool matches(std::string_view glob, std::string_view text);

}  // namespace millrace::app
