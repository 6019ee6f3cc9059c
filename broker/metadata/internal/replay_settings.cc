#include <algorithm>
#include <fmt/format.h>

#include "metadata/internal/replay.h"

namespace millrace::metadata {
namespace {

Secret secret_of(ByteView bytes) {
    return Secret(std::string(as_text(bytes)));
}

QuotaEntity entity_of(const std::vector<protocol::ClientQuotaRecord::EntityData>& parts) {
    QuotaEntity entity;
    for (const auto& part : parts) {
        entity.emplace_back(
            std::string(part.entity_type),
            part.entity_name ? std::optional(std::string(*part.entity_name)) : std::nullopt);
    }
    std::sort(entity.begin(), entity.end());
    return entity;
}

}  // namespace

Result<void> Delta::Replayer::operator()(const protocol::ConfigRecord& record) {
    const ConfigResource resource{static_cast<ConfigResourceType>(record.resource_type),
                                  std::string(record.resource_name)};
    if (record.value) {
        next().configs.set(resource, std::string(record.name), std::string(*record.value));
    } else {
        next().configs.erase(resource, record.name);
    }
    changes().configs.insert(resource);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::ClientQuotaRecord& record) {
    const QuotaEntity entity = entity_of(record.entity);
    const QuotaValues* before = next().quotas.find(entity);
    QuotaValues values = before != nullptr ? *before : QuotaValues{};
    if (record.remove) {
        values.erase(std::string(record.key));
    } else {
        values.insert_or_assign(std::string(record.key), record.value);
    }
    if (values.empty()) {
        next().quotas.erase(entity);
    } else {
        next().quotas.set(entity, std::move(values));
    }
    changes().quotas.insert(entity);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::ProducerIdsRecord& record) {
    if (next().next_producer_id && record.next_producer_id <= *next().next_producer_id) {
        return Error::make(Code::corrupt, "producer ids go back from {} to {}",
                           *next().next_producer_id, record.next_producer_id);
    }
    next().next_producer_id = record.next_producer_id;
    changes().producer_ids = true;
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::UserScramCredentialRecord& record) {
    const ScramKey key{static_cast<ScramMechanism>(record.mechanism), std::string(record.name)};
    next().scram.set(key, ScramCredential{secret_of(record.salt), secret_of(record.stored_key),
                                          secret_of(record.server_key), record.iterations});
    changes().scram.insert(key);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::RemoveUserScramCredentialRecord& record) {
    const ScramKey key{static_cast<ScramMechanism>(record.mechanism), std::string(record.name)};
    if (!next().scram.erase(key)) {
        return Error::make(Code::corrupt, "removal of a credential of {}, which is not there",
                           key.user);
    }
    changes().scram.insert(key);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::AccessControlEntryRecord& record) {
    next().acls.set(
        record.id, Acl{record.resource_type, std::string(record.resource_name), record.pattern_type,
                       std::string(record.principal), std::string(record.host), record.operation,
                       record.permission_type});
    changes().acls.insert(record.id);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::RemoveAccessControlEntryRecord& record) {
    if (!next().acls.erase(record.id)) {
        return Error::make(Code::corrupt, "removal of ACL {}, which is not there", record.id);
    }
    changes().acls.insert(record.id);
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::DelegationTokenRecord& record) {
    DelegationToken token;
    token.owner = record.owner;
    token.requester = record.requester;
    for (const std::string_view renewer : record.renewers) {
        token.renewers.emplace_back(renewer);
    }
    token.issued = Timestamp{record.issue_timestamp};
    token.max = Timestamp{record.max_timestamp};
    token.expires = Timestamp{record.expiration_timestamp};
    std::string id(record.token_id);
    changes().delegation_tokens.insert(id);
    next().delegation_tokens.set(std::move(id), std::move(token));
    return {};
}

Result<void> Delta::Replayer::operator()(const protocol::RemoveDelegationTokenRecord& record) {
    std::string id(record.token_id);
    next().delegation_tokens.erase(id);
    changes().delegation_tokens.insert(std::move(id));
    return {};
}

}  // namespace millrace::metadata
