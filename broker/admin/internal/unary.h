// admin/internal/unary.h
//
// One call with one answer, from gRPC's side: let in by the gate, asked of a function in calls.h,
// ended by its answer or by the deadline, whichever comes first.
#pragma once

#include <algorithm>
#include <chrono>
#include <grpcpp/alarm.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/server_callback.h>
#include <memory>
#include <mutex>

#include "admin/internal/calls.h"
#include "admin/internal/gate.h"
#include "admin/internal/status.h"

namespace millrace::admin {

inline Instant steady_now() {
    return {std::chrono::steady_clock::now().time_since_epoch().count()};
}

template <typename Request, typename Response>
class Unary final : public grpc::ServerUnaryReactor {
public:
    using Call = void (*)(AdminDoors&, Caller, const Request&, Answer<Response>);

    /// Deletes itself when gRPC is done with it.
    static grpc::ServerUnaryReactor* start(std::shared_ptr<Gate> gate, const char* name, Call call,
                                           Duration default_deadline,
                                           grpc::CallbackServerContext* context,
                                           const Request* request, Response* response) {
        auto* reactor = new Unary{std::move(gate), response};
        reactor->run(name, call, default_deadline, *context, *request);
        return reactor;
    }

private:
    /// Outlives the reactor when the deadline comes before the answer.
    struct Shared {
        std::shared_ptr<Gate> gate;
        Gate::Pass pass;
        std::mutex mutex;
        Unary* reactor = nullptr;  ///< nullptr once finished.

        void answered(Result<Response> result) {
            const grpc::Status status = result ? grpc::Status::OK : to_status(result.error());
            Response response;
            if (result) {
                response = *std::move(result);
            }
            // The outcome counts for repeated calls even if nobody waits for it any more.
            gate->leave(pass, status, response, steady_now());
            finish(status, &response);
        }

        void finish(const grpc::Status& status, Response* response) {
            const std::lock_guard lock{mutex};
            if (reactor == nullptr) {
                return;
            }
            if (response != nullptr) {
                reactor->response_->Swap(response);
            }
            std::exchange(reactor, nullptr)->end(status);
        }
    };

    /// Answers by itself if it is dropped: a loop that stops destroys what it has not run.
    class Once {
    public:
        explicit Once(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}
        Once(Once&&) noexcept = default;
        Once& operator=(Once&&) noexcept = default;
        ~Once() {
            if (shared_) {
                shared_->answered(Error(Code::unavailable, "the broker is stopping"));
            }
        }
        void operator()(Result<Response> result) {
            std::exchange(shared_, nullptr)->answered(std::move(result));
        }

    private:
        std::shared_ptr<Shared> shared_;
    };

    Unary(std::shared_ptr<Gate> gate, Response* response)
        : shared_(std::make_shared<Shared>()), response_(response) {
        shared_->gate = std::move(gate);
        shared_->reactor = this;
    }

    void run(const char* name, Call call, Duration default_deadline,
             grpc::CallbackServerContext& context, const Request& request) {
        // Kept here: an answer that comes at once may end this reactor.
        const std::shared_ptr<Shared> shared = shared_;
        auto admission = shared->gate->enter(name, context, request, steady_now());
        if (admission.repeated || !admission.status.ok()) {
            Response response;
            if (admission.repeated) {
                response.ParseFromString(*admission.repeated);
            }
            shared->finish(admission.status, &response);
            return;
        }
        shared->pass = admission.pass;
        const auto latest =
            std::chrono::system_clock::now() +
            std::chrono::duration_cast<std::chrono::system_clock::duration>(default_deadline);
        deadline_.Set(std::min(context.deadline(), latest), [shared](bool passed) {
            if (passed) {
                shared->finish(
                    {grpc::StatusCode::DEADLINE_EXCEEDED, "no answer in time; it may still happen"},
                    nullptr);
            }
        });
        call(shared->gate->doors(), std::move(admission.pass.caller), request, Once{shared});
    }

    void end(const grpc::Status& status) {
        deadline_.Cancel();
        Finish(status);
    }

    void OnDone() override { delete this; }
    void OnCancel() override {
        shared_->finish({grpc::StatusCode::CANCELLED, "the caller went away"}, nullptr);
    }

    std::shared_ptr<Shared> shared_;
    Response* response_;
    grpc::Alarm deadline_;
};

}  // namespace millrace::admin
