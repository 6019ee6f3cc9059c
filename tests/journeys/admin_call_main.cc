// admin_call HOST:PORT CALL [JSON]: one call of millrace.admin.v1 about links, messages as JSON.
// LinkStatus prints its first news.
#include <chrono>
#include <cstdio>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <string>

#include "millrace/admin/v1/admin.grpc.pb.h"

namespace v1 = millrace::admin::v1;

namespace {

int print(const grpc::Status& status, const google::protobuf::Message& response) {
    if (!status.ok()) {
        std::fprintf(stderr, "%d: %s\n", static_cast<int>(status.error_code()),
                     status.error_message().c_str());
        return 1;
    }
    std::string text;
    google::protobuf::util::JsonPrintOptions options;
    options.always_print_primitive_fields = true;
    options.preserve_proto_field_names = true;
    if (!google::protobuf::util::MessageToJsonString(response, &text, options).ok()) {
        return 1;
    }
    std::puts(text.c_str());
    return 0;
}

template <typename Request>
bool read(const std::string& json, Request& request) {
    const auto status = google::protobuf::util::JsonStringToMessage(json, &request);
    if (!status.ok()) {
        std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
    }
    return status.ok();
}

template <typename Request, typename Response, typename Method>
int unary(v1::Admin::Stub& stub, grpc::ClientContext& context, const std::string& json,
          Method method) {
    Request request;
    if (!read(json, request)) {
        return 2;
    }
    Response response;
    return print((stub.*method)(&context, request, &response), response);
}

int status(v1::Admin::Stub& stub, grpc::ClientContext& context, const std::string& json) {
    v1::LinkStatusRequest request;
    if (!read(json, request)) {
        return 2;
    }
    auto reader = stub.LinkStatus(&context, request);
    v1::LinkStatusResponse news;
    if (reader->Read(&news)) {
        context.TryCancel();
        return print(grpc::Status::OK, news);
    }
    return print(reader->Finish(), news);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "admin_call HOST:PORT CALL [JSON]\n");
        return 2;
    }
    const std::string call = argv[2];
    const std::string json = argc > 3 ? argv[3] : "{}";
    const auto stub =
        v1::Admin::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
    using Stub = v1::Admin::Stub;
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    if (call == "ApplyLink") {
        return unary<v1::ApplyLinkRequest, v1::ApplyLinkResponse>(*stub, context, json,
                                                                  &Stub::ApplyLink);
    }
    if (call == "GetLink") {
        return unary<v1::GetLinkRequest, v1::GetLinkResponse>(*stub, context, json, &Stub::GetLink);
    }
    if (call == "ListLinks") {
        return unary<v1::ListLinksRequest, v1::ListLinksResponse>(*stub, context, json,
                                                                  &Stub::ListLinks);
    }
    if (call == "DeleteLink") {
        return unary<v1::DeleteLinkRequest, v1::DeleteLinkResponse>(*stub, context, json,
                                                                    &Stub::DeleteLink);
    }
    if (call == "ListMirrorPartitions") {
        return unary<v1::ListMirrorPartitionsRequest, v1::ListMirrorPartitionsResponse>(
            *stub, context, json, &Stub::ListMirrorPartitions);
    }
    if (call == "LinkStatus") {
        return status(*stub, context, json);
    }
    std::fprintf(stderr, "%s is no call about links\n", call.c_str());
    return 2;
}
