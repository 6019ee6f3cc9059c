// handlers/controller_apis.h
//
// The APIs that the controller answers, whoever brings them: its own listener, or this process's
// broker side without a network in between. On the control loop.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/unique_function.h"
#include "metadata/controller.h"
#include "model/ids.h"
#include "protocol/request_body.h"

namespace millrace::handlers {

class ControllerApis {
public:
    using Done = UniqueFunction<void(Result<Buffer>)>;

    explicit ControllerApis(metadata::Controller& controller) : controller_(controller) {}

    static bool serves(std::int16_t api_key);
    /// `body` is lent for the call. The answer is encoded in the same version. Code::not_leader:
    /// this node is not the active controller.
    void handle(std::int16_t api_key, std::int16_t version, const protocol::RequestBody& body,
                Done done);

private:
    metadata::Controller& controller_;
};

}  // namespace millrace::handlers
