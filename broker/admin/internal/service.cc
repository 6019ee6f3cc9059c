#include "admin/internal/service.h"

#include "admin/internal/calls.h"
#include "admin/internal/unary.h"
#include "millrace/admin/v1/admin.grpc.pb.h"

namespace millrace::admin {

namespace {

class AdminService final : public v1::Admin::CallbackService {
public:
    AdminService(std::shared_ptr<Gate> gate, std::shared_ptr<StreamSet> streams,
                 Duration default_deadline)
        : gate_(std::move(gate)),
          streams_(std::move(streams)),
          default_deadline_(default_deadline) {}

#define MR_UNARY(name)                                                                             \
    grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context,                           \
                                   const v1::name##Request* request, v1::name##Response* response) \
        override {                                                                                 \
        return start_unary(gate_, #name, &calls::name, default_deadline_, *context, *request,      \
                           *response);                                                             \
    }

    MR_UNARY(Identity)
    MR_UNARY(RestartCheck)
    MR_UNARY(RestartProgress)
    MR_UNARY(DrainLeaders)
    MR_UNARY(Cordon)
    MR_UNARY(Uncordon)
    MR_UNARY(UnregisterBroker)
    MR_UNARY(DescribeQuorum)
    MR_UNARY(AddVoter)
    MR_UNARY(RemoveVoter)
    MR_UNARY(ReloadCertificates)
    MR_UNARY(ValidateConfig)
    MR_UNARY(DescribeLogDirs)
    MR_UNARY(CreateTopics)
    MR_UNARY(DeleteTopics)
    MR_UNARY(ListTopics)
    MR_UNARY(DescribeTopics)
    MR_UNARY(CreatePartitions)
    MR_UNARY(DeleteRecords)
    MR_UNARY(ElectLeaders)
    MR_UNARY(DescribeConfigs)
    MR_UNARY(AlterConfigs)
    MR_UNARY(ListGroups)
    MR_UNARY(DescribeGroups)
    MR_UNARY(GroupLag)
    MR_UNARY(AlterGroupOffsets)
    MR_UNARY(DeleteGroups)
    MR_UNARY(PlacementView)
    MR_UNARY(PlanRebalance)
    MR_UNARY(ApplyPlan)
    MR_UNARY(GetPlan)
    MR_UNARY(ListPlans)
    MR_UNARY(PausePlan)
    MR_UNARY(ResumePlan)
    MR_UNARY(CancelPlan)
    MR_UNARY(RollbackPlan)
    MR_UNARY(ApplyLink)
    MR_UNARY(GetLink)
    MR_UNARY(ListLinks)
    MR_UNARY(DeleteLink)
    MR_UNARY(ListMirrorPartitions)

#undef MR_UNARY

    grpc::ServerWriteReactor<v1::HealthResponse>* Health(
        grpc::CallbackServerContext* context, const v1::HealthRequest* request) override {
        const Duration repeat = request->repeat_ms() > 0
                                    ? Duration{std::chrono::milliseconds{request->repeat_ms()}}
                                    : Duration{10s};
        auto* stream =
            new NewsStream<v1::HealthResponse>{streams_, std::max(repeat, Duration{100ms})};
        if (!admit("Health", *context, *request, *stream)) {
            return stream;
        }
        auto subscription = gate_->doors().watch_health(
            [sink = stream->sink()](const millrace::admin::Health& health) {
                sink->push(admin::to_proto(health));
            });
        if (subscription == nullptr) {
            stream->refuse(
                {grpc::StatusCode::UNIMPLEMENTED, "this broker doesn't offer Health yet"});
        } else {
            stream->open(std::move(subscription));
        }
        return stream;
    }

    grpc::ServerWriteReactor<v1::WatchPlanResponse>* WatchPlan(
        grpc::CallbackServerContext* context, const v1::WatchPlanRequest* request) override {
        auto* stream = new NewsStream<v1::WatchPlanResponse>{streams_, 10s};
        if (!admit("WatchPlan", *context, *request, *stream)) {
            return stream;
        }
        PlanDoors* plans = gate_->doors().plans();
        if (plans == nullptr) {
            stream->refuse(
                {grpc::StatusCode::UNIMPLEMENTED, "this broker doesn't offer WatchPlan yet"});
            return stream;
        }
        stream->open(
            plans->watch(request->hash(), [sink = stream->sink()](const PlanProgress& progress) {
                v1::WatchPlanResponse response;
                *response.mutable_progress() = admin::to_proto(progress);
                sink->push(response);
            }));
        return stream;
    }
    grpc::ServerWriteReactor<v1::LinkStatusResponse>* LinkStatus(
        grpc::CallbackServerContext* context, const v1::LinkStatusRequest* request) override {
        auto* stream = new NewsStream<v1::LinkStatusResponse>{streams_, 10s};
        if (!admit("LinkStatus", *context, *request, *stream)) {
            return stream;
        }
        auto subscription = gate_->doors().watch_links(
            [sink = stream->sink(), name = request->name()](const std::vector<KnownLink>& links) {
                v1::LinkStatusResponse news;
                for (const KnownLink& known : links) {
                    if (name.empty() || name == known.link.spec.name) {
                        *news.add_links() = admin::to_proto(known.view);
                    }
                }
                sink->push(std::move(news));
            });
        if (subscription == nullptr) {
            stream->refuse(
                {grpc::StatusCode::UNIMPLEMENTED, "this broker doesn't offer LinkStatus yet"});
        } else {
            stream->open(std::move(subscription));
        }
        return stream;
    }

private:
    template <typename Response>
    bool admit(const char* name, grpc::CallbackServerContext& context,
               const google::protobuf::Message& request, NewsStream<Response>& stream) {
        const auto admission = gate_->enter(name, context, request, steady_now());
        if (!admission.status.ok()) {
            stream.refuse(admission.status);
            return false;
        }
        if (!stream.join()) {
            stream.refuse({grpc::StatusCode::RESOURCE_EXHAUSTED, "too many streams are open"});
            return false;
        }
        return true;
    }

    std::shared_ptr<Gate> gate_;
    std::shared_ptr<StreamSet> streams_;
    Duration default_deadline_;
};

}  // namespace

std::unique_ptr<grpc::Service> make_service(std::shared_ptr<Gate> gate,
                                            std::shared_ptr<StreamSet> streams,
                                            Duration default_deadline) {
    return std::make_unique<AdminService>(std::move(gate), std::move(streams), default_deadline);
}

}  // namespace millrace::admin
