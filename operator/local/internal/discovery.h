// operator/local/internal/discovery.h
//
// What the API says about itself: groups, resources, OpenAPI. Pure.
#pragma once

#include <optional>
#include <string>

#include "operator/local/internal/kinds.h"

namespace millrace::local {

Json version_document();
Json api_versions(const std::string& address);                               ///< /api
Json group_list(const KindTable& kinds);                                     ///< /apis
std::optional<Json> group(const KindTable& kinds, const std::string& name);  ///< /apis/GROUP
/// /api/v1 and /apis/GROUP/VERSION; nothing if it isn't served.
std::optional<Json> resource_list(const KindTable& kinds, const std::string& group_version);
/// apidiscovery.k8s.io/v2 for /api (core) and /apis.
Json aggregated_discovery(const KindTable& kinds, bool core, const std::string& version);

Json openapi_v3_index(const KindTable& kinds);  ///< /openapi/v3
std::optional<Json> openapi_v3(const KindTable& kinds, const std::string& group_version);
Json openapi_v2(const KindTable& kinds);               ///< Swagger as JSON.
std::string openapi_v2_protobuf(const Json& swagger);  ///< The same as gnostic's message.

}  // namespace millrace::local
