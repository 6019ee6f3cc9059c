// admin/internal/service.h
#pragma once

#include <grpcpp/impl/service_type.h>
#include <memory>

#include "admin/internal/gate.h"
#include "admin/internal/news_stream.h"

namespace millrace::admin {

/// Every call of the service goes through the gate, built or not.
std::unique_ptr<grpc::Service> make_service(std::shared_ptr<Gate> gate,
                                            std::shared_ptr<StreamSet> streams,
                                            Duration default_deadline);

}  // namespace millrace::admin
