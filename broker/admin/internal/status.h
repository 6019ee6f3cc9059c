// admin/internal/status.h
#pragma once

#include <grpcpp/support/status.h>

#include "base/error.h"

namespace millrace::admin {

grpc::Status to_status(const Error& error);
std::string_view status_code_name(grpc::StatusCode code);

}  // namespace millrace::admin
