// AlterClientQuotas (KIP-546): who the quota is for, which keys it has, which values they take.
#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cmath>
#include <map>
#include <set>

#include "metadata/controller_core.h"
#include "metadata/internal/refusal.h"
#include "protocol/messages/alter_client_quotas_request.h"
#include "protocol/messages/alter_client_quotas_response.h"
#include "protocol/messages/client_quota_record.h"

namespace millrace::metadata {
namespace {

using Entry = protocol::AlterClientQuotasRequest::EntryData;

struct QuotaKey {
    std::string_view name;
    bool for_ip;
    double largest;
    bool whole;
};
constexpr std::array quota_keys{
    QuotaKey{"producer_byte_rate", false, 9.2233720368547758e18, true},
    QuotaKey{"consumer_byte_rate", false, 9.2233720368547758e18, true},
    QuotaKey{"request_percentage", false, 1.7976931348623157e308, false},
    QuotaKey{"controller_mutation_rate", false, 1.7976931348623157e308, false},
    QuotaKey{"connection_creation_rate", true, 2147483647.0, true}};

Refusal invalid(std::string why) {
    return Refusal{KafkaError::invalid_request, std::move(why)};
}

bool is_address(const std::string& text) {
    std::array<unsigned char, sizeof(in6_addr)> parsed{};
    return inet_pton(AF_INET, text.c_str(), parsed.data()) == 1 ||
           inet_pton(AF_INET6, text.c_str(), parsed.data()) == 1;
}

MaybeRefusal check_entity(const Entry& entry, QuotaEntity& entity) {
    std::set<std::string_view> types;
    for (const auto& part : entry.entity) {
        if (part.entity_type != "user" && part.entity_type != "client-id" &&
            part.entity_type != "ip") {
            return invalid(fmt::format("quotas are for a user, a client-id or an ip, not for {}",
                                       part.entity_type));
        }
        if (!types.insert(part.entity_type).second) {
            return invalid(fmt::format("the entity has two parts of type {}", part.entity_type));
        }
        if (part.entity_name && part.entity_name->empty()) {
            return invalid(fmt::format("the {} has an empty name", part.entity_type));
        }
        entity.emplace_back(part.entity_type, part.entity_name
                                                  ? std::optional(std::string(*part.entity_name))
                                                  : std::nullopt);
    }
    std::sort(entity.begin(), entity.end());
    if (entity.empty()) {
        return invalid("the entity is empty");
    }
    if (!types.contains("ip")) {
        return std::nullopt;
    }
    if (entity.size() > 1) {
        return invalid("an ip is not combined with a user or a client-id");
    }
    if (entity.front().second && !is_address(*entity.front().second)) {
        return invalid(fmt::format("'{}' is no IP address", *entity.front().second));
    }
    return std::nullopt;
}

MaybeRefusal check_value(const QuotaEntity& entity, std::string_view key, double value) {
    const bool for_ip = entity.front().first == "ip";
    const auto known =
        std::find_if(quota_keys.begin(), quota_keys.end(), [&](const QuotaKey& candidate) {
            return candidate.name == key && candidate.for_ip == for_ip;
        });
    if (known == quota_keys.end()) {
        return invalid(fmt::format("there is no quota {} for this entity", key));
    }
    if (!(value > 0.0) || value > known->largest) {
        return invalid(fmt::format("{} is above 0 and at most {}", key, known->largest));
    }
    if (known->whole && std::abs(std::fmod(value, 1.0)) > 1e-6) {
        return invalid(fmt::format("{} is a whole number", key));
    }
    return std::nullopt;
}

/// Records of one entry; none of them is added if one op is refused.
MaybeRefusal plan(const Image& image, const Entry& entry, const QuotaEntity& entity,
                  std::vector<protocol::ClientQuotaRecord>& records) {
    const QuotaValues* current = image.quotas.find(entity);
    std::set<std::string_view> keys;
    for (const auto& op : entry.ops) {
        if (!keys.insert(op.key).second) {
            return invalid(fmt::format("{} is given twice", op.key));
        }
        const double* now = nullptr;
        if (current != nullptr) {
            const auto found = current->find(std::string(op.key));
            now = found != current->end() ? &found->second : nullptr;
        }
        if (!op.remove) {
            if (MaybeRefusal refusal = check_value(entity, op.key, op.value)) {
                return refusal;
            }
        }
        const bool changes = op.remove ? now != nullptr : now == nullptr || *now != op.value;
        if (!changes) {
            continue;
        }
        auto& record = records.emplace_back();
        for (const auto& [type, name] : entity) {
            auto& part = record.entity.emplace_back();
            part.entity_type = type;
            part.entity_name = name ? std::optional<std::string_view>(*name) : std::nullopt;
        }
        record.key = op.key;
        record.value = op.remove ? 0.0 : op.value;
        record.remove = op.remove;
    }
    return std::nullopt;
}

}  // namespace

Decision<protocol::AlterClientQuotasResponse> alter_client_quotas(
    Context& context, const protocol::AlterClientQuotasRequest& request) {
    Decision<protocol::AlterClientQuotasResponse> decision(context);
    std::set<QuotaEntity> seen;
    for (const Entry& entry : request.entries) {
        QuotaEntity entity;
        std::vector<protocol::ClientQuotaRecord> records;
        MaybeRefusal refusal = check_entity(entry, entity);
        if (!refusal && !seen.insert(entity).second) {
            refusal = invalid("the entity is named twice");
        }
        if (!refusal) {
            refusal = plan(decision.draft.image(), entry, entity, records);
        }
        if (!refusal && decision.draft.records().size() + records.size() >
                            context.options.max_records_per_operation) {
            refusal = too_many_records(context.options);
        }
        if (!refusal) {
            for (const auto& record : records) {
                decision.draft.add(record, 0);
            }
        }
        auto& result = decision.answer.entries.emplace_back();
        // Told in one order, whichever they came in: clients compare what they are told.
        auto parts = entry.entity;
        std::sort(parts.begin(), parts.end(),
                  [](const auto& a, const auto& b) { return a.entity_type < b.entity_type; });
        for (const auto& part : parts) {
            auto& to = result.entity.emplace_back();
            to.entity_type = decision.texts.keep(std::string(part.entity_type));
            to.entity_name =
                part.entity_name
                    ? std::optional(decision.texts.keep(std::string(*part.entity_name)))
                    : std::nullopt;
        }
        set_outcome(result, refusal, decision.texts);
    }
    if (request.validate_only) {
        decision.draft = Draft(context.image);
    }
    return decision;
}

}  // namespace millrace::metadata
