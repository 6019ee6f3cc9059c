#include "admin/internal/gate.h"

#include <google/protobuf/descriptor.h>
#include <set>
#include <vector>

#include "admin/internal/status.h"
#include "millrace/admin/v1/admin.pb.h"

namespace millrace::admin {

namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

const MethodDescriptor& method_of(const std::string& call) {
    // Taken from a message of the same file, so that the file is linked in.
    const auto* service = v1::IdentityRequest::descriptor()->file()->service(0);
    const MethodDescriptor* method = service->FindMethodByName(call);
    MR_ASSERT(method != nullptr);
    return *method;
}

/// The strings under a path like "topics.name", through repeated messages.
void collect(const Message& message, std::string_view path, std::set<std::string>& names) {
    const std::size_t dot = path.find('.');
    const FieldDescriptor* field =
        message.GetDescriptor()->FindFieldByName(std::string{path.substr(0, dot)});
    MR_ASSERT(field != nullptr);
    const auto& reflection = *message.GetReflection();
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
        if (!field->is_repeated()) {
            names.insert(reflection.GetString(message, field));
            return;
        }
        for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
            names.insert(reflection.GetRepeatedString(message, field, i));
        }
        return;
    }
    MR_ASSERT(field->is_repeated() && dot != std::string_view::npos);
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
        collect(reflection.GetRepeatedMessage(message, field, i), path.substr(dot + 1), names);
    }
}

const v1::Guard* guard_of(const Message& request) {
    const FieldDescriptor* field = request.GetDescriptor()->FindFieldByName("guard");
    if (field == nullptr) {
        return nullptr;
    }
    const Message& guard = request.GetReflection()->GetMessage(request, field);
    return static_cast<const v1::Guard*>(&guard);
}

Peer peer_of(const grpc::CallbackServerContext& context) {
    Peer peer;
    peer.address = context.peer();
    const auto auth = context.auth_context();
    if (!auth) {
        return peer;
    }
    for (const grpc::string_ref& value : auth->FindPropertyValues("transport_security_type")) {
        peer.tls = peer.tls || value == "ssl" || value == "tls";
    }
    if (const auto subjects = auth->FindPropertyValues("x509_subject"); !subjects.empty()) {
        peer.subject.assign(subjects.front().data(), subjects.front().size());
    }
    return peer;
}

}  // namespace

Gate::Gate(std::shared_ptr<AdminDoors> doors, double changes_per_second, Logger log,
           std::shared_ptr<metrics::Registry> registry)
    : doors_(std::move(doors)),
      log_(std::move(log)),
      registry_(std::move(registry)),
      changes_(changes_per_second) {}

Gate::Admission Gate::enter(const std::string& call, grpc::CallbackServerContext& context,
                            const Message& request, Instant now) {
    const Peer peer = peer_of(context);
    Admission admission;
    Caller& caller = admission.pass.caller;
    caller = {doors_->principal_of(peer), peer.address, call, false};
    const v1::Guard* guard = guard_of(request);
    admission.pass.changes = guard != nullptr;
    admission.status = authorise(caller, method_of(call), request);
    if (admission.status.ok() && guard != nullptr) {
        caller.dry_run = guard->dry_run();
        const std::int64_t epoch = doors_->epoch().value;
        if (guard->expected_epoch() != 0 && guard->expected_epoch() != epoch) {
            admission.status = {grpc::StatusCode::FAILED_PRECONDITION,
                                fmt::format("the quorum's epoch is {}, not {}: look again", epoch,
                                            guard->expected_epoch())};
        } else if (!guard->idempotency_key().empty() && !guard->dry_run()) {
            admission.pass.idempotency_key =
                caller.principal.to_string() + "\n" + call + "\n" + guard->idempotency_key();
        }
    }
    if (admission.status.ok() && admission.pass.changes) {
        admission.status = check_repeat(admission, request, now);
    }
    if (!admission.status.ok() || admission.repeated) {
        note(caller, admission.pass.changes, admission.status);
    }
    return admission;
}

grpc::Status Gate::authorise(const Caller& caller, const MethodDescriptor& method,
                             const Message& request) const {
    const v1::Acl& acl = method.options().GetExtension(v1::acl);
    std::set<std::string> names;
    if (!acl.names().empty()) {
        collect(request, acl.names(), names);
    }
    const auto operation = static_cast<std::int8_t>(acl.operation());
    auto resource = static_cast<std::int8_t>(acl.resource());
    if (names.empty()) {
        resource = static_cast<std::int8_t>(v1::ACL_RESOURCE_CLUSTER);
        names.insert("kafka-cluster");
    }
    for (const std::string& name : names) {
        if (!doors_->allows(caller.principal, caller.address, operation, resource, name)) {
            return {grpc::StatusCode::PERMISSION_DENIED,
                    fmt::format("{} may not call {} on {}", caller.principal, caller.call, name)};
        }
    }
    return grpc::Status::OK;
}

grpc::Status Gate::check_repeat(Admission& admission, const Message& request, Instant now) {
    const std::lock_guard lock{mutex_};
    if (!changes_.take(now)) {
        return {grpc::StatusCode::RESOURCE_EXHAUSTED,
                "too many changes in a second; wait a little"};
    }
    const std::string& key = admission.pass.idempotency_key;
    if (key.empty()) {
        return grpc::Status::OK;
    }
    const auto [verdict, answer] = repeats_.begin(key, request.SerializeAsString(), now);
    switch (verdict) {
        case RepeatsCore::Verdict::first:
            return grpc::Status::OK;
        case RepeatsCore::Verdict::repeated:
            admission.repeated = answer->body;
            return {static_cast<grpc::StatusCode>(answer->status), answer->message};
        case RepeatsCore::Verdict::under_way:
            return {grpc::StatusCode::ABORTED, "the call with this idempotency key is under way"};
        case RepeatsCore::Verdict::different:
            return {grpc::StatusCode::INVALID_ARGUMENT,
                    "this idempotency key was used for another request"};
        case RepeatsCore::Verdict::full:
            return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many calls are under way"};
    }
    return grpc::Status::OK;
}

void Gate::leave(const Pass& pass, const grpc::Status& status, const Message& response,
                 Instant now) {
    if (!pass.idempotency_key.empty()) {
        const std::lock_guard lock{mutex_};
        if (status.ok()) {
            repeats_.finish(pass.idempotency_key, {0, "", response.SerializeAsString()}, now);
        } else {
            // Nothing is known to have happened: the caller may try again under the same key.
            repeats_.forget(pass.idempotency_key);
        }
    }
    note(pass.caller, pass.changes, status);
}

void Gate::note(const Caller& caller, bool changes, const grpc::Status& status) {
    const std::string_view code = status_code_name(status.error_code());
    {
        const std::lock_guard lock{mutex_};
        auto& counter = counters_[fmt::format("{} {}", caller.call, code)];
        counter =
            registry_->scope("admin").counter(metrics::metric::admin_calls, {caller.call, code});
        counter.add();
    }
    const bool denied = status.error_code() == grpc::StatusCode::PERMISSION_DENIED;
    if (changes || denied) {
        MR_LOG(log_, info, "admin.call", field("call", caller.call),
               field("principal", caller.principal), field("address", caller.address),
               field("dry_run", caller.dry_run), field("outcome", code),
               field("message", status.error_message()));
    }
}

}  // namespace millrace::admin
