// admin/internal/gate.h
//
// What every call passes before it reaches a door, and what is noted when it ends: who calls, may
// they, is the cluster as they think, was it asked before, is it too much. Everything it needs to
// know about a call it reads from the call's options and message, so that no call can forget it.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/status.h>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "admin/doors.h"
#include "admin/internal/rate_core.h"
#include "admin/internal/repeats_core.h"
#include "base/log.h"
#include "metrics/metrics.h"

namespace millrace::admin {

class Gate {
public:
    /// A call that was let in; given back to leave().
    struct Pass {
        Caller caller;
        std::string idempotency_key;  ///< With the caller's name in front; empty without one.
        bool changes = false;
    };
    struct Admission {
        grpc::Status status;
        Pass pass;
        /// A repeated call's answer, encoded; then there is nothing to do.
        std::optional<std::string> repeated;
    };

    Gate(std::shared_ptr<AdminDoors> doors, double changes_per_second, Logger log,
         std::shared_ptr<metrics::Registry> registry);

    Admission enter(const std::string& call, grpc::CallbackServerContext& context,
                    const google::protobuf::Message& request, Instant now);
    /// `response` counts only with an OK status.
    void leave(const Pass& pass, const grpc::Status& status,
               const google::protobuf::Message& response, Instant now);

    AdminDoors& doors() { return *doors_; }

private:
    grpc::Status authorise(const Caller& caller, const google::protobuf::MethodDescriptor& method,
                           const google::protobuf::Message& request) const;
    grpc::Status check_repeat(Admission& admission, const google::protobuf::Message& request,
                              Instant now);
    void note(const Caller& caller, bool changes, const grpc::Status& status);

    std::shared_ptr<AdminDoors> doors_;
    Logger log_;
    std::shared_ptr<metrics::Registry> registry_;
    std::mutex mutex_;  ///< Guards what follows; gRPC calls from several threads.
    RepeatsCore repeats_;
    RateCore changes_;
    std::map<std::string, metrics::Counter> counters_;
};

}  // namespace millrace::admin
