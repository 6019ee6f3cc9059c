// operator/kube/yaml.h
//
// Manifests: YAML documents as Json, with YAML 1.2's scalars as Kubernetes reads them (plain
// `true`, `5`, `1.5` and `null` have types, whatever is quoted is text).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "operator/kube/json.h"

namespace millrace::kube {

/// Every non-empty document of the text, in order.
Result<std::vector<Json>> parse_yaml(std::string_view text);

}  // namespace millrace::kube
