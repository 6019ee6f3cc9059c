#include "admin/internal/service.h"

#include "admin/internal/calls.h"
#include "admin/internal/unary.h"
#include "millrace/admin/v1/admin.grpc.pb.h"

namespace millrace::admin {

namespace {

template <typename Request, typename Response>
void not_built(AdminDoors&, Caller caller, const Request&, Answer<Response> answer) {
    answer(Error::make(Code::unsupported, "this broker doesn't offer {} yet", caller.call));
}

class AdminService final : public v1::Admin::CallbackService {
public:
    AdminService(std::shared_ptr<Gate> gate, std::shared_ptr<StreamSet> streams,
                 Duration default_deadline)
        : gate_(std::move(gate)),
          streams_(std::move(streams)),
          default_deadline_(default_deadline) {}

#define MR_UNARY(name, call)                                                                       \
    grpc::ServerUnaryReactor* name(grpc::CallbackServerContext* context,                           \
                                   const v1::name##Request* request, v1::name##Response* response) \
        override {                                                                                 \
        return Unary<v1::name##Request, v1::name##Response>::start(                                \
            gate_, #name, &call, default_deadline_, context, request, response);                   \
    }
#define MR_BUILT(name) MR_UNARY(name, calls::name)
#define MR_LATER(name) MR_UNARY(name, (not_built<v1::name##Request, v1::name##Response>))

    MR_BUILT(Identity)
    MR_BUILT(RestartCheck)
    MR_BUILT(RestartProgress)
    MR_BUILT(DrainLeaders)
    MR_BUILT(Cordon)
    MR_BUILT(Uncordon)
    MR_BUILT(UnregisterBroker)
    MR_BUILT(DescribeQuorum)
    MR_BUILT(AddVoter)
    MR_BUILT(RemoveVoter)
    MR_BUILT(ReloadCertificates)
    MR_BUILT(ValidateConfig)
    MR_BUILT(DescribeLogDirs)
    MR_BUILT(CreateTopics)
    MR_BUILT(DeleteTopics)
    MR_BUILT(ListTopics)
    MR_BUILT(DescribeTopics)
    MR_BUILT(CreatePartitions)
    MR_LATER(DeleteRecords)
    MR_BUILT(ElectLeaders)
    MR_BUILT(DescribeConfigs)
    MR_BUILT(AlterConfigs)
    MR_BUILT(ListGroups)
    MR_BUILT(DescribeGroups)
    MR_BUILT(GroupLag)
    MR_LATER(AlterGroupOffsets)
    MR_BUILT(DeleteGroups)
    MR_BUILT(PlacementView)
    MR_BUILT(PlanRebalance)
    MR_BUILT(ApplyPlan)
    MR_BUILT(GetPlan)
    MR_BUILT(ListPlans)
    MR_BUILT(PausePlan)
    MR_BUILT(ResumePlan)
    MR_BUILT(CancelPlan)
    MR_BUILT(RollbackPlan)
    MR_BUILT(ApplyLink)
    MR_BUILT(GetLink)
    MR_BUILT(ListLinks)
    MR_BUILT(DeleteLink)
    MR_BUILT(ListMirrorPartitions)

#undef MR_UNARY
#undef MR_BUILT
#undef MR_LATER

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

    template <typename Response>
    grpc::ServerWriteReactor<Response>* later(const char* name,
                                              grpc::CallbackServerContext& context,
                                              const google::protobuf::Message& request,
                                              NewsStream<Response>* stream) {
        if (admit(name, context, request, *stream)) {
            stream->refuse({grpc::StatusCode::UNIMPLEMENTED,
                            fmt::format("this broker doesn't offer {} yet", name)});
        }
        return stream;
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
