// handlers/group_calls.h
//
// The group APIs are one line each: over to the control loop, into the coordinator, back.
#pragma once

#include <memory>

#include "handlers/authorized_operations.h"
#include "handlers/call.h"
#include "handlers/doors.h"

namespace millrace::handlers {

template <typename Request, typename Response>
using GroupDoor = void (groups::GroupCoordinator::*)(const Request&, const groups::Caller&,
                                                     groups::Reply<Response>);

/// What the caller may do with each group, where it asked (KIP-430).
template <typename Request, typename Response>
void add_operations(const Request& request, Response& response) {
    if constexpr (requires { request.include_authorized_operations; }) {
        for (auto& group : response.groups) {
            if (request.include_authorized_operations && group.error_code == 0) {
                group.authorized_operations = all_group_operations;
            }
        }
    }
}

/// What is said again in a question with a long answer is dropped.
template <typename Request>
void drop_repeats(Request&) {}
void drop_repeats(protocol::OffsetFetchRequest& request);
void drop_repeats(protocol::DescribeGroupsRequest& request);
void drop_repeats(protocol::ConsumerGroupDescribeRequest& request);
void drop_repeats(protocol::DeleteGroupsRequest& request);

template <typename Request, typename Response, GroupDoor<Request, Response> door>
void group_call(const Doors& doors, Call<Request, Response> call) {
    drop_repeats(call.mutable_request());
    auto shared = std::make_shared<Call<Request, Response>>(std::move(call));
    doors.control->post([&doors, shared] {
        groups::Caller caller;
        caller.version = shared->version();
        caller.client_id = shared->meta().client_id;
        caller.client_host = shared->meta().client_host;
        (doors.groups->*door)(shared->request(), caller, [shared](Response& response) {
            add_operations(shared->request(), response);
            shared->answer(response);
        });
    });
}

}  // namespace millrace::handlers
