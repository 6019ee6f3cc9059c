// admin_call HOST:PORT CALL [JSON]: one call of millrace.admin.v1, messages as JSON. Of a call that
// streams, the first answer.
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <memory>
#include <mutex>
#include <string>

#include "millrace/admin/v1/admin.pb.h"

namespace {

using google::protobuf::Message;

std::unique_ptr<Message> message_of(const google::protobuf::Descriptor& type) {
    auto* factory = google::protobuf::MessageFactory::generated_factory();
    return std::unique_ptr<Message>(factory->GetPrototype(&type)->New());
}

int print(const grpc::Status& status, const Message& response) {
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

grpc::ByteBuffer packed(const Message& message) {
    const grpc::Slice slice(message.SerializeAsString());
    return {&slice, 1};
}

bool unpack(const grpc::ByteBuffer& bytes, Message& message) {
    grpc::Slice slice;
    return bytes.DumpToSingleSlice(&slice).ok() &&
           message.ParseFromArray(slice.begin(), static_cast<int>(slice.size()));
}

/// The first answer, then the stream is left.
class FirstAnswer final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
public:
    FirstAnswer(grpc::GenericStub& stub, grpc::ClientContext& context, const std::string& method,
                grpc::ByteBuffer request)
        : context_(context), request_(std::move(request)) {
        stub.PrepareBidiStreamingCall(&context, method, {}, this);
        StartWriteLast(&request_, {});
        StartRead(&answer_);
        StartCall();
    }
    void OnReadDone(bool ok) override {
        has_answer_ = ok;
        // Without an answer the call has ended: to cancel it now would hide why.
        if (ok) {
            context_.TryCancel();
        }
    }
    void OnDone(const grpc::Status& status) override {
        const std::lock_guard lock(mutex_);
        status_ = has_answer_ ? grpc::Status::OK : status;
        is_done_ = true;
        done_.notify_one();
    }
    grpc::Status wait(grpc::ByteBuffer& answer) {
        std::unique_lock lock(mutex_);
        done_.wait(lock, [this] { return is_done_; });
        answer = answer_;
        return status_;
    }

private:
    grpc::ClientContext& context_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
    bool has_answer_ = false;
    std::mutex mutex_;
    std::condition_variable done_;
    bool is_done_ = false;
    grpc::Status status_;
};

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) {
        std::fprintf(stderr, "admin_call HOST:PORT CALL [JSON]\n");
        return 2;
    }
    const auto* service = google::protobuf::DescriptorPool::generated_pool()->FindServiceByName(
        "millrace.admin.v1.Admin");
    const auto* call = service != nullptr ? service->FindMethodByName(argv[2]) : nullptr;
    if (call == nullptr) {
        std::fprintf(stderr, "%s is no call of the admin endpoint\n", argv[2]);
        return 2;
    }
    const auto request = message_of(*call->input_type());
    const auto response = message_of(*call->output_type());
    const auto read =
        google::protobuf::util::JsonStringToMessage(argc > 3 ? argv[3] : "{}", request.get());
    if (!read.ok()) {
        std::fprintf(stderr, "%s\n", std::string(read.message()).c_str());
        return 2;
    }
    grpc::GenericStub stub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    grpc::ByteBuffer answer;
    FirstAnswer asked(stub, context, "/" + service->full_name() + "/" + call->name(),
                      packed(*request));
    const grpc::Status status = asked.wait(answer);
    if (status.ok() && !unpack(answer, *response)) {
        return 1;
    }
    return print(status, *response);
}
