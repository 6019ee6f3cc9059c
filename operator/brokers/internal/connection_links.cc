// Mirror links: orders go to one broker, questions to all, as each knows only what it leads.
#include <condition_variable>

#include "operator/brokers/internal/connection.h"
#include "operator/brokers/internal/convert_links.h"

namespace millrace::brokers {

namespace {

/// One question to several brokers at once. Outlives whoever asks: gRPC answers when it does.
struct Round {
    struct One {
        grpc::ClientContext context;
        v1::GetLinkResponse response;
        grpc::Status status;
        std::shared_ptr<v1::Admin::Stub> stub;
    };
    v1::GetLinkRequest request;
    std::vector<std::unique_ptr<One>> all;
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left = 0;
};

}  // namespace

std::vector<std::shared_ptr<Connection::Stub>> Connection::all_stubs() {
    const std::lock_guard lock(mutex_);
    if (!(stubs_identity_ == identity_)) {
        stubs_by_address_.clear();
        stubs_identity_ = identity_;
    }
    std::map<std::string, std::shared_ptr<Stub>> kept;
    std::vector<std::shared_ptr<Stub>> stubs;
    for (const Endpoint& endpoint : endpoints_) {
        auto& stub = stubs_by_address_[endpoint.address];
        if (!stub) {
            stub = std::make_shared<Stub>(make_channel(endpoint, identity_));
        }
        kept[endpoint.address] = stub;
        stubs.push_back(stub);
    }
    stubs_by_address_ = std::move(kept);
    return stubs;
}

Result<LinkFacts> Connection::link(const LinkWish& wish) {
    auto round = std::make_shared<Round>();
    round->request.set_name(wish.name);
    for (std::shared_ptr<Stub>& stub : all_stubs()) {
        auto one = std::make_unique<Round::One>();
        one->stub = std::move(stub);
        set_deadline(one->context, options_.deadline);
        round->all.push_back(std::move(one));
    }
    round->left = round->all.size();
    for (const auto& one : round->all) {
        one->stub->async()->GetLink(&one->context, &round->request, &one->response,
                                    [round, to = one.get()](const grpc::Status& status) {
                                        const std::lock_guard lock(round->mutex);
                                        to->status = status;
                                        --round->left;
                                        round->changed.notify_all();
                                    });
    }
    std::unique_lock lock(round->mutex);
    round->changed.wait(lock, [&] { return round->left == 0; });  // Each has a deadline.
    std::vector<v1::GetLinkResponse> answers;
    bool any = false;
    Error last = Error::make(Code::unavailable, "GetLink: no broker of {} answers", cluster_);
    for (const auto& one : round->all) {
        any = any || one->status.ok() || one->status.error_code() == grpc::StatusCode::NOT_FOUND;
        if (one->status.ok()) {
            answers.push_back(std::move(one->response));
        } else {
            last = error_of(one->status, "GetLink");
        }
    }
    if (!any) {
        return last;
    }
    return merge(wish, answers);
}

Result<void> Connection::apply_link(const LinkWish& wish, std::int64_t expected_version) {
    v1::ApplyLinkRequest request;
    *request.mutable_link() = to_proto(wish);
    request.set_expected_version(expected_version);
    MR_TRY(const auto response, call(&Stub::ApplyLink, request, "ApplyLink"));
    (void)response;
    return {};
}

Result<void> Connection::delete_link(const std::string& name, bool promote_topics) {
    v1::DeleteLinkRequest request;
    request.set_name(name);
    request.set_topics(promote_topics ? v1::DeleteLinkRequest::TOPICS_PROMOTE
                                      : v1::DeleteLinkRequest::TOPICS_KEEP_READ_ONLY);
    MR_TRY(const auto response, call(&Stub::DeleteLink, request, "DeleteLink"));
    (void)response;
    return {};
}

}  // namespace millrace::brokers
