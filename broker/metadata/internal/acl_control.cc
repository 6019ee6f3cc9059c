// CreateAcls and DeleteAcls (KIP-140, 290): what they mean is security's business.
#include <algorithm>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"
#include "metadata/internal/registration_records.h"
#include "protocol/messages/create_acls_request.h"
#include "protocol/messages/create_acls_response.h"
#include "protocol/messages/delete_acls_request.h"
#include "protocol/messages/delete_acls_response.h"
#include "protocol/messages/remove_access_control_entry_record.h"

namespace millrace::metadata {
namespace {

// Kafka's codes; 0 is "unknown" and 1 "any" in each of the four enumerations.
constexpr std::int8_t any = 1;
constexpr std::int8_t cluster_resource = 4;
constexpr std::int8_t last_resource = 7;
constexpr std::int8_t match_pattern = 2;
constexpr std::int8_t literal_pattern = 3;
constexpr std::int8_t prefixed_pattern = 4;
constexpr std::int8_t last_operation = 15;
constexpr std::int8_t deny = 2;
constexpr std::int8_t allow = 3;
constexpr std::string_view cluster_name = "kafka-cluster";

bool is_within(std::int8_t code, std::int8_t first, std::int8_t last) {
    return code >= first && code <= last;
}

MaybeRefusal check(const Acl& acl) {
    const auto invalid = [](std::string why) {
        return Refusal{KafkaError::invalid_request, std::move(why)};
    };
    if (!is_within(acl.resource_type, any + 1, last_resource)) {
        return invalid(fmt::format("resource type {} can't have ACLs", acl.resource_type));
    }
    if (acl.pattern_type != literal_pattern && acl.pattern_type != prefixed_pattern) {
        return invalid(fmt::format("an ACL is literal or prefixed, not {}", acl.pattern_type));
    }
    if (!is_within(acl.operation, any + 1, last_operation)) {
        return invalid(fmt::format("operation {} can't be granted", acl.operation));
    }
    if (acl.permission_type != deny && acl.permission_type != allow) {
        return invalid(fmt::format("permission {} neither allows nor denies", acl.permission_type));
    }
    if (acl.resource_name.empty()) {
        return invalid("the resource needs a name");
    }
    if (acl.resource_type == cluster_resource && acl.resource_name != cluster_name) {
        return invalid(fmt::format("the cluster is named {}", cluster_name));
    }
    if (acl.principal.find(':') == std::string::npos) {
        return invalid(fmt::format("principal '{}' has no type: User:name", acl.principal));
    }
    return std::nullopt;
}

Acl acl_of(const protocol::CreateAclsRequest::AclCreation& creation) {
    return {creation.resource_type,         std::string(creation.resource_name),
            creation.resource_pattern_type, std::string(creation.principal),
            std::string(creation.host),     creation.operation,
            creation.permission_type};
}

using Filter = protocol::DeleteAclsRequest::DeleteAclsFilter;

MaybeRefusal check(const Filter& filter) {
    if (!is_within(filter.resource_type_filter, any, last_resource) ||
        !is_within(filter.pattern_type_filter, any, prefixed_pattern) ||
        !is_within(filter.operation, any, last_operation) ||
        !is_within(filter.permission_type, any, allow)) {
        return Refusal::make(KafkaError::invalid_request, "the filter has an unknown code");
    }
    return std::nullopt;
}

bool matches_name(const Filter& filter, const Acl& acl) {
    if (!filter.resource_name_filter) {
        return true;
    }
    const std::string_view name = *filter.resource_name_filter;
    if (filter.pattern_type_filter != match_pattern) {
        return name == acl.resource_name;
    }
    return acl.pattern_type == prefixed_pattern
               ? name.starts_with(acl.resource_name)
               : name == acl.resource_name || acl.resource_name == "*";
}

bool matches(const Filter& filter, const Acl& acl) {
    const auto is = [](std::int8_t wanted, std::int8_t code) {
        return wanted == any || wanted == code;
    };
    return is(filter.resource_type_filter, acl.resource_type) &&
           (filter.pattern_type_filter == match_pattern ||
            is(filter.pattern_type_filter, acl.pattern_type)) &&
           matches_name(filter, acl) &&
           (!filter.principal_filter || *filter.principal_filter == acl.principal) &&
           (!filter.host_filter || *filter.host_filter == acl.host) &&
           is(filter.operation, acl.operation) && is(filter.permission_type, acl.permission_type);
}

}  // namespace

Decision<protocol::CreateAclsResponse> create_acls(Context& context,
                                                   const protocol::CreateAclsRequest& request) {
    Decision<protocol::CreateAclsResponse> decision(context);
    std::set<Acl> fresh;
    for (const auto& creation : request.creations) {
        const Acl acl = acl_of(creation);
        MaybeRefusal refusal = check(acl);
        if (!refusal &&
            decision.draft.records().size() >= context.options.max_records_per_operation) {
            refusal = too_many_records(context.options);
        }
        set_outcome(decision.answer.results.emplace_back(), refusal, decision.texts);
        if (!refusal && context.index.id_of(acl) == nullptr && fresh.insert(acl).second) {
            Uuid id = Uuid::random(context.random);
            while (decision.draft.image().acls.contains(id)) {
                id = Uuid::random(context.random);
            }
            decision.draft.add(acl_record(id, acl), 0);
        }
    }
    return decision;
}

Decision<protocol::DeleteAclsResponse> delete_acls(Context& context,
                                                   const protocol::DeleteAclsRequest& request) {
    Decision<protocol::DeleteAclsResponse> decision(context);
    for (const Filter& filter : request.filters) {
        auto& result = decision.answer.filter_results.emplace_back();
        MaybeRefusal refusal = check(filter);
        std::vector<Uuid> gone;
        if (!refusal) {
            // An ACL that two filters match is reported by both and removed once.
            for (const auto& [id, acl] : context.image.acls) {
                if (!matches(filter, acl)) {
                    continue;
                }
                if (decision.draft.image().acls.contains(id)) {
                    gone.push_back(id);
                }
                auto& match = result.matching_acls.emplace_back();
                match.error_message = std::nullopt;
                match.resource_type = acl.resource_type;
                match.resource_name = decision.texts.keep(acl.resource_name);
                match.pattern_type = acl.pattern_type;
                match.principal = decision.texts.keep(acl.principal);
                match.host = decision.texts.keep(acl.host);
                match.operation = acl.operation;
                match.permission_type = acl.permission_type;
            }
        }
        if (!refusal && decision.draft.records().size() + gone.size() >
                            context.options.max_records_per_operation) {
            refusal = too_many_records(context.options);
            result.matching_acls.clear();
            gone.clear();
        }
        set_outcome(result, refusal, decision.texts);
        for (const Uuid& id : gone) {
            protocol::RemoveAccessControlEntryRecord record;
            record.id = id;
            decision.draft.add(record, 0);
        }
    }
    return decision;
}

}  // namespace millrace::metadata
