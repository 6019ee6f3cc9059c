// operator/local/internal/protobuf_body.h
//
// kubectl's `create` commands and evictions send Kubernetes' protobuf and take no other answer to
// a refusal than giving up. The few kinds that they send are read here.
#pragma once

#include <string_view>

#include "base/result.h"
#include "operator/kube/json.h"

namespace millrace::local {

/// The object inside the envelope "k8s\0", as JSON would have said it.
Result<kube::Json> parse_kubernetes_protobuf(std::string_view body);

}  // namespace millrace::local
