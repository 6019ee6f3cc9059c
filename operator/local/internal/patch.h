// operator/local/internal/patch.h
//
// The three patches of the API. Pure: (object, patch) -> object.
#pragma once

#include "operator/local/internal/api_error.h"
#include "operator/local/internal/schema.h"

namespace millrace::local {

/// RFC 7386: null removes, objects merge, all else replaces.
Json merge_patch(Json target, const Json& patch);

/// RFC 6902. A failed `test` or a path that isn't there is 422, as the API answers it.
ApiResult<Json> json_patch(Json target, const Json& patch);

/// Kubernetes' merge patch that knows lists of built-in kinds by their keys, with the directives
/// `$patch`, `$deleteFromPrimitiveList/...`, `$setElementOrder/...` and `$retainKeys`.
ApiResult<Json> strategic_merge(const SchemaSet& schemas, const Json& schema, Json target,
                                const Json& patch);

}  // namespace millrace::local
