#include "admin/acl_table.h"

#include <fmt/core.h>

#include "millrace/admin/v1/admin.pb.h"

namespace millrace::admin {

namespace {

/// ACL_OPERATION_DESCRIBE_CONFIGS → DESCRIBE_CONFIGS
std::string without_prefix(const std::string& name, std::string_view prefix) {
    return name.starts_with(prefix) ? name.substr(prefix.size()) : name;
}

}  // namespace

std::vector<CallRow> call_table() {
    const auto* service = v1::IdentityRequest::descriptor()->file()->service(0);
    std::vector<CallRow> rows;
    for (int i = 0; i < service->method_count(); ++i) {
        const auto* method = service->method(i);
        const v1::Acl& acl = method->options().GetExtension(v1::acl);
        rows.push_back({method->name(), static_cast<std::int8_t>(acl.operation()),
                        static_cast<std::int8_t>(acl.resource()), acl.names(),
                        method->input_type()->FindFieldByName("guard") != nullptr,
                        method->server_streaming()});
    }
    return rows;
}

std::string operation_name(std::int8_t operation) {
    return without_prefix(v1::AclOperation_Name(static_cast<v1::AclOperation>(operation)),
                          "ACL_OPERATION_");
}

std::string resource_name(std::int8_t resource_type) {
    return without_prefix(v1::AclResource_Name(static_cast<v1::AclResource>(resource_type)),
                          "ACL_RESOURCE_");
}

std::string admin_page() {
    std::string page =
        "# The admin endpoint\n\n"
        "Printed by `admin_docs` from `broker/admin/proto/millrace/admin/v1/admin.proto`; a test "
        "holds this page against it.\n\n"
        "gRPC, at `millrace.admin.listener`. What a caller needs is a rule of the Kafka listeners' "
        "kind; a request that names no topic or group needs it on the cluster. A call that changes "
        "something takes a `Guard`: the quorum's epoch that the caller knows, an idempotency key, "
        "and `dry_run`.\n\n"
        "| call | needs | on | changes something | answers |\n"
        "| --- | --- | --- | --- | --- |\n";
    for (const CallRow& row : call_table()) {
        page += fmt::format("| `{}` | {} | {} | {} | {} |\n", row.name,
                            operation_name(row.operation), resource_name(row.resource_type),
                            row.changes ? "yes" : "no", row.streams ? "a stream" : "once");
    }
    return page;
}

}  // namespace millrace::admin
