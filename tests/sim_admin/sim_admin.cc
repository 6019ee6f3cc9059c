#include "tests/sim_admin/sim_admin.h"

#include "admin/internal/calls.h"
#include "admin/internal/serve.h"
#include "admin/internal/service.h"
#include "admin/internal/unary.h"
#include "millrace/admin/v1/admin.grpc.pb.h"

namespace millrace::sim_admin {

namespace {

/// What the gate asks; calls go past the other doors to the cluster.
class SimDoors final : public admin::AdminDoors {
public:
    SimDoors(std::shared_ptr<SimCluster> cluster, std::set<std::string> denied)
        : cluster_(std::move(cluster)), denied_(std::move(denied)) {}

    bool allows(const Principal&, std::string_view, std::int8_t, std::int8_t,
                std::string_view name) const override {
        return denied_.count(std::string{name}) == 0;
    }
    QuorumEpoch epoch() const override {
        return QuorumEpoch{static_cast<std::int32_t>(cluster_->epoch())};
    }
    BrokerId self() const override { return BrokerId{1}; }
    std::shared_ptr<const config::BrokerConfig> config() const override {
        return std::make_shared<const config::BrokerConfig>(config::load({}).given);
    }
    void identity(admin::Reply<admin::Identity> reply) override {
        reply(Error(Code::internal, "the simulated service answers by itself"));
    }
    SimCluster& cluster() { return *cluster_; }

private:
    std::shared_ptr<SimCluster> cluster_;
    std::set<std::string> denied_;
};

/// Ends listening to the cluster with the stream that listens.
class Listening final : public admin::Subscription {
public:
    Listening(SimCluster& cluster, SimCluster::Listener listener)
        : cluster_(cluster), number_(cluster.listen(std::move(listener))) {}
    ~Listening() override { cluster_.forget(number_); }

private:
    SimCluster& cluster_;
    int number_;
};

template <typename Request, typename Response, Result<Response> (SimCluster::*call)(const Request&)>
void ask(admin::AdminDoors& doors, admin::Caller, const Request& request,
         admin::Answer<Response> answer) {
    answer((static_cast<SimDoors&>(doors).cluster().*call)(request));
}

class SimService final : public v1::Admin::CallbackService {
public:
    SimService(std::shared_ptr<admin::Gate> gate, std::shared_ptr<admin::StreamSet> streams)
        : gate_(std::move(gate)), streams_(std::move(streams)) {}

#define MR_SIM_UNARY(name, call)                                                                   \
    grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context,                           \
                                   const v1::name##Request* request, v1::name##Response* response) \
        override {                                                                                 \
        return admin::start_unary<v1::name##Request, v1::name##Response>(                          \
            gate_, #name, call, 30s, *context, *request, *response);                               \
    }
#define MR_SIM_CALL(name) \
    MR_SIM_UNARY(name, (&ask<v1::name##Request, v1::name##Response, &SimCluster::name>))
#include "tests/sim_admin/calls.inc"
    MR_SIM_UNARY(ValidateConfig, &admin::calls::ValidateConfig)
#undef MR_SIM_CALL
#undef MR_SIM_UNARY

    grpc::ServerWriteReactor<v1::HealthResponse>* Health(
        grpc::CallbackServerContext* context, const v1::HealthRequest* request) override {
        return stream<v1::HealthResponse>("Health", *context, *request,
                                          [](SimCluster& cluster) { return cluster.health(); });
    }
    grpc::ServerWriteReactor<v1::WatchPlanResponse>* WatchPlan(
        grpc::CallbackServerContext* context, const v1::WatchPlanRequest* request) override {
        return stream<v1::WatchPlanResponse>(
            "WatchPlan", *context, *request, [hash = request->hash()](SimCluster& cluster) {
                v1::WatchPlanResponse response;
                if (const auto progress = cluster.plan_progress(hash)) {
                    *response.mutable_progress() = *progress;
                }
                return response;
            });
    }
    grpc::ServerWriteReactor<v1::LinkStatusResponse>* LinkStatus(
        grpc::CallbackServerContext* context, const v1::LinkStatusRequest* request) override {
        return stream<v1::LinkStatusResponse>(
            "LinkStatus", *context, *request,
            [name = request->name()](SimCluster& cluster) { return cluster.link_status(name); });
    }

private:
    template <typename Response, typename Look>
    grpc::ServerWriteReactor<Response>* stream(const char* name,
                                               grpc::CallbackServerContext& context,
                                               const google::protobuf::Message& request,
                                               Look look) {
        auto* stream = new admin::NewsStream<Response>{streams_, 10s};
        const auto admission = gate_->enter(name, context, request, admin::steady_now());
        if (!admission.status.ok() || !stream->join()) {
            stream->refuse(admission.status.ok()
                               ? grpc::Status{grpc::StatusCode::RESOURCE_EXHAUSTED, "too many"}
                               : admission.status);
            return stream;
        }
        SimCluster& cluster = static_cast<SimDoors&>(gate_->doors()).cluster();
        const auto tell = [sink = stream->sink(), look, &cluster] { sink->push(look(cluster)); };
        stream->open(std::make_unique<Listening>(cluster, tell));
        tell();
        return stream;
    }

    std::shared_ptr<admin::Gate> gate_;
    std::shared_ptr<admin::StreamSet> streams_;
};

}  // namespace

SimAdmin::SimAdmin(std::shared_ptr<SimCluster> cluster, std::set<std::string> denied) {
    auto started = admin::serve(
        admin::ServerOptions{}, std::make_shared<SimDoors>(std::move(cluster), std::move(denied)),
        Logger{}, std::make_shared<metrics::Registry>(),
        [](std::shared_ptr<admin::Gate> gate, std::shared_ptr<admin::StreamSet> streams) {
            return std::unique_ptr<grpc::Service>{
                std::make_unique<SimService>(std::move(gate), std::move(streams))};
        });
    MR_ASSERT(started.has_value());
    server_ = *std::move(started);
    server_->set_serving(true);
}

SimAdmin::~SimAdmin() = default;

std::uint16_t SimAdmin::port() const {
    return server_->port();
}
void SimAdmin::stop() {
    server_->stop(0s);
}

}  // namespace millrace::sim_admin
