// Certificates: each node is asked about its own.
#include <algorithm>

#include "operator/brokers/internal/connection.h"
#include "operator/brokers/internal/convert.h"
#include "operator/brokers/internal/round.h"

namespace millrace::brokers {

std::vector<Connection::Node> Connection::all_nodes() {
    const std::lock_guard lock(mutex_);
    if (!(stubs_identity_ == identity_)) {
        stubs_by_address_.clear();
        stubs_identity_ = identity_;
    }
    std::map<std::string, std::shared_ptr<Stub>> kept;
    std::vector<Node> nodes;
    for (const auto* endpoints : {&endpoints_, &controllers_}) {
        for (const Endpoint& endpoint : *endpoints) {
            auto& stub = stubs_by_address_[endpoint.address];
            if (!stub) {
                stub = std::make_shared<Stub>(make_channel(endpoint, identity_));
            }
            kept[endpoint.address] = stub;
            nodes.push_back({endpoint.broker_id, endpoint.is_broker, stub});
        }
    }
    stubs_by_address_ = std::move(kept);
    return nodes;
}

Result<CertificateUses> Connection::certificates() {
    auto round =
        std::make_shared<Round<v1::ReloadCertificatesRequest, v1::ReloadCertificatesResponse>>();
    for (const Node& node : all_nodes()) {
        round->add(node.id, node.stub, options_.deadline);
    }
    run(round, [](Stub& stub, auto* context, auto* request, auto* response, auto done) {
        stub.async()->ReloadCertificates(context, request, response, std::move(done));
    });
    CertificateUses uses;
    for (const auto& one : round->all) {
        if (one->status.ok()) {
            uses[one->id] = from_proto(one->response);
        }
    }
    if (uses.empty()) {
        return round->all.empty()
                   ? Error::make(Code::unavailable, "ReloadCertificates: no broker of {} is known",
                                 cluster_)
                   : error_of(round->all.front()->status, "ReloadCertificates");
    }
    return uses;
}

}  // namespace millrace::brokers
