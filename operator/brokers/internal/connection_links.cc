// Mirror links: orders go to one broker, questions to all, as each knows only what it leads.
#include "operator/brokers/internal/connection.h"
#include "operator/brokers/internal/convert_links.h"
#include "operator/brokers/internal/round.h"

namespace millrace::brokers {

Result<LinkFacts> Connection::link(const LinkWish& wish) {
    auto round = std::make_shared<Round<v1::GetLinkRequest, v1::GetLinkResponse>>();
    round->request.set_name(wish.name);
    for (const Node& node : all_nodes()) {
        if (node.is_broker) {
            round->add(node.id, node.stub, options_.deadline);
        }
    }
    run(round, [](Stub& stub, auto* context, auto* request, auto* response, auto done) {
        stub.async()->GetLink(context, request, response, std::move(done));
    });
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
