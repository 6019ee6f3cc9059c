// admin/internal/serve.h
//
// The endpoint around any service: Server::start gives it ours, the simulated cluster of the tests
// its own.
#pragma once

#include <functional>
#include <memory>

#include "admin/internal/gate.h"
#include "admin/internal/news_stream.h"
#include "admin/server.h"

namespace grpc {
class Service;
}

namespace millrace::admin {

using MakeService = std::function<std::unique_ptr<grpc::Service>(std::shared_ptr<Gate>,
                                                                 std::shared_ptr<StreamSet>)>;

Result<std::unique_ptr<Server>> serve(ServerOptions options, std::shared_ptr<AdminDoors> doors,
                                      Logger log, std::shared_ptr<metrics::Registry> registry,
                                      const MakeService& make);

}  // namespace millrace::admin
