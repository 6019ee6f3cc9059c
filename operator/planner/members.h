// operator/planner/members.h
//
// Which brokers there should be. Ids are kept as long as a broker or its disk is there; new ones
// are the lowest free; those that leave are the ones that were named, then those that have nothing,
// then those that are on their way out already, then the highest of the racks that have most, so
// that no rack is emptied while another has two. Pure.
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
        pool_by_id;          ///< Brokers that exist in any form, retired disks aside.
    std::set<int> draining;  ///< Of these, who was told to leave already.
    std::set<int> idle;      ///< Of these, who is not up and has no replica.
};

struct Membership {
    std::map<int, render::Member> wanted;
    std::set<int> joining;               ///< Wanted, and not known yet.
    std::map<int, std::string> leaving;  ///< Known, and not wanted; with their pool.
    std::vector<int> wanted_voters;      ///< Those that should make up the metadata quorum.
    std::vector<int> voters;             ///< They, and those that still vote: all carry the quorum.
};

/// `voters` are those that the quorum has or was made with; empty: there is none yet. They go on
/// voting unless they leave or are too many. `racks` are those that are known so far.
Membership members_of(const api::ClusterSpec& spec, const Known& known,
                      const std::vector<int>& voters, const std::map<int, std::string>& racks = {});

/// These vote now, whatever is wanted: they stay controllers until they don't.
void keep_voting(Membership& membership, const std::vector<int>& voting);

/// One below 3 brokers, three below 9, else five.
int wanted_voters(int brokers);

}  // namespace millrace::planner
