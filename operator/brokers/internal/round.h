// operator/brokers/internal/round.h
//
// One question to several nodes at once, each with a deadline. Outlives whoever asks: gRPC answers
// when it does.
#pragma once

#include <condition_variable>
#include <functional>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <mutex>
#include <vector>

#include "operator/brokers/internal/connection.h"

namespace millrace::brokers {

template <typename Request, typename Response>
struct Round {
    struct One {
        int id = -1;
        grpc::ClientContext context;
        Response response;
        grpc::Status status;
        std::shared_ptr<v1::Admin::Stub> stub;
    };
    Request request;
    std::vector<std::unique_ptr<One>> all;
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left = 0;

    void add(int id, std::shared_ptr<v1::Admin::Stub> stub, Duration deadline) {
        auto one = std::make_unique<One>();
        one->id = id;
        one->stub = std::move(stub);
        set_deadline(one->context, deadline);
        all.push_back(std::move(one));
    }
};

/// Returns when every node has answered or its deadline has passed. `begin` starts one call:
/// begin(stub, context, request, response, done).
template <typename Request, typename Response, typename Begin>
void run(const std::shared_ptr<Round<Request, Response>>& round, const Begin& begin) {
    round->left = round->all.size();
    for (const auto& one : round->all) {
        const std::function<void(grpc::Status)> done =
            [round, to = one.get()](const grpc::Status& status) {
                const std::lock_guard lock(round->mutex);
                to->status = status;
                --round->left;
                round->changed.notify_all();
            };
        begin(*one->stub, &one->context, &round->request, &one->response, done);
    }
    std::unique_lock lock(round->mutex);
    round->changed.wait(lock, [&] { return round->left == 0; });
}

}  // namespace millrace::brokers
