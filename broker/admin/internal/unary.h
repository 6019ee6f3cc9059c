// admin/internal/unary.h
//
// One call with one answer, from gRPC's side: let in by the gate, asked of a function in calls.h,
// ended by its answer or by the deadline, whichever comes first.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <memory>

#include "admin/internal/calls.h"
#include "admin/internal/gate.h"

namespace millrace::admin {

Instant steady_now();

struct UnaryState;

/// Takes the outcome of a call, once, from any thread. Answers by itself if it is dropped: a loop
/// that stops destroys what it has not run.
class Outcome {
public:
    explicit Outcome(std::shared_ptr<UnaryState> state);
    Outcome(Outcome&&) noexcept;
    Outcome& operator=(Outcome&&) noexcept;
    ~Outcome();
    void succeed(google::protobuf::Message& response);
    void fail(const Error& error);

private:
    std::shared_ptr<UnaryState> state_;
};

/// `call` begins it; `request` lives until it has returned.
grpc::ServerUnaryReactor* begin_unary(std::shared_ptr<Gate> gate, const char* name,
                                      Duration default_deadline,
                                      grpc::CallbackServerContext& context,
                                      const google::protobuf::Message& request,
                                      google::protobuf::Message& response,
                                      UniqueFunction<void(AdminDoors&, Caller, Outcome)> call);

/// Little of it knows the types: there are forty calls.
template <typename Request, typename Response>
grpc::ServerUnaryReactor* start_unary(
    std::shared_ptr<Gate> gate, const char* name,
    void (*call)(AdminDoors&, Caller, const Request&, Answer<Response>), Duration default_deadline,
    grpc::CallbackServerContext& context, const Request& request, Response& response) {
    return begin_unary(std::move(gate), name, default_deadline, context, request, response,
                       [call, &request](AdminDoors& doors, Caller caller, Outcome outcome) {
                           call(doors, std::move(caller), request,
                                [outcome = std::move(outcome)](Result<Response> result) mutable {
                                    if (result) {
                                        outcome.succeed(*result);
                                    } else {
                                        outcome.fail(result.error());
                                    }
                                });
                       });
}

}  // namespace millrace::admin
