// operator/planner/members.h
//
// Which brokers there should be. Ids are kept as long as a broker or its disk is there; new ones
// are the lowest free; those that leave are the ones that were named, else the highest. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "operator/api/cluster.h"
#include "operator/render/objects.h"

namespace millrace::planner {

struct Known {
    std::map<int, std::string>
        pool_by_id;  ///< Brokers that exist in any form, retired disks aside.
};

struct Membership {
    std::map<int, render::Member> wanted;
    std::set<int> joining;               ///< Wanted, and not known yet.
    std::map<int, std::string> leaving;  ///< Known, and not wanted; with their pool.
    std::vector<int> voters;             ///< Of the metadata quorum.
};

/// `fixed_voters` are those that a running quorum has; empty: it is to be chosen.
Membership members_of(const api::ClusterSpec& spec, const Known& known,
                      const std::vector<int>& fixed_voters);

/// One below 3 brokers, three below 9, else five.
int wanted_voters(int brokers);

}  // namespace millrace::planner
