// ApiVersions: what this listener serves. The first thing that every client asks, in whatever
// version it hopes for.

#include <algorithm>
#include <utility>

#include "handlers/dispatch.h"
#include "handlers/handlers.h"
#include "handlers/listener_apis.h"
#include "metadata/features.h"
#include "protocol/api_table.h"
#include "protocol/messages/api_versions_request.h"
#include "protocol/messages/api_versions_response.h"

namespace millrace::handlers {
namespace {

using protocol::ApiVersionsRequest;
using protocol::ApiVersionsResponse;
using ApiVersionsCall = Call<ApiVersionsRequest, ApiVersionsResponse>;

constexpr std::int16_t first_version_with_zero = 4;
constexpr std::int16_t first_version_with_target = 5;

bool is_word(std::string_view text) {
    const auto alphanumeric = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    if (text.empty() || !alphanumeric(text.front()) || !alphanumeric(text.back())) {
        return false;
    }
    for (const char c : text) {
        if (!alphanumeric(c) && c != '.' && c != '-') {
            return false;
        }
    }
    return true;
}

/// KIP-1242: a client that meant another broker or cluster must learn it, or never notices.
bool is_misrouted(const Doors& doors, const ApiVersionsRequest& request) {
    return (request.cluster_id && *request.cluster_id != doors.cluster_id) ||
           (request.node_id >= 0 && BrokerId{request.node_id} != doors.self);
}

/// A feature's level tells clients how to use an API. Where this broker does not answer that API,
/// a level would promise what nobody keeps: the metadata knows it, clients do not hear of it.
template <ListenerKind kind>
bool is_shown(std::string_view feature) {
    if (kind == ListenerKind::controller) {
        return true;
    }
    using K = protocol::ApiKey;
    constexpr std::pair<std::string_view, K> needs[] = {
        {metadata::feature::transaction_version, K::end_txn},
        {metadata::feature::share_version, K::share_fetch},
        {metadata::feature::streams_version, K::streams_group_heartbeat},
    };
    const auto need = std::find_if(std::begin(needs), std::end(needs),
                                   [feature](const auto& entry) { return entry.first == feature; });
    const std::vector<Route>& routes = routes_of(kind);
    return need == std::end(needs) ||
           std::any_of(routes.begin(), routes.end(), [need](const Route& route) {
               return route.api_key == static_cast<std::int16_t>(need->second);
           });
}

template <ListenerKind kind>
void answer(const Doors& doors, ApiVersionsCall& call) {
    ApiVersionsResponse response;
    if (call.version() >= 3 && (!is_word(call.request().client_software_name) ||
                                !is_word(call.request().client_software_version))) {
        response.error_code = code_of(KafkaError::invalid_request);
        call.answer(response);
        return;
    }
    if (call.version() >= first_version_with_target && is_misrouted(doors, call.request())) {
        response.error_code = code_of(KafkaError::rebootstrap_required);
        call.answer(response);
        return;
    }
    for (const Route& route : routes_of(kind)) {
        response.api_keys.push_back({.api_key = route.api_key,
                                     .min_version = route.advertised_min,
                                     .max_version = route.max_version});
    }
    const metadata::ImagePtr image = doors.image->current();
    for (const metadata::FeatureInfo& feature : metadata::known_features()) {
        // A client of an older version refuses a feature whose range begins at 0 (KAFKA-17011).
        if ((feature.min == 0 && call.version() < first_version_with_zero) ||
            !is_shown<kind>(feature.name)) {
            continue;
        }
        response.supported_features.push_back(
            {.name = feature.name, .min_version = feature.min, .max_version = feature.max});
    }
    if (call.version() >= first_version_with_zero) {
        response.supported_features.push_back(
            {.name = metadata::feature::kraft_version, .min_version = 0, .max_version = 1});
    }
    response.finalized_features_epoch = image->provenance.end.value - 1;
    for (const auto& entry : image->features) {
        if (!is_shown<kind>(entry.key)) {
            continue;
        }
        response.finalized_features.push_back({.name = entry.key,
                                               .max_version_level = entry.value,
                                               .min_version_level = entry.value});
    }
    if (const std::int16_t level = doors.quorum->kraft_version(); level > 0) {
        response.finalized_features.push_back({.name = metadata::feature::kraft_version,
                                               .max_version_level = level,
                                               .min_version_level = level});
    }
    call.answer(response);
}

}  // namespace

void api_versions_broker(const Doors& doors, ApiVersionsCall call) {
    answer<ListenerKind::broker>(doors, call);
}

void api_versions_controller(const Doors& doors, ApiVersionsCall call) {
    answer<ListenerKind::controller>(doors, call);
}

void refuse_api_versions(const Doors& doors, RequestMeta&& meta, net::Frame&& frame, std::size_t,
                         net::Reply&& reply) {
    ApiVersionsCall call(doors, std::move(meta), std::move(frame), std::move(reply));
    ApiVersionsResponse response;
    response.error_code = code_of(KafkaError::unsupported_version);
    // The range that we do speak: a client tries again with that.
    response.api_keys.push_back({.api_key = ApiVersionsRequest::api_key,
                                 .min_version = ApiVersionsRequest::min_version,
                                 .max_version = ApiVersionsRequest::max_version});
    call.answer(response);
}

}  // namespace millrace::handlers
