// admin/internal/topic_details.h
//
// What metadata doesn't say of topics: asked of the controller and of each leader.
#pragma once

#include "admin/internal/calls.h"

namespace millrace::admin {

/// Completes the topics that were found. What nobody answered stays as not known.
void add_details(AdminDoors& doors, const Caller& caller, v1::DescribeTopicsResponse topics,
                 Answer<v1::DescribeTopicsResponse> answer);

}  // namespace millrace::admin
