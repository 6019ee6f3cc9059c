#include "admin/internal/unary.h"

#include <algorithm>
#include <chrono>
#include <grpcpp/alarm.h>
#include <mutex>

#include "admin/internal/status.h"

namespace millrace::admin {

using google::protobuf::Message;

class UnaryReactor;

/// Outlives the reactor when the deadline comes before the answer.
struct UnaryState {
    UnaryState(std::shared_ptr<Gate> gate_in, UnaryReactor* reactor_in,
               std::unique_ptr<Message> empty_in)
        : gate(std::move(gate_in)), empty(std::move(empty_in)), reactor(reactor_in) {}

    void answered(const grpc::Status& status, Message& response) {
        // The outcome counts for repeated calls even if nobody waits for it any more.
        gate->leave(pass, status, response, steady_now());
        finish(status, &response);
    }
    void failed(const Error& error) { answered(to_status(error), *empty); }

    /// `response`, if there is one, changes place with what the caller gets.
    void finish(const grpc::Status& status, Message* response);

    const std::shared_ptr<Gate> gate;
    const std::unique_ptr<Message> empty;  ///< Of the response's type.
    Gate::Pass pass;
    std::mutex mutex;
    UnaryReactor* reactor;  ///< nullptr once finished.
};

/// Deletes itself when gRPC is done with it.
class UnaryReactor final : public grpc::ServerUnaryReactor {
public:
    UnaryReactor(std::shared_ptr<Gate> gate, Message& response)
        : state_(std::make_shared<UnaryState>(std::move(gate), this,
                                              std::unique_ptr<Message>(response.New()))),
          response_(response) {}

    void run(const char* name, Duration default_deadline, grpc::CallbackServerContext& context,
             const Message& request, UniqueFunction<void(AdminDoors&, Caller, Outcome)> call) {
        // Kept here: an answer that comes at once may end this reactor.
        const std::shared_ptr<UnaryState> state = state_;
        auto admission = state->gate->enter(name, context, request, steady_now());
        if (admission.repeated || !admission.status.ok()) {
            if (admission.repeated) {
                state->empty->ParseFromString(*admission.repeated);
            }
            state->finish(admission.status, state->empty.get());
            return;
        }
        state->pass = admission.pass;
        const auto latest =
            std::chrono::system_clock::now() +
            std::chrono::duration_cast<std::chrono::system_clock::duration>(default_deadline);
        deadline_.Set(std::min(context.deadline(), latest), [state](bool passed) {
            if (passed) {
                state->finish(
                    {grpc::StatusCode::DEADLINE_EXCEEDED, "no answer in time; it may still happen"},
                    nullptr);
            }
        });
        call(state->gate->doors(), std::move(admission.pass.caller), Outcome{state});
    }

    void end(const grpc::Status& status, Message* response) {
        if (response != nullptr) {
            response_.GetReflection()->Swap(&response_, response);
        }
        deadline_.Cancel();
        Finish(status);
    }

private:
    void OnDone() override { delete this; }
    void OnCancel() override {
        state_->finish({grpc::StatusCode::CANCELLED, "the caller went away"}, nullptr);
    }

    std::shared_ptr<UnaryState> state_;
    Message& response_;
    grpc::Alarm deadline_;
};

void UnaryState::finish(const grpc::Status& status, Message* response) {
    const std::lock_guard lock{mutex};
    if (reactor != nullptr) {
        std::exchange(reactor, nullptr)->end(status, response);
    }
}

Instant steady_now() {
    return {std::chrono::steady_clock::now().time_since_epoch().count()};
}

Outcome::Outcome(std::shared_ptr<UnaryState> state) : state_(std::move(state)) {}
Outcome::Outcome(Outcome&&) noexcept = default;
Outcome& Outcome::operator=(Outcome&&) noexcept = default;
Outcome::~Outcome() {
    if (state_) {
        state_->failed(Error(Code::unavailable, "the broker is stopping"));
    }
}
void Outcome::succeed(Message& response) {
    std::exchange(state_, nullptr)->answered(grpc::Status::OK, response);
}
void Outcome::fail(const Error& error) {
    std::exchange(state_, nullptr)->failed(error);
}

grpc::ServerUnaryReactor* begin_unary(std::shared_ptr<Gate> gate, const char* name,
                                      Duration default_deadline,
                                      grpc::CallbackServerContext& context, const Message& request,
                                      Message& response,
                                      UniqueFunction<void(AdminDoors&, Caller, Outcome)> call) {
    auto* reactor = new UnaryReactor{std::move(gate), response};
    reactor->run(name, default_deadline, context, request, std::move(call));
    return reactor;
}

}  // namespace millrace::admin
