// DescribeClientQuotas (KIP-546): the quotas whose entity fits a filter.

#include <fmt/format.h>
#include <map>
#include <optional>
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

struct Fault {
    KafkaError code = KafkaError::invalid_request;
    std::string why;
};

/// None: the filter is a sound one.
std::optional<Fault> read(const DescribeClientQuotasRequest& request, Filter& filter) {
    filter.strict = request.strict;
    const auto invalid = [](std::string why) { return Fault{.why = std::move(why)}; };
    for (const auto& component : request.components) {
        const std::string_view type = component.entity_type;
        if (type.empty()) {
            return invalid("a component names no entity type");
        }
        if (filter.asks_for(type)) {
            return invalid(fmt::format("entity type {} is named twice", type));
        }
        if (type != "user" && type != "client-id" && type != "ip") {
            return Fault{KafkaError::unsupported_version,
                         fmt::format("Unsupported entity type {}", type)};
        }
        switch (static_cast<Match>(component.match_type)) {
            case Match::exact:
                if (!component.match) {
                    return invalid("an exact match needs a name");
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
                return invalid(fmt::format("unknown match type {}", component.match_type));
        }
        if (component.match && static_cast<Match>(component.match_type) != Match::exact) {
            return invalid("only an exact match has a name");
        }
    }
    if (filter.asks_for("ip") && (filter.asks_for("user") || filter.asks_for("client-id"))) {
        return invalid(
            "Invalid entity filter component combination: an ip is not combined with a user or a "
            "client-id");
    }
    return std::nullopt;
}

}  // namespace

void describe_client_quotas(const Doors& doors,
                            Call<DescribeClientQuotasRequest, DescribeClientQuotasResponse> call) {
    DescribeClientQuotasResponse response;
    Filter filter;
    if (const std::optional<Fault> fault = read(call.request(), filter)) {
        response.error_code = code_of(fault->code);
        response.error_message = fault->why;
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
