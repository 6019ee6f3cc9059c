// operator/planner/internal/link_status.h
//
// What a MirrorLink's status says, and which of its changes are events. Pure.
#pragma once

#include <string>
#include <vector>

#include "operator/planner/link_planner.h"

namespace millrace::planner {

struct LinkTold {
    api::MirrorLinkStatus status;
    std::vector<LinkEvent> events;
    bool settled = false;  ///< The link does what is wished.
};

/// `wish_error`: what is missing for a wish at all; else empty.
LinkTold tell_link(const LinkWorld& world, const std::string& wish_error);

}  // namespace millrace::planner
