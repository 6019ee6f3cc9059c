#include "admin/internal/status.h"

namespace millrace::admin {

namespace {

grpc::StatusCode to_status_code(Code code) {
    switch (code) {
        case Code::again:
        case Code::unavailable:
        case Code::not_leader:
        case Code::closed:
        // We gave it up: a connection to the controller ended, the node stops. CANCELLED says that
        // the caller did, and whoever did hears nothing any more.
        case Code::cancelled:
            return grpc::StatusCode::UNAVAILABLE;
        case Code::busy:
        case Code::exhausted:
        case Code::no_space:
            return grpc::StatusCode::RESOURCE_EXHAUSTED;
        case Code::corrupt:
            return grpc::StatusCode::DATA_LOSS;
        case Code::exists:
            return grpc::StatusCode::ALREADY_EXISTS;
        case Code::fenced:
            return grpc::StatusCode::FAILED_PRECONDITION;
        case Code::internal:
        case Code::io:
            return grpc::StatusCode::INTERNAL;
        case Code::invalid:
            return grpc::StatusCode::INVALID_ARGUMENT;
        case Code::not_found:
            return grpc::StatusCode::NOT_FOUND;
        case Code::permission:
            return grpc::StatusCode::PERMISSION_DENIED;
        case Code::timed_out:
            return grpc::StatusCode::DEADLINE_EXCEEDED;
        case Code::unsupported:
            return grpc::StatusCode::UNIMPLEMENTED;
    }
    return grpc::StatusCode::UNKNOWN;
}

}  // namespace

grpc::Status to_status(const Error& error) {
    return {to_status_code(error.code()), error.message()};
}

std::string_view status_code_name(grpc::StatusCode code) {
    constexpr std::string_view names[] = {"OK",
                                          "CANCELLED",
                                          "UNKNOWN",
                                          "INVALID_ARGUMENT",
                                          "DEADLINE_EXCEEDED",
                                          "NOT_FOUND",
                                          "ALREADY_EXISTS",
                                          "PERMISSION_DENIED",
                                          "RESOURCE_EXHAUSTED",
                                          "FAILED_PRECONDITION",
                                          "ABORTED",
                                          "OUT_OF_RANGE",
                                          "UNIMPLEMENTED",
                                          "INTERNAL",
                                          "UNAVAILABLE",
                                          "DATA_LOSS",
                                          "UNAUTHENTICATED"};
    const auto index = static_cast<std::size_t>(code);
    return index < std::size(names) ? names[index] : "UNKNOWN";
}

}  // namespace millrace::admin
