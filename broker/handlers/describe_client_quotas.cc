// DescribeClientQuotas (KIP-546): the quotas whose entity fits a filter.

#include <map>
#include <set>

#include "handlers/handlers.h"
#include "protocol/messages/describe_client_quotas_request.h"
#include "protocol/messages/describe_client_quotas_response.h"

namespace millrace::handlers {
namespace {

using protocol::DescribeClientQuotasRequest;
using protocol::DescribeClientQuotasResponse;

enum class Match : std::int8_t { exact = 0, default_entity = 1, any = 2 };

/// What parts an entity has to have: a name, the default (none), or whichever.
struct Filter {
    std::map<std::string_view, std::optional<std::string_view>> named;
    std::set<std::string_view> any;
    bool strict = false;

    bool asks_for(std::string_view type) const {
        return named.contains(type) || any.contains(type);
    }
    bool fits(const metadata::QuotaEntity& entity) const {
        std::size_t fitting = 0;
        for (const auto& [type, name] : entity) {
            const auto exact = named.find(type);
            const bool same = exact != named.end() &&
                              exact->second.has_value() == name.has_value() &&
                              (!name || *exact->second == *name);
            fitting += same || any.contains(type) ? 1 : 0;
        }
        return fitting == named.size() + any.size() && (!strict || fitting == entity.size());
    }
};

/// Empty: the filter is a sound one.
std::string read(const DescribeClientQuotasRequest& request, Filter& filter) {
    filter.strict = request.strict;
    for (const auto& component : request.components) {
        if (component.entity_type.empty()) {
            return "a component names no entity type";
        }
        if (filter.asks_for(component.entity_type)) {
            return "entity type " + std::string(component.entity_type) + " is named twice";
        }
        switch (static_cast<Match>(component.match_type)) {
            case Match::exact:
                if (!component.match) {
                    return "an exact match needs a name";
                }
                filter.named[component.entity_type] = *component.match;
                break;
            case Match::default_entity:
                filter.named[component.entity_type] = std::nullopt;
                break;
            case Match::any:
                filter.any.insert(component.entity_type);
                break;
            default:
                return "unknown match type " + std::to_string(component.match_type);
        }
        if (component.match && static_cast<Match>(component.match_type) != Match::exact) {
            return "only an exact match has a name";
        }
    }
    if (filter.asks_for("ip") && (filter.asks_for("user") || filter.asks_for("client-id"))) {
        return "an ip is not combined with a user or a client-id";
    }
    return {};
}

}  // namespace

void describe_client_quotas(const Doors& doors,
                            Call<DescribeClientQuotasRequest, DescribeClientQuotasResponse> call) {
    DescribeClientQuotasResponse response;
    Filter filter;
    const std::string fault = read(call.request(), filter);
    if (!fault.empty()) {
        response.error_code = code_of(KafkaError::invalid_request);
        response.error_message = fault;
        response.entries.reset();
        call.answer(response);
        return;
    }
    const metadata::ImagePtr image = doors.image->current();
    response.entries.emplace();
    for (const auto& entry : image->quotas) {
        if (!filter.fits(entry.key)) {
            continue;
        }
        auto& to = response.entries->emplace_back();
        for (const auto& [type, name] : entry.key) {
            auto& part = to.entity.emplace_back();
            part.entity_type = type;
            part.entity_name = name ? std::optional<std::string_view>(*name) : std::nullopt;
        }
        for (const auto& [key, value] : entry.value) {
            auto& one = to.values.emplace_back();
            one.key = key;
            one.value = value;
        }
    }
    call.answer(response);
}

}  // namespace millrace::handlers
